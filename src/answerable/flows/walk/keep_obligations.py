"""Fulfil the obligations of an allow around the effect: notify groups, wait for witnesses, redact the answer.

Every obligation is already in the durable intent, so the ledger states the conditions of the allow even after a crash.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
import msgspec
from anyio import get_cancelled_exc_class

from answerable.core.action.outcome import Outcome
from answerable.core.approval.notice import Notice
from answerable.core.decision.obligation import NO_DUTIES
from answerable.core.decision.shown_answer import shown_answer
from answerable.errors import AnswerableError, Broken
from answerable.flows.entries.log_outcome import result_bytes
from answerable.flows.walk.decide_action import duties_in_force
from answerable.flows.walk.hide_tokens import INLINE_BYTES_MAX, hide_tokens

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from answerable.core.action.request import VerifiedRequest
    from answerable.core.decision.decision import Decision
    from answerable.core.decision.obligation import Duties
    from answerable.core.ledger.warrant import Warrant
    from answerable.flows.state.parts import IntentWitness
    from answerable.flows.walk.hide_tokens import HiddenProgress
    from answerable.ports.approval_channel import ApprovalChannel
    from answerable.ports.clock import Clock
    from answerable.ports.upstream import Progress

DETAIL_WITHHELD: Final = "what the upstream said about it is withheld by policy"
WITNESS_SPARE_MS: Final = 500
"""Part of a warrant's life that is reserved for the action itself after waiting for witnesses."""
# Answerable puts other parties' words in backticks in everything it writes.
_QUOTED: Final = re.compile(r"`[^`]*`?")


def tell_groups(
    channel: ApprovalChannel,
    clock: Clock,
    verified: VerifiedRequest,
    groups: tuple[str, ...],
    warrant: Warrant,
) -> None:
    """Notify the groups that policy names. The intent already states the duty, so a failing channel changes nothing."""
    for group in groups:
        notice = Notice(
            group=group,
            agent=verified.caller.agent,
            mandate=verified.mandate.id,
            capability=verified.resolved.capability.name,
            action_id=warrant.action_id,
            intent=warrant.intent.index,
            at=clock.now(),
        )
        with suppress(Exception):
            channel.notify(notice)


async def await_witnesses(
    witness: IntentWitness | None, clock: Clock, warrant: Warrant
) -> tuple[Outcome | None, BaseException | None]:
    """Wait until witnesses have cosigned the intent, as policy requires it.

    Returns (None, None) if the intent may be performed; otherwise the outcome without a start, and what to raise to the
    caller.
    """
    said = "no quorum of witnesses has cosigned the intent in time"
    left_ms = warrant.deadline - clock.now() - WITNESS_SPARE_MS
    raised: BaseException | None = None
    try:
        if witness is not None and await witness.covers(
            warrant.intent.index, seconds_max=max(0.0, left_ms / 1000)
        ):
            return None, None
    except get_cancelled_exc_class() as gone:
        said, raised = "the caller left before the start", gone
    except AnswerableError as failed:
        said = f"the intent could not be shown to witnesses: {failed.code}"
        raised = failed if isinstance(failed, Broken) else None
    return Outcome(status="not_started", detail=said), raised


def heard(progress: Progress) -> Progress:
    """Wrap `progress` so that it drops the upstream's words, for an obligation that restricts the answer."""

    async def wordless(done: float, total: float | None, _text: str | None) -> None:
        await progress(done, total, None)

    return wordless


def show_outcome(
    verified: VerifiedRequest, decision: Decision, outcome: Outcome, told: HiddenProgress | None
) -> Coroutine[Any, Any, Outcome]:
    """Return the outcome that the agent gets and the ledger stores: obligations applied first, then credentials hidden.

    `told`: the wrapper that hid credentials in progress messages.
    """
    duties = duties_in_force(decision)
    if duties is NO_DUTIES and not verified.resolved.capability.credential_answers:
        return hide_tokens(outcome, told)
    return _under_duties(verified, duties, outcome, told)


async def _under_duties(
    verified: VerifiedRequest, duties: Duties, outcome: Outcome, told: HiddenProgress | None
) -> Outcome:
    if duties.about_answer:
        outcome = await _shown(verified, duties, outcome)
    elif duties.log == "digest":
        outcome = msgspec.structs.replace(outcome, detail=_wordless(outcome))
    return outcome if verified.resolved.capability.credential_answers else await hide_tokens(outcome, told)


async def _shown(verified: VerifiedRequest, duties: Duties, outcome: Outcome) -> Outcome:
    detail = _wordless(outcome)
    if outcome.result is None:
        return msgspec.structs.replace(outcome, detail=detail)
    request = verified.request
    looked = partial(shown_answer, outcome.result, duties, method=request.method, target=request.target)
    if len(result_bytes(outcome.result)) > INLINE_BYTES_MAX:
        # The effect has happened and must be recorded, even if the caller leaves meanwhile.
        with anyio.CancelScope(shield=True):
            result, said = await anyio.to_thread.run_sync(looked)
    else:
        result, said = looked()
    detail = "; ".join(one for one in (detail, f"by obligation: {said}" if said else "") if one)
    return msgspec.structs.replace(outcome, detail=detail, result=result)


def _wordless(outcome: Outcome) -> str:
    """Return the detail without words of the upstream, which may contain what the obligation hides."""
    if outcome.status == "failed" and outcome.detail:
        return DETAIL_WITHHELD
    return _QUOTED.sub("`withheld`", outcome.detail)
