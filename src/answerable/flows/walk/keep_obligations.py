"""Obligations of an allow, kept around the effect: who is told, who has seen it, and what the agent gets to see.

By now every one of them is in the intent, which is durable: whatever becomes of this process, the ledger says under
which conditions the action was allowed.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
import msgspec
from anyio import get_cancelled_exc_class

from answerable.core.action.outcome import Outcome
from answerable.core.approval.notice import Notice
from answerable.core.decision.shown_answer import shown_answer
from answerable.errors import AnswerableError, Broken
from answerable.flows.entries.log_outcome import result_bytes
from answerable.flows.walk.decide_action import duties_in_force
from answerable.flows.walk.hide_tokens import INLINE_BYTES_MAX, hide_tokens

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.decision.decision import Decision
    from answerable.core.decision.obligation import Duties
    from answerable.core.ledger.warrant import Warrant
    from answerable.flows.state.walk import Walk
    from answerable.flows.walk.hide_tokens import HiddenProgress
    from answerable.ports.upstream import Progress

DETAIL_WITHHELD: Final = "what the upstream said about it is withheld by policy"
WITNESS_SPARE_MS: Final = 500
"""Of the life of a warrant, left for the act itself when witnesses have been waited for."""
# Words of somebody else stand in backticks in whatever we write.
_QUOTED: Final = re.compile(r"`[^`]*`?")


def tell_groups(walk: Walk, verified: VerifiedRequest, decision: Decision, warrant: Warrant) -> None:
    """Tell those whom policy wants told. The intent says so already, so a channel that fails changes nothing."""
    for group in duties_in_force(decision).notify:
        notice = Notice(
            group=group,
            agent=verified.caller.agent,
            mandate=verified.mandate.id,
            capability=verified.resolved.capability.name,
            action_id=warrant.action_id,
            intent=warrant.intent.index,
            at=walk.clock.now(),
        )
        with suppress(Exception):
            walk.channel.notify(notice)


async def await_witnesses(
    walk: Walk, decision: Decision, warrant: Warrant
) -> tuple[Outcome | None, BaseException | None]:
    """None once the intent may be performed; else how it ends without a start, and what to raise to the caller."""
    if not duties_in_force(decision).witnessed:
        return None, None
    said = "no quorum of witnesses has cosigned the intent in time"
    left_ms = warrant.deadline - walk.clock.now() - WITNESS_SPARE_MS
    raised: BaseException | None = None
    try:
        if walk.witness is not None and await walk.witness.covers(
            warrant.intent.index, seconds_max=max(0.0, left_ms / 1000)
        ):
            return None, None
    except get_cancelled_exc_class() as gone:
        said, raised = "the caller left before the start", gone
    except AnswerableError as failed:
        said = f"the intent could not be shown to witnesses: {failed.code}"
        raised = failed if isinstance(failed, Broken) else None
    return Outcome(status="not_started", detail=said), raised


def heard(decision: Decision, progress: Progress | None) -> Progress | None:
    """How progress reaches the agent: without the upstream's words where its answer is not to be seen as it is."""
    if progress is None or not duties_in_force(decision).about_answer:
        return progress

    async def wordless(done: float, total: float | None, _text: str | None) -> None:
        await progress(done, total, None)

    return wordless


async def show_outcome(
    verified: VerifiedRequest, decision: Decision, outcome: Outcome, told: HiddenProgress | None
) -> Outcome:
    """The outcome as the agent gets it and the ledger keeps it: obligations first, then no credential in it. told: what
    was said of its progress."""
    duties = duties_in_force(decision)
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
        # It happened, and must be written down as it happened, whoever leaves meanwhile.
        with anyio.CancelScope(shield=True):
            result, said = await anyio.to_thread.run_sync(looked)
    else:
        result, said = looked()
    detail = "; ".join(one for one in (detail, f"by obligation: {said}" if said else "") if one)
    return msgspec.structs.replace(outcome, detail=detail, result=result)


def _wordless(outcome: Outcome) -> str:
    """The detail without words of the upstream, which may be those that nobody is to see."""
    if outcome.status == "failed" and outcome.detail:
        return DETAIL_WITHHELD
    return _QUOTED.sub("`withheld`", outcome.detail)
