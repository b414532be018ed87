"""What a leaf must say, by tag, and how entries must fit together. Additional members are let pass.

Laws:
- every end points at an earlier intent by index, leaf hash and action;
- an intent has one end, and after an indeterminate one at most one correction;
- only what was decided `allow` is an intent.

msgspec, which `core.canonical` needs anyway, checks members and types: a leaf that it writes back byte for byte is
canonical, for members are sorted, numbers are bounded integers and nothing was dropped. All others go the long way.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from answerable.core.action.lifecycle import ENDS, TRANSITIONS
from answerable.core.canonical import INTEGER_MAX, encode_ledger, parse
from answerable.core.ledger.entry import LEAF_BYTES_MAX, LEAF_VERSION, SALT_BYTES
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, shown
from answerable.verify.report import OpenIntent

if TYPE_CHECKING:
    from collections.abc import Iterable

Count = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Compared = Annotated[str, Meta(min_length=64, max_length=64)]
"""A digest that is compared with a computed one, so that its digits need no look of their own."""

_OPEN: Final = 1
_INDETERMINATE: Final = 2
_ENDED: Final = 3


def _ends_after(*states: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(to for state in states for to in TRANSITIONS[state] if to in ENDS))


# By state of the intent, and by whether the entry is an indeterminate end: the statuses that the table allows it.
_STATUSES: Final = {
    (state, indeterminate): tuple(one for one in ends if (one == "indeterminate") is indeterminate)
    for state, ends in (
        (_OPEN, _ends_after("acting", "logged")),
        (_INDETERMINATE, _ends_after("indeterminate")),
        (_ENDED, _ends_after("succeeded", "failed", "not_started")),
    )
    for indeterminate in (False, True)
}
_OPEN_SHOWN_MAX: Final = 100


class Fault(NamedTuple):
    """rule: stable code."""

    rule: str
    message: str


class Leaf(Struct, kw_only=True, gc=False):
    """Members of every leaf."""

    v: int
    tag: int
    at: Count
    payload: Compared | UnsetType = UNSET


class Proven(Struct, kw_only=True):
    """How the caller proved possession of its key."""

    binding: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    sequence: Count | UnsetType = UNSET


class Decided(Struct, kw_only=True):
    """The decision inside an intent."""

    effect: str
    policy_set: str
    by: list[str]
    lifted: list[str]


class GenesisLeaf(Leaf):
    """Tag 1."""

    key: str
    origin: str


class IntentLeaf(Leaf, gc=True):
    """Tag 2."""

    action: str
    agent: str
    principal: str
    mandate: str
    digest: Digest
    decision: Decided
    deadline: Count
    approval: str | UnsetType = UNSET
    call: Count | UnsetType = UNSET
    capability: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    lease: str | UnsetType = UNSET
    method: str | UnsetType = UNSET
    proof: Proven | UnsetType = UNSET
    server: str | UnsetType = UNSET
    use_case: str | UnsetType = UNSET


class EndLeaf(Leaf):
    """Tags 3 and 4."""

    action: str
    intent: Count
    intent_leaf: Compared
    status: str
    result: str | UnsetType = UNSET


class RefusalLeaf(Leaf, gc=True):
    """Tag 5."""

    action: str
    agent: str
    by: list[str] | UnsetType = UNSET
    capability: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    digest: Digest | UnsetType = UNSET
    mandate: str | UnsetType = UNSET
    method: str | UnsetType = UNSET
    policy_set: str | UnsetType = UNSET
    proof: Proven | UnsetType = UNSET
    server: str | UnsetType = UNSET


class RefusalsCountedLeaf(Leaf, gc=True):
    """Tag 6."""

    agents: dict[str, Count]
    strangers: dict[str, Count]


class ApprovalLeaf(Leaf, gc=True):
    """Tag 7."""

    approval: str
    agent: str
    mandate: str
    digest: Digest
    capability: str | UnsetType = UNSET
    decision: Decided | UnsetType = UNSET
    expires: Count | UnsetType = UNSET
    principal: str | UnsetType = UNSET
    proof: Proven | UnsetType = UNSET


class AnswerLeaf(Leaf):
    """Tag 8."""

    approval: str
    person: str
    verdict: str
    digest: Digest | UnsetType = UNSET
    mandate: str | UnsetType = UNSET
    state: str | UnsetType = UNSET


class MandateLeaf(Leaf):
    """Tag 9."""

    mandate: str
    agent: str
    principal: str
    calls_max: Count | UnsetType = UNSET
    expires: Count | UnsetType = UNSET
    use_case: str | UnsetType = UNSET


class MandateClosedLeaf(Leaf):
    """Tag 10."""

    mandate: str
    agent: str | UnsetType = UNSET
    by: str | UnsetType = UNSET


class ChangeLeaf(Leaf):
    """Tags 11 and 12."""

    before: str
    after: str
    by: str | UnsetType = UNSET


class RecoveryLeaf(Leaf):
    """Tag 13."""

    size: Count
    clean: bool
    cut_bytes: Count
    cut_at: Count | UnsetType = UNSET
    cut_segment: str | UnsetType = UNSET
    sealed: Count | UnsetType = UNSET


_SHAPES: Final[dict[int, type[Leaf]]] = {
    Tag.GENESIS: GenesisLeaf,
    Tag.INTENT: IntentLeaf,
    Tag.OUTCOME: EndLeaf,
    Tag.INDETERMINATE: EndLeaf,
    Tag.REFUSAL: RefusalLeaf,
    Tag.REFUSALS_COUNTED: RefusalsCountedLeaf,
    Tag.APPROVAL_ASKED: ApprovalLeaf,
    Tag.APPROVAL_ANSWER: AnswerLeaf,
    Tag.MANDATE_ISSUED: MandateLeaf,
    Tag.MANDATE_CLOSED: MandateClosedLeaf,
    Tag.REGISTRY_CHANGE: ChangeLeaf,
    Tag.POLICY_CHANGE: ChangeLeaf,
    Tag.RECOVERY: RecoveryLeaf,
}
_DECODERS: Final = {int(tag): msgspec.json.Decoder(shape) for tag, shape in _SHAPES.items()}
_ANY_LEAF: Final = msgspec.json.Decoder(Leaf)


class _Peek(Struct):
    v: int
    tag: int


_PEEK: Final = msgspec.json.Decoder(_Peek)
_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def read_leaf(encoded: bytes) -> Leaf | Fault:
    """The leaf, canonical and with the members of its tag, or the first thing wrong with it taken alone."""
    if len(encoded) > LEAF_BYTES_MAX:
        return Fault("leaf.size", f"the leaf has {len(encoded)} bytes, expected at most {LEAF_BYTES_MAX}")
    try:
        peek = _PEEK.decode(encoded)
        if peek.v != LEAF_VERSION:
            return Fault("leaf.version", f"the leaf has version {peek.v}, this program reads {LEAF_VERSION}")
        leaf = _DECODERS.get(peek.tag, _ANY_LEAF).decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _canonical_fault(encoded) or Fault("leaf.member", _lowered(str(error)))
    if encoded.isascii() and _ENCODER.encode(leaf) == encoded:
        return leaf
    return _canonical_fault(encoded) or leaf


def payload_fault(leaf: Leaf, attachment: bytes) -> Fault | None:
    """Whether what is stored beside the leaf is what the leaf commits to."""
    if leaf.payload is UNSET:
        return (
            Fault("payload.uncommitted", "a payload that the leaf does not commit to") if attachment else None
        )
    if not attachment:
        return Fault("payload.missing", "the payload that the leaf commits to is missing")
    if len(attachment) <= SALT_BYTES or sha256(attachment).hexdigest() != leaf.payload:
        return Fault("payload.mismatch", "the payload is not the one that the leaf commits to")
    return None


class _Intent(NamedTuple):
    leaf_hash: bytes
    action: str
    deadline: int


class Pairing:
    """Follows intents and their ends through a log. Needs one byte per entry, and more only for open intents."""

    def __init__(self) -> None:
        self._states = bytearray()
        self._intents: dict[int, _Intent] = {}

    def fault(self, index: int, leaf: Leaf, leaf_hash: bytes) -> Fault | None:
        """Take the next entry. Entries that could not be read are left out."""
        if isinstance(leaf, IntentLeaf):
            self._states.extend(bytes(index + 1 - len(self._states)))
            self._states[index] = _OPEN
            self._intents[index] = _Intent(leaf_hash, leaf.action, leaf.deadline)
            if leaf.decision.effect != "allow":
                return Fault("pair.not_allowed", f"an intent that was decided {shown(leaf.decision.effect)}")
        elif isinstance(leaf, EndLeaf):
            return self._ended(leaf)
        return None

    def open_intents(self) -> tuple[int, tuple[OpenIntent, ...]]:
        """How many intents have no end, and the first of them."""
        still = [index for index in self._intents if self._states[index] == _OPEN]
        return len(still), tuple(self._shown(still[:_OPEN_SHOWN_MAX]))

    def _shown(self, indexes: list[int]) -> Iterable[OpenIntent]:
        for index in indexes:
            intent = self._intents[index]
            yield OpenIntent(index=index, action=intent.action, deadline=intent.deadline)

    def _ended(self, leaf: EndLeaf) -> Fault | None:
        at, indeterminate = leaf.intent, leaf.tag == Tag.INDETERMINATE
        state = self._states[at] if at < len(self._states) else 0
        if not state:
            return Fault("pair.no_intent", f"its intent is said to be entry {at}, which is no earlier intent")
        allowed = _STATUSES[state, indeterminate]
        if not allowed:
            return Fault("pair.second_end", f"the intent of entry {at} had an end before")
        intent = self._intents[at]
        if leaf.intent_leaf != intent.leaf_hash.hex():
            return Fault("pair.leaf_hash", f"it names another leaf hash than that of its intent, entry {at}")
        if leaf.action != intent.action:
            return Fault("pair.action", f"it names another action than its intent, entry {at}")
        if leaf.status not in allowed:
            return Fault("pair.status", f"status {shown(leaf.status)} is not one of {', '.join(allowed)}")
        self._states[at] = _INDETERMINATE if indeterminate else _ENDED
        if not indeterminate:
            del self._intents[at]
        return None


def _canonical_fault(encoded: bytes) -> Fault | None:
    try:
        leaf = parse(encoded)
        if isinstance(leaf, dict) and encode_ledger(leaf) == encoded:
            return None
    except Malformed as error:
        return Fault("leaf.canonical", f"the leaf is not canonical: {error.message}")
    return Fault("leaf.canonical", "the leaf is not an object in canonical form")


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
