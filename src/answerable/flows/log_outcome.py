"""Step 9 of the walk, and the same step when settling or correcting: how an intent ended, on disk."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import msgspec

from answerable.core.canonical import encode
from answerable.core.ledger import records
from answerable.core.ledger.entry import SALT_BYTES
from answerable.errors import Unavailable
from answerable.flows.record_entry import record_entry

if TYPE_CHECKING:
    from answerable.core.action.outcome import Outcome
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import Entry, Receipt
    from answerable.core.ledger.warrant import Warrant
    from answerable.flows.walk import Walk


async def log_outcome(walk: Walk, warrant: Warrant, outcome: Outcome) -> Receipt | None:
    """Record how the warrant's intent ended; a caller who leaves does not stop it.

    None when settling has told already that the end is not known, and this outcome knows no more. Raises Unavailable
    with effect `unknown`, for the action may have been performed: the intent stays open and settling ends it.
    """
    try:
        return await end_intent(walk, intent=warrant.intent, action_id=warrant.action_id, outcome=outcome)
    except Unavailable as failed:
        raise Unavailable(failed.message, code=failed.code, port=failed.port, effect="unknown") from failed


async def end_intent(
    walk: Walk, *, intent: Receipt, action_id: str, outcome: Outcome, patient: bool = True
) -> Receipt | None:
    """Append the end of an intent. When there is no room for the answer's bytes, their digest alone is kept.

    Whoever comes first takes the intent off the open ones. To come second with an `indeterminate` adds nothing and
    gives None; with anything else it is the true outcome that turned up later, a new entry. Raises Unavailable, and
    the cancellation of a caller who left when all is done.
    """
    taken = walk.open_intents.pop(intent.index, None)
    if taken is None and outcome.status == "indeterminate":
        return None
    whole = _bytes_of(outcome.result)
    digest = hashlib.sha256(whole).hexdigest() if whole else ""
    kept = _cut(whole, walk.limits.recorded_result_bytes_max)
    try:
        try:
            receipt, left = await record_entry(
                walk.ledger, _entry(walk, intent, action_id, outcome, kept, digest), patient=patient
            )
        except Unavailable as failed:
            if failed.code != "ledger.full" or not kept:
                raise
            receipt, left = await record_entry(
                walk.ledger, _entry(walk, intent, action_id, outcome, b"", digest)
            )
    except Unavailable:
        if taken is not None:
            walk.open_intents[intent.index] = taken
        raise
    if left is not None:
        raise left
    return receipt


def _entry(
    walk: Walk, intent: Receipt, action_id: str, outcome: Outcome, result: bytes, digest: str
) -> Entry:
    return records.outcome(
        outcome,
        at=walk.clock.now(),
        salt=walk.entropy.bytes(SALT_BYTES),
        action_id=action_id,
        intent=intent,
        result=result,
        result_digest=digest,
    )


def _bytes_of(result: dict[str, JSONValue] | None) -> bytes:
    """An upstream's answer as JSON bytes; it may hold what our own canonical form refuses, such as huge integers."""
    if result is None:
        return b""
    try:
        return msgspec.json.encode(result)
    except (msgspec.MsgspecError, OverflowError, ValueError, TypeError, RecursionError):
        return _lenient(result)


def _lenient(result: dict[str, JSONValue]) -> bytes:
    """What no JSON can say must not keep an outcome from being recorded."""
    try:
        return json.dumps(result, default=lambda odd: f"a {type(odd).__name__}").encode()
    except (ValueError, TypeError, RecursionError) as error:
        return encode({"not_recorded": type(error).__name__})


def _cut(whole: bytes, limit: int) -> bytes:
    if len(whole) <= limit:
        return whole
    return encode({"cut_after_bytes": limit, "text": whole[:limit].decode("utf-8", "replace")})
