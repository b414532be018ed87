"""Check the prepared objects that a bundle discloses against the outcomes that prepared them, the signed approvals and
the intents that executed them.

Laws:
- the content that an intent executes has the digest that the intent states, and so has the content shown to people;
- the earlier outcome that the intent refers to has the leaf hash that the intent names, and states the same digest,
  for a tool that the same agent called under the same mandate;
- no two intents execute what one outcome prepared.

Undisclosed fields cannot be compared; the checks count them.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from answerable.core.action.prepared import FORMATS, PREFIX
from answerable.core.approval.action_object import object_in
from answerable.core.canonical import FrozenJSON, encode, parse
from answerable.errors import AnswerableError
from answerable.errors.codes.action import PREPARED_EXECUTED
from answerable.verify.leaf_rules import Fault
from answerable.verify.leaf_shapes import ApprovalLeaf, EndLeaf, IntentLeaf

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.disclosure import Disclosure
    from answerable.verify.leaf_types import Leaf

RULE: Final = PREPARED_EXECUTED.id


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """The stated origin of prepared bytes. entry: the outcome that states their digest."""

    argument: str
    by: str
    digest: str
    entry: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ran:
    """An intent. reference: entry and leaf hash of the outcome that prepared its object; None if it executes no
    prepared object. link: the content of its `prepared` field, if disclosed. approval: empty if no approval was
    required."""

    index: int
    agent: str
    mandate: str
    capability: str
    approval: str
    reference: tuple[int, str] | None
    link: _Link | None


class ShownPrepared:
    """Collects prepared objects and their use. unread: intents, outcomes and objects that could not be compared,
    because a field of theirs is not disclosed."""

    def __init__(self) -> None:
        self.unread = 0
        self._ran: dict[int, _Ran] = {}
        self._ended: dict[int, tuple[int, str, str | None]] = {}
        self._asked: dict[str, _Link] = {}
        self._found: list[tuple[int, Fault]] = []

    def take(self, index: int, leaf: Leaf, disclosures: Sequence[Disclosure], leaf_hash: bytes) -> None:
        """Take the next entry, with its disclosed fields."""
        fields = {one.name: bytes(one.value) for one in disclosures}
        try:
            if isinstance(leaf, ApprovalLeaf) and "object" in fields:
                self._take_asked(leaf, fields["object"])
            elif isinstance(leaf, EndLeaf):
                self._ended[index] = (leaf.intent, leaf_hash.hex(), _digest_told(leaf, fields))
            elif isinstance(leaf, IntentLeaf):
                self._take_intent(index, leaf, fields)
        except AnswerableError as fault:
            self._found.append((index, Fault(RULE, f"what was prepared does not check: {fault.message}")))

    def faults(self) -> Iterator[tuple[int, Fault]]:
        """Yield every fault, with the index of its entry. Call once, after the last entry."""
        yield from self._found
        executed: dict[int, int] = {}
        for ran in self._ran.values():
            asked = self._asked.get(ran.approval) if ran.approval else None
            if ran.reference is None:
                if asked is not None or ran.link is not None:
                    yield (
                        ran.index,
                        Fault(RULE, ("the entry does not refer to the entry that prepared what it executes")),
                    )
                continue
            first = executed.setdefault(ran.reference[0], ran.index)
            if first != ran.index:
                yield ran.index, Fault(RULE, f"entry {first} executed the same prepared object")
            yield from self._unlike_prepared(ran, *ran.reference)
            if ran.link is None:
                self.unread += 1
            elif asked is not None and asked != ran.link:
                yield ran.index, Fault(RULE, "the executed object is not the one that people approved")

    def _unlike_prepared(self, ran: _Ran, entry: int, leaf: str) -> Iterator[tuple[int, Fault]]:
        link = ran.link
        if link is not None and link.entry != entry:
            yield ran.index, Fault(RULE, "the entry that prepared it is not the one that it refers to")
        if entry >= ran.index:
            yield ran.index, Fault(RULE, "the entry that prepared it is a later one")
            return
        if entry not in self._ended:
            self.unread += 1
            return
        intent, hashed, digest = self._ended[entry]
        if leaf != hashed:
            yield ran.index, Fault(RULE, f"it names another leaf hash than that of entry {entry}")
        if digest is None:
            self.unread += 1
        elif not digest or (link is not None and digest != f"{PREFIX}{link.digest}"):
            yield ran.index, Fault(RULE, f"entry {entry} does not say that this was prepared")
        prepares = self._ran.get(intent)
        if prepares is None:
            self.unread += 1
            return
        by = prepares.capability if link is None else link.by
        if (prepares.agent, prepares.mandate, prepares.capability) != (ran.agent, ran.mandate, by):
            yield ran.index, Fault(RULE, f"what entry {entry} prepared is another agent's or mandate's")

    def _take_asked(self, leaf: ApprovalLeaf, content: bytes) -> None:
        value = object_in(FrozenJSON.from_canonical(content))
        prepared = value.get("prepared")
        if prepared is None:
            return
        link = _link(prepared)
        whole = prepared.get("object") if isinstance(prepared, dict) else None
        _check_bytes(link, value.get("arguments"))
        text = _text(whole, prepared)
        if sha256(text).hexdigest() != link.digest:
            raise PREPARED_EXECUTED("the object that was shown has another digest")
        self._asked[leaf.approval] = link

    def _take_intent(self, index: int, leaf: IntentLeaf, fields: Mapping[str, bytes]) -> None:
        link = None
        if "prepared" in fields:
            link = _link(parse(fields["prepared"]))
            if "request" in fields:
                request = parse(fields["request"])
                _check_bytes(link, request.get("arguments") if isinstance(request, dict) else None)
            else:
                self.unread += 1
        self._ran[index] = _Ran(
            index=index,
            agent=leaf.agent,
            mandate=leaf.mandate,
            capability="" if leaf.capability is UNSET else leaf.capability,
            approval="" if leaf.approval is UNSET else leaf.approval,
            reference=None
            if leaf.prepared_ref is UNSET
            else (leaf.prepared_ref.entry, str(leaf.prepared_ref.leaf)),
            link=link,
        )


def _digest_told(leaf: EndLeaf, fields: Mapping[str, bytes]) -> str | None:
    """Return the digest that an outcome states as prepared; empty if it states that nothing was stored, None if it is
    not disclosed."""
    if "prepared" not in fields:
        return None
    said = parse(fields["prepared"])
    if not isinstance(said, dict) or said.get("kept") is not True or leaf.status != "succeeded":
        return ""
    return str(said.get("digest"))


def _link(value: JSONValue) -> _Link:
    match value:
        case {"argument": str(argument), "by": str(by), "digest": str(digest), "entry": int(entry)}:
            return _Link(argument=argument, by=by, digest=digest, entry=entry)
    raise PREPARED_EXECUTED("the entry does not contain what was prepared")


def _check_bytes(link: _Link, arguments: JSONValue) -> None:
    text = arguments.get(link.argument) if isinstance(arguments, dict) else None
    if not isinstance(text, str) or sha256(text.encode()).hexdigest() != link.digest:
        raise PREPARED_EXECUTED("what was sent has another digest")


def _text(whole: JSONValue, prepared: JSONValue) -> bytes:
    """Return the bytes of an object: canonical JSON, or the text itself."""
    form = prepared.get("format") if isinstance(prepared, dict) else None
    if form not in FORMATS or (form == "text" and not isinstance(whole, str)):
        raise PREPARED_EXECUTED("the prepared object has an unknown format")
    return whole.encode() if form == "text" and isinstance(whole, str) else encode(whole)
