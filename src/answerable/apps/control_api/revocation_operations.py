"""Revocations: revoke and list them; the answer says what was stopped and what had already happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.api import revocation_answers as answers
from answerable.api.members import Page
from answerable.apps.control_api.call import instant, page_of
from answerable.apps.control_api.operation import Operation, operation
from answerable.core.ledger.effects import counts
from answerable.core.mandate.revocation import NAME_CHARS_MAX, REASON_CHARS_MAX, revocable
from answerable.flows.revocation.revoke_authority import revoke_authority

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.core.mandate.revocation import Revocation
    from answerable.flows.revocation.revoke_authority import Stopped


@operation(
    "POST",
    "/v1/revocations",
    id="revoke",
    summary="Revoke a token, hop, mandate, agent, key, manifest, owner, vendor or trust domain, permanently",
    answer=answers.Stopped,
    body=answers.RevocationRequest,
)
async def revoke(call: Call) -> answers.Stopped:
    """Revoke something by its kind and name, for good."""
    body = call.members("kind", "name", "reason")
    what = revocable(body.text("kind", chars_max=16), body.text("name", chars_max=NAME_CHARS_MAX))
    given = isinstance(call.body, dict) and "reason" in call.body
    reason = body.text("reason", chars_max=REASON_CHARS_MAX) if given else ""
    stopped = await revoke_authority(
        call.walk.recorder,
        call.walk.authority,
        call.walk.live,
        what,
        by=call.by,
        reason=reason,
        workloads=getattr(call.product, "workloads", None),
    )
    return _stopped(call, stopped)


@operation(
    "GET",
    "/v1/revocations",
    id="list_revocations",
    summary="Everything that was revoked, newest first",
    answer=Page[answers.Revocation],
)
async def list_revocations(call: Call) -> Page[answers.Revocation]:
    """List every revocation, newest first."""
    found = call.walk.authority.revocations.all()
    return page_of(call, found, name=lambda one: f"{one.what.kind}:{one.what.name}", render=_revocation)


def _revocation(one: Revocation) -> answers.Revocation:
    return answers.Revocation(
        kind=one.what.kind, name=one.what.name, at=instant(one.at), by=one.by, reason=one.reason
    )


def _stopped(call: Call, stopped: Stopped) -> answers.Stopped:
    return answers.Stopped(
        revocation=_revocation(stopped.revocation),
        new=stopped.is_new,
        stopped=answers.EndedAuthority(
            mandates=tuple(stopped.mandates),
            mandates_count=stopped.mandates_count,
            tokens=tuple(stopped.tokens),
            tokens_count=stopped.tokens_count,
            approvals=tuple(stopped.approvals),
            instances=tuple(stopped.instances),
            instances_count=stopped.instances_count,
        ),
        in_flight=tuple(
            answers.FlightAtRevocation(
                log=one.log,
                entry=one.index,
                action=one.action,
                agent=one.agent,
                capability=one.capability,
                since=instant(one.since),
                due=instant(one.due_at),
            )
            for one in stopped.in_flight
        ),
        in_flight_count=sum(one.in_flight_count for one in stopped.effects),
        done=tuple(
            answers.DoneAtRevocation(
                log=one.log,
                entry=one.index,
                action=one.action,
                agent=one.agent,
                capability=one.capability,
                at=instant(one.at),
                status=one.status,
                undoing=one.undoing,
            )
            for one in stopped.done
        ),
        done_count=answers.UndoingCount(**counts(stopped.effects)),
        logs=_logs(stopped),
        log=call.walk.recorder.ledger.origin,
    )


def _logs(stopped: Stopped) -> tuple[answers.LogAsked, ...]:
    """Return how much of each log was examined, and which logs could not be read."""
    asked = (
        answers.LogAsked(log=one.log, asked=True, looked_from=one.looked_from, entries=one.entries, why="")
        for one in stopped.effects
    )
    others = (
        answers.LogAsked(log=one.log, asked=False, looked_from=0, entries=0, why=one.why)
        for one in stopped.not_asked
    )
    return (*asked, *others)


OPERATIONS: Final[tuple[Operation, ...]] = (
    revoke,
    list_revocations,
)
