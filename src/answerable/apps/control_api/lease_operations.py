"""Leases: list those that are live or could not be revoked, end them, and list the broker's targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.api import lease_answers as answers
from answerable.api.members import Page
from answerable.apps.control_api.call import instant, page_of
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.schemas import TEXT, choice
from answerable.core.lease.name import lease_of
from answerable.core.lease.wire import LEASE_LISTS, lease_list
from answerable.errors import shown
from answerable.errors.codes.leases import LEASE_UNKNOWN
from answerable.flows.revocation.look_at_leases import all_leases, boundaries, broker_of

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.core.lease.lease import Lease
    from answerable.flows.revocation.look_at_leases import BoundaryOf
    from answerable.ports.lease_broker import BrokerTarget

NAME_CHARS_MAX: Final = 64
END_WAIT_SECONDS: Final = 10.0


@operation(
    "GET",
    "/v1/leases",
    id="list_leases",
    summary="Leases: what is live at which target, and what could not be revoked",
    answer=Page[answers.Lease],
    query=(
        ("which", choice(*LEASE_LISTS), "open (default), unrevoked, or those that ended last"),
        ("target", TEXT, "only at this target"),
    ),
)
async def list_leases(call: Call) -> Page[answers.Lease]:
    """List leases that are open, that could not be revoked, or that ended most recently."""
    which = lease_list(call.query.get("which", "open"))
    target = call.query.get("target", "")
    found = [one for one in await all_leases(call.walk.live.leases, which) if target in ("", one.target)]
    return page_of(call, found, name=lambda one: one.name, render=_lease)


@operation(
    "POST",
    "/v1/leases/end",
    id="end_lease",
    summary="End a lease now, or all at a target",
    answer=answers.LeasesEnded,
    body=answers.LeaseEndRequest,
)
async def end_lease(call: Call) -> answers.LeasesEnded:
    """End the lease with this name or of the account with this name, or all leases at the target with this name."""
    asked = call.members("name").text("name", chars_max=NAME_CHARS_MAX)
    name = lease_of(asked) or asked
    ended = await broker_of(call.walk.live.leases).asks.end(
        [("credential", name)], why="somebody ended it", wait_seconds=END_WAIT_SECONDS
    )
    if not (ended.ended or ended.unrevoked or ended.more):
        await _check_known(call, name)
    return answers.LeasesEnded(
        ended=tuple(_lease(one) for one in ended.ended),
        unrevoked=tuple(_lease(one) for one in ended.unrevoked),
        more=ended.more,
    )


async def _check_known(call: Call, name: str) -> None:
    """Check that the broker has a target or a lease of this name, also one that ended. Raises Refused
    (`lease.unknown`)."""
    asks = broker_of(call.walk.live.leases).asks
    known = {one.name for one in await asks.targets()}
    for which in ("ended", "unrevoked"):
        known |= {one.name for one in await all_leases(call.walk.live.leases, which)}
    if name not in known:
        raise LEASE_UNKNOWN(f"the broker knows no lease and no target {shown(name)}")


@operation(
    "GET",
    "/v1/targets",
    id="list_targets",
    summary="What the broker acts on, and what can be enforced there",
    answer=Page[answers.BrokerTarget],
)
async def list_targets(call: Call) -> Page[answers.BrokerTarget]:
    """List the broker's targets and what each can enforce."""
    return page_of(
        call, await broker_of(call.walk.live.leases).asks.targets(), name=lambda one: one.name, render=_target
    )


@operation(
    "GET",
    "/v1/boundaries",
    id="list_boundaries",
    summary="Who keeps the credential of each capability to its task",
    answer=Page[answers.Boundary],
)
async def list_boundaries(call: Call) -> Page[answers.Boundary]:
    """List which party confines each capability's credential to its task."""
    return page_of(
        call,
        await boundaries(call.walk.authority.registry, call.walk.live.leases),
        name=lambda one: one.capability,
        render=_boundary,
    )


@operation(
    "GET",
    "/v1/strays",
    id="list_strays",
    summary="Accounts of ours at targets that no open lease explains",
    answer=answers.Strays,
    is_long=True,
)
async def list_strays(call: Call) -> answers.Strays:
    """List accounts at targets that this broker made and no open lease explains."""
    strays, faults = await broker_of(call.walk.live.leases).asks.strays()
    return answers.Strays(
        strays=tuple(answers.Stray(target=target, lease=name, known=known) for target, name, known in strays),
        not_asked=tuple(
            answers.TargetNotAsked(target=target, why=why) for target, why in sorted(faults.items())
        ),
    )


@operation(
    "GET",
    "/v1/secrets/due",
    id="list_due_secrets",
    summary="Standing secrets of the broker that are to be replaced",
    answer=answers.DueSecrets,
)
async def list_due_secrets(call: Call) -> answers.DueSecrets:
    """List the broker's standing secrets that are due for replacement: names only, no values."""
    found = await broker_of(call.walk.live.leases).asks.due_secrets()
    return answers.DueSecrets(
        due=tuple(answers.DueSecret(name=one.name, why=one.why, targets=tuple(one.targets)) for one in found)
    )


def _lease(one: Lease) -> answers.Lease:
    return answers.Lease(
        name=one.name,
        target=one.target,
        window=one.window,
        state=one.state,
        account=one.account,
        agent=one.agent,
        mandate=one.mandate,
        capability=one.capability,
        log=one.log,
        intent=one.intent,
        issued_at=_instant(one.issued_at),
        expires_at=_instant(one.expires_at),
        used_at=_instant(one.used_at),
        uses=one.uses,
        ended_at=_instant(one.ended_at),
        end=one.end,
        why=one.why,
        fault=one.fault,
        attempts=one.attempts,
        next_try_at=_instant(one.next_try_at),
        sessions_cut=one.sessions_cut,
        left=tuple(one.left),
        live_until=_instant(one.live_until),
    )


def _boundary(one: BoundaryOf) -> answers.Boundary:
    return answers.Boundary(
        capability=one.capability,
        server=one.server,
        target=one.target,
        tier=one.tier,
        boundary=one.boundary,
        ends_by=one.ends_by,
    )


def _target(one: BrokerTarget) -> answers.BrokerTarget:
    traits = one.traits
    return answers.BrokerTarget(
        name=one.name,
        kind=one.kind,
        boundary=traits.boundary,
        ends_by=traits.ends_by,
        revocable=traits.revocable,
        cuts_sessions=traits.cuts_sessions,
    )


def _instant(milliseconds: int) -> str:
    return instant(milliseconds) if milliseconds else ""


OPERATIONS: Final[tuple[Operation, ...]] = (
    list_leases,
    end_lease,
    list_targets,
    list_boundaries,
    list_strays,
    list_due_secrets,
)
