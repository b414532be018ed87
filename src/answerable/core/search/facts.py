"""What one entry can be found by: names from its leaf, and values from its sealed fields.

Laws: the index is built from these facts, and a hit counts only if the facts of the entry, opened again, meet the
search; an entry whose fields cannot be decrypted is found by its leaf alone.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.core.ledger.subject_key import key_id_of, sections_of
from answerable.core.ledger.tags import Tag
from answerable.core.registry.documents.budget_name import MONEY
from answerable.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import StoredEntry

    Members = Mapping[str, JSONValue]

ACTIONS: Final[Mapping[int, tuple[str, str]]] = {
    Tag.INTENT: ("allow", "open"),
    Tag.REFUSAL: ("deny", "refused"),
    Tag.APPROVAL_ASKED: ("defer", "asked"),
}
"""Entries about one action: the decision, and the outcome until another entry says how it ended."""
ENDS: Final = frozenset({Tag.OUTCOME, Tag.INDETERMINATE})
"""Entries that are joined with the intent that they end."""
OF_APPROVAL: Final = frozenset({Tag.INTENT, Tag.APPROVAL_ANSWER})
"""Entries that are found by who answered their approval."""
OF_LEASE: Final = frozenset({Tag.INTENT})
"""Entries that are found by the accounts of their lease; the state of a lease names its account itself."""
NOT_OF_USE: Final = frozenset({Tag.GENESIS, Tag.RECOVERY, Tag.KEY_CHANGE, Tag.PEOPLES_KEYS})
"""Entries that a log has before anything happened."""
PEOPLE: Final = ("principal", "person", "by", "owner", "author", "of", "to")
"""Members of leaves that are pseudonyms of people; the opened fields have the names under the same member."""
TEXT_WORDS_MAX: Final = 64
"""Distinct words of one entry that it is found by."""
NAME_CHARS_MAX: Final = 500

_MEMBERS: Final = {
    "agent": ("agent",),
    "instance": ("instance", "parent"),
    "mandate": ("mandate",),
    "use-case": ("use_case",),
    "capability": ("capability",),
    "server": ("server",),
    "target": ("target", "lease_target"),
    "rule": ("rule",),
    "code": ("code",),
    "approval": ("approval", "preview_of", "approvals"),
    "lease": ("lease",),
    "account": ("account",),
    "manifest": ("manifest",),
    "token": ("hop",),
    "hold": ("hold",),
    "action": ("action",),
}
"""Members of leaves by field; a list counts with each of its items."""
_TEXTS: Final = ("reason", "reasons", "comment", "purpose")
_ACTION_TEXTS: Final = ("reason", "reasons")
"""The purpose of a mandate is found at the mandate, not again at each of its actions."""
_WORD: Final = re.compile(r"\w{2,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One entry. names: values from the leaf, by field. sealed: values from sealed fields, by field. people: pseudonym
    and name of each person whom the fields name. subject: id of the key that seals the entry, hex; empty for none."""

    entry: int
    tag: int
    at: int
    subject: str
    names: Mapping[str, tuple[str, ...]]
    sealed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    people: tuple[tuple[str, str], ...] = ()
    amount: int | None = None

    @property
    def is_action(self) -> bool:
        """Whether the entry is about one action: permitted, refused or asked about."""
        return self.tag in ACTIONS

    def one(self, name: str) -> str:
        """Return the first value of a field in the leaf; empty where there is none."""
        return self.names.get(name, ("",))[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The entry that says how an intent ended. session: the target's names of the session, by kind."""

    intent: int
    entry: int
    at: int
    outcome: str
    session: tuple[tuple[str, str], ...]


def facts_of(stored: StoredEntry, leaf: Members, fields: Members | None) -> Facts:
    """Return what an entry that is not in `ENDS` can be found by. fields: as `payload_of` returns them."""
    opened = fields or {}
    names = {name: _unique(_named(leaf, members)) for name, members in _MEMBERS.items()}
    names["person"] = _unique(_named(leaf, PEOPLE))
    names["key"] = _unique(_keys(stored.tag, leaf))
    names["agent"] = _unique((*names["agent"], *_of_hops(leaf, "agent")))
    names["token"] = _unique((*names["token"], *_of_hops(leaf, "id")))
    names["rule"] = _unique((*_rules(leaf), *names["rule"]))
    names["kind"] = (kind_of(stored.tag),)
    names["subject"] = _unique(_subjects(stored.attachment))
    action = ACTIONS.get(stored.tag)
    if action is not None:
        names["decision"], names["outcome"] = (action[0],), (action[1],)
    at = leaf.get("at")
    return Facts(
        entry=stored.index,
        tag=stored.tag,
        at=at if type(at) is int else 0,
        subject=next(iter(names["subject"]), ""),
        names={name: found for name, found in names.items() if found},
        sealed=_sealed(stored.tag, opened),
        people=tuple(_people(leaf, opened)),
        # Nothing of what an erased person did is found by amount, not even what the leaf says of it.
        amount=_amount(leaf, opened) if action is not None and fields is not None else None,
    )


def ended_of(stored: StoredEntry, leaf: Members) -> Ended | None:
    """Return how an intent ended, for an entry in `ENDS`; None for one that names no intent."""
    intent, at, session = leaf.get("intent"), leaf.get("at"), leaf.get("session")
    if type(intent) is not int:
        return None
    said = session.items() if isinstance(session, dict) else ()
    return Ended(
        intent=intent,
        entry=stored.index,
        at=at if type(at) is int else 0,
        outcome=str(leaf.get("status")),
        session=tuple((kind, value) for kind, value in said if isinstance(value, str) and value),
    )


def kind_of(tag: int) -> str:
    """Return the name of an entry type, as timelines say it."""
    return Tag(tag).name.lower() if tag in Tag._value2member_map_ else f"tag {tag}"


def words_in(text: str) -> tuple[str, ...]:
    """Return the distinct words of a text, without regard to case and to compatible spellings."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return _unique(_WORD.findall(plain))


def _named(leaf: Members, members: tuple[str, ...]) -> Iterator[str]:
    for member in members:
        value = leaf.get(member)
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, str) and one:
                yield one


def _unique(values: Iterator[str] | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for one in values if 0 < len(one) <= NAME_CHARS_MAX))


def _keys(tag: int, leaf: Members) -> Iterator[str]:
    proof = leaf.get("proof")
    if isinstance(proof, dict):
        yield from _named(proof, ("binding",))
    # In an intent `key` is what the upstream uses to recognise a repeated call.
    if tag != Tag.INTENT:
        yield from _named(leaf, ("key",))


def _of_hops(leaf: Members, member: str) -> Iterator[str]:
    hops = leaf.get("hops")
    for one in hops if isinstance(hops, list) else ():
        if isinstance(one, dict):
            yield from _named(one, (member,))


def _rules(leaf: Members) -> Iterator[str]:
    decision, by = leaf.get("decision"), leaf.get("by")
    if isinstance(decision, dict):
        yield from _named(decision, ("by", "lifted"))
    if isinstance(by, list):
        yield from _named(leaf, ("by",))


def _subjects(attachment: bytes) -> Iterator[str]:
    try:
        for one in sections_of(attachment) if attachment else ():
            yield key_id_of(one).hex()
    except Malformed:
        return


def _people(leaf: Members, opened: Members) -> Iterator[tuple[str, str]]:
    for member in PEOPLE:
        pseudonym, name = leaf.get(member), opened.get(member)
        if isinstance(pseudonym, str) and isinstance(name, str) and pseudonym and name:
            yield pseudonym, name


def _sealed(tag: int, opened: Members) -> dict[str, tuple[str, ...]]:
    question = opened.get("question")
    question = question if isinstance(question, dict) else {}
    resource, hold = _part(question, "resource"), _part(question, "hold")
    destination = _part(_part(question, "context"), "destination")
    texts = [opened.get(one) for one in (_ACTION_TEXTS if tag in ACTIONS else _TEXTS)]
    found = {
        "resource": _unique(_named(resource, ("id",))),
        "destination": _unique(_named(destination, ("names",))),
        "hold": _unique(_named(hold, ("id",))),
        "text": words_in(" ".join(_texts(texts)))[:TEXT_WORDS_MAX],
    }
    return {name: values for name, values in found.items() if values}


def _texts(values: list[JSONValue]) -> Iterator[str]:
    for value in values:
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, str):
                yield one


def _part(value: Members, member: str) -> Members:
    found = value.get(member)
    return found if isinstance(found, dict) else {}


def _amount(leaf: Members, opened: Members) -> int | None:
    """Return the argument `amount`, else the money that the action reserved."""
    question = opened.get("question")
    context = _part(question, "context") if isinstance(question, dict) else {}
    amount = _part(context, "arguments").get("amount")
    if type(amount) is int:
        return amount
    reserved = _part(leaf, "reserved")
    return next((one for name, one in reserved.items() if name.startswith(MONEY) and type(one) is int), None)
