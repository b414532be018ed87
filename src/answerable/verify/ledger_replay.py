"""Asking all decisions of a log again, as its entries come."""

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
"""Decisions that are asked together."""
STATED: Final = (Tag.CITED, Tag.POLICY_CHANGE, Tag.MANDATE_ISSUED)
"""Entries that write down what decisions are made under."""


def replay_entries(
    entries: Iterable[StoredEntry], find: FindKey, *, statements: Statements | None = None
) -> Iterator[Replayed]:
    """Ask every decision among these entries again, in order.

    find: the keys of who runs the log: an entry without one is erased. statements: what was written down before the
    first of them; gets what they write down. Of many, Cedar is told what the policies mention; of one in
    `WHOLE_EVERY`, the whole.
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
    """An entry with those of its fields that asking again looks at, as far as they can be opened.

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
            # What there is, is not what the leaf commits to: for `ledger verify` to say.
            fields = {}
    return DecisionEntry(index=stored.index, tag=stored.tag, leaf=leaf, fields=fields, whole=whole)


def _fields(stored: StoredEntry, leaf: _Leaf, key: SubjectKey) -> dict[str, bytes] | None:
    """Of the fields that the leaf commits to; None where the attachment is another."""
    if sha256(stored.attachment).hexdigest() != leaf.get("payload"):
        return None
    return committed_fields(stored.attachment, key, leaf.get("_sd"), shown_for_replay(stored.tag, leaf))


class _Leaf(TypedDict, total=False):
    """Members of leaves that asking again looks at; of the others no more is read than that they are there."""

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
