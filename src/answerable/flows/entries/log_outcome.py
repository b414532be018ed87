"""Step 9 of the walk: record durably how an intent ended. Also used when settling or correcting an intent."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.canonical import encode
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger import records_actions
from answerable.core.mandate.budget import NOTHING
from answerable.errors import Unavailable
from answerable.flows.counters.count_history import count_ended, started_by
from answerable.flows.counters.recall_rules import take_back_retry
from answerable.flows.counters.watch_rules import count_overrun
from answerable.flows.recording.record_entry import sealing_of_entry

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from answerable.core.action.outcome import Outcome
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.canonical import JSONValue
    from answerable.core.decision.counter import Event
    from answerable.core.decision.obligation import Kept
    from answerable.core.ledger.entry import Entry, Receipt
    from answerable.core.ledger.runs import Run
    from answerable.flows.state.parts import AuthorityRegisters, Counters, OpenIntent, Recorder
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.clock import Clock

_ENCODER: Final = msgspec.json.Encoder()
RESULT_BYTES_MAX: Final = 4 * 1024 * 1024
"""Longest answer stored in full for an obligation; a longer one is truncated like any other."""


async def end_intent(
    recorder: Recorder,
    authority: AuthorityRegisters,
    counters: Counters,
    limits: WalkLimits,
    *,
    intent: Receipt,
    action_id: str,
    outcome: Outcome,
    patient: bool = True,
    opened: OpenIntent | None = None,
) -> Receipt | None:
    """Append the end of an intent. When there is no room for the answer's bytes, store only their digest.

    The first caller removes the intent from the open ones. A second end is the true outcome found later, and gets a new
    entry, only if settlement ended the intent as indeterminate meanwhile, and only once; any other second end, and a
    second `indeterminate`, adds nothing, gives nothing back and returns None. opened: the intent as this process began
    it, if it did. Raises Unavailable, and, once all is recorded, the cancellation of a caller who left.
    """
    taken = recorder.open_intents.pop(intent.index, None)
    if taken is None:
        if intent.index not in recorder.unclear:
            return None
        recorder.unclear.discard(intent.index)
        if outcome.status == "indeterminate":
            return None
    # A second caller uses `opened`: it must not need the subject's key, which may be unavailable by now, or lose its
    # place in the run.
    of = taken or opened
    if of is None:
        # The reserved amounts are unknown, so nothing of them is returned.
        outcome = msgspec.structs.replace(outcome, returned=NOTHING, overrun=NOTHING)
    elif opened is None and of.verified is not None and outcome.status == "indeterminate":
        # Settlement ends an intent of this process, whose action may still tell how it ended.
        recorder.unclear.add(intent.index)
    whole = result_bytes(outcome.result)
    log, limit = of.log if of is not None else "", limits.recorded_result_bytes_max
    kept = whole if not log and len(whole) <= limit else _kept(whole, log, limit)
    cut = hashlib.sha256(whole).hexdigest() if kept is not whole else ""
    try:
        try:
            receipt, left = await _recorded(
                recorder, authority, counters, of, intent, action_id, outcome, kept, cut, patient
            )
        except Unavailable as failed:
            if failed.code != "ledger.full" or not kept:
                raise
            digest = hashlib.sha256(whole).hexdigest()
            receipt, left = await _recorded(
                recorder, authority, counters, of, intent, action_id, outcome, b"", digest, patient=True
            )
    except Unavailable as failed:
        if taken is not None:
            recorder.unclear.discard(intent.index)
            recorder.open_intents[intent.index] = _still_open(recorder.clock, taken, outcome, failed)
        raise
    if left is not None:
        raise left
    return receipt


def _still_open(clock: Clock, taken: OpenIntent, outcome: Outcome, failed: Unavailable) -> OpenIntent:
    """Return the open intent with what is known of its end: settling records that as soon as there is room."""
    if failed.effect == "unknown" or outcome.status == "indeterminate":
        return taken
    return msgspec.structs.replace(taken, known=outcome, due_at=clock.now())


def _recorded(
    recorder: Recorder,
    authority: AuthorityRegisters,
    counters: Counters,
    opened: OpenIntent | None,
    intent: Receipt,
    action_id: str,
    outcome: Outcome,
    result: bytes,
    digest: str,
    patient: bool,
) -> Awaitable[tuple[Receipt, BaseException | None]]:
    """Record the end of an intent, in the mandate's run if this process began it. For another process's intent, only
    its key can be found again."""
    sealing = opened.sealing if opened is not None else None
    if sealing is None:
        sealing = sealing_of_entry(recorder, intent.index)
    of: VerifiedRequest | Event | None = opened.verified if opened is not None else None
    if of is None and counters.history.is_counting:
        of = started_by(recorder, authority.registry, intent.index)
    at = UnixMillis(0)

    def entry(run: Run | None) -> Entry:
        nonlocal at
        at = recorder.clock.now()
        return records_actions.outcome(
            outcome,
            at=at,
            sealing=sealing,
            run=run,
            action_id=action_id,
            intent=intent,
            result=result,
            result_digest=digest,
        )

    def count(placed: Receipt) -> None:
        count_ended(counters.history, of, outcome, at=at, index=placed.index)
        if outcome.status == "not_started":
            take_back_retry(recorder, authority, counters.stop_rules, intent.index)
        if outcome.overrun and opened is not None and opened.verified is not None:
            count_overrun(recorder, authority, counters, opened.verified, at=at, index=placed.index)

    return recorder.intents.finish(
        opened.mandate if opened is not None else "",
        entry,
        reserved=opened.reserved if opened is not None else None,
        returned=outcome.returned,
        overrun=outcome.overrun,
        patient=patient,
        placed=count,
    )


def result_bytes(result: dict[str, JSONValue] | None) -> bytes:
    """Encode an upstream's answer as JSON bytes. It may have values that our canonical form refuses, such as huge
    integers."""
    if result is None:
        return b""
    try:
        return _ENCODER.encode(result)
    except (msgspec.MsgspecError, OverflowError, ValueError, TypeError, RecursionError):
        return _lenient(result)


def _lenient(result: dict[str, JSONValue]) -> bytes:
    """Encode an answer that strict JSON cannot represent. The outcome must be recorded anyway, and strict readers must
    be able to read it."""
    try:
        text = json.dumps(result, default=lambda odd: f"a {type(odd).__name__}")
        whole = json.loads(text, parse_constant=str)
        return json.dumps(whole, ensure_ascii=False).encode("utf-8", "replace")
    except (ValueError, TypeError, RecursionError) as error:
        return encode({"not_recorded": type(error).__name__})


def _kept(whole: bytes, log: Kept, limit: int) -> bytes:
    """Return the part of an answer that is sealed: its beginning if it is long; all or nothing where an obligation says
    so."""
    if log == "digest":
        return b""
    return _cut(whole, RESULT_BYTES_MAX if log == "full" else limit)


def _cut(whole: bytes, limit: int) -> bytes:
    if len(whole) <= limit:
        return whole
    return encode({"cut_after_bytes": limit, "text": whole[:limit].decode("utf-8", "replace")})
