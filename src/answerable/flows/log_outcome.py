"""Step 9 of the walk, and the same step when settling or correcting: how an intent ended, on disk."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import msgspec
from anyio import CancelScope

from answerable.core.canonical import encode
from answerable.core.ledger import records
from answerable.core.ledger.entry import SALT_BYTES
from answerable.errors import Unavailable

if TYPE_CHECKING:
    from answerable.core.action.outcome import Outcome
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import Receipt
    from answerable.core.ledger.warrant import Warrant
    from answerable.flows.walk import Walk


async def log_outcome(walk: Walk, warrant: Warrant, outcome: Outcome) -> Receipt:
    """Record how the warrant's intent ended; a caller who leaves does not stop it.

    Raises Unavailable with effect `unknown`: the intent stays open and is settled after a restart.
    """
    return await end_intent(walk, intent=warrant.intent, action_id=warrant.action_id, outcome=outcome)


async def end_intent(walk: Walk, *, intent: Receipt, action_id: str, outcome: Outcome) -> Receipt:
    """Append the end of an intent. When there is no room for the answer's bytes, their digest alone is kept."""
    whole = _bytes_of(outcome.result)
    digest = hashlib.sha256(whole).hexdigest() if whole else ""
    kept = _cut(whole, walk.limits.recorded_result_bytes_max)
    with CancelScope(shield=True):
        try:
            receipt = await _append(walk, intent, action_id, outcome, kept, digest)
        except Unavailable as failed:
            if failed.code != "ledger.full" or not kept:
                raise
            receipt = await _append(walk, intent, action_id, outcome, b"", digest)
    walk.open_intents.pop(intent.index, None)
    return receipt


async def _append(
    walk: Walk, intent: Receipt, action_id: str, outcome: Outcome, result: bytes, digest: str
) -> Receipt:
    entry = records.outcome(
        outcome,
        at=walk.clock.now(),
        salt=walk.entropy.bytes(SALT_BYTES),
        action_id=action_id,
        intent=intent,
        result=result,
        result_digest=digest,
    )
    return await walk.ledger.append(entry)


def _bytes_of(result: dict[str, JSONValue] | None) -> bytes:
    """An upstream's answer as JSON bytes; it may hold what our own canonical form refuses, such as huge integers."""
    if result is None:
        return b""
    try:
        return msgspec.json.encode(result)
    except (msgspec.MsgspecError, OverflowError, UnicodeEncodeError, TypeError, RecursionError):
        return json.dumps(result, default=str).encode()


def _cut(whole: bytes, limit: int) -> bytes:
    if len(whole) <= limit:
        return whole
    return encode({"cut_after_bytes": limit, "text": whole[:limit].decode("utf-8", "replace")})
