"""Evaluate all decisions of a log again, in order, as its entries are read."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypedDict

import msgspec

from answerable.core.ledger.disclosure import committed_fields
from answerable.core.ledger.subject_key import key_id_of
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError
from answerable.errors.codes.ledger import LEDGER_LEAF_MALFORMED
from answerable.verify.decision_replay import DECIDED, Replay, replay_all, shown_for_replay
from answerable.verify.replay_statements import Statements
from answerable.verify.replayed import DecisionEntry, Replayed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.core.ledger.subject_key import SubjectKey

WHOLE_EVERY: Final = 128
AT_ONCE: Final = 64
"""Decisions that are evaluated in one batch."""
STATED: Final = (Tag.CITED, Tag.POLICY_CHANGE, Tag.MANDATE_ISSUED)
"""Tags of the entries that state what decisions are made under."""


def replay_entries(
    entries: Iterable[StoredEntry], find: FindKey, *, statements: Statements | None = None
) -> Iterator[Replayed]:
    """Evaluate every decision among these entries again, in order.

    find: returns the log operator's key for a key id; an entry without a key is erased. statements: the statements of
    earlier entries; it takes up those of these entries. For most decisions, Cedar gets only the entities that the
    policies mention; for one in `WHOLE_EVERY`, it gets all of them.
    """
    known = Statements() if statements is None else statements
    waiting: list[Replay] = []
    count = 0
    for stored in entries:
        if stored.tag in STATED:
            entry = decision_entry(stored, find)
            known.take(stored.tag, entry.leaf, entry.fields or {})
        if stored.tag not in DECIDED:
            continue
        entry = decision_entry(stored, find)
        leaf, whole = entry.leaf, count % WHOLE_EVERY == 0
        count += 1
        waiting.append(
            Replay(entry, known.policy_set(leaf), known.mandate(leaf), known.hops(leaf), whole=whole)
        )
        if len(waiting) >= AT_ONCE:
            yield from replay_all(waiting)
            waiting = []
    yield from replay_all(waiting)


def decision_entry(stored: StoredEntry, find: FindKey) -> DecisionEntry:
    """Return an entry with the fields that a replay reads, as far as they can be decrypted.

    Raises Broken (`ledger.leaf_malformed`).
    """
    try:
        leaf = _LEAF.decode(stored.leaf)
    except msgspec.MsgspecError:
        raise LEDGER_LEAF_MALFORMED(f"entry {stored.index} has a leaf that is not an object") from None
    fields: dict[str, bytes] | None = {}
    whole = False
    if stored.attachment:
        try:
            key = find(key_id_of(stored.attachment))
            committed = None if key is None else _fields(stored, leaf, key)
            fields, whole = (None, False) if key is None else (committed or {}, committed is not None)
        except AnswerableError:
            # The attachment is not what the leaf commits to; `ledger verify` reports that.
            fields = {}
    return DecisionEntry(index=stored.index, tag=stored.tag, leaf=leaf, fields=fields, whole=whole)


def _fields(stored: StoredEntry, leaf: _Leaf, key: SubjectKey) -> dict[str, bytes] | None:
    """Return the disclosed fields that the leaf commits to; None if the attachment is another."""
    if sha256(stored.attachment).hexdigest() != leaf.get("payload"):
        return None
    return committed_fields(stored.attachment, key, leaf.get("_sd"), shown_for_replay(stored.tag, leaf))


class _Leaf(TypedDict, total=False):
    """The members of leaves that a replay reads; the decoder skips the values of all others."""

    _sd: Any
    action: Any
    after: Any
    agent: Any
    approval: Any
    at: Any
    by: Any
    capability: Any
    decision: Any
    effect: Any
    hop: Any
    hops: Any
    kind: Any
    lifted: Any
    mandate: Any
    mandate_ref: Any
    name: Any
    narrowed: Any
    obligations: Any
    payload: Any
    policy_ref: Any
    policy_set: Any
    requirements: Any
    tier: Any
    use_case: Any


_LEAF: Final = msgspec.json.Decoder(_Leaf)
