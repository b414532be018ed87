"""Leases: list those that are live or could not be revoked, end them, and list the broker's targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.apps.control_api.call import Operation, instant, page_of
from answerable.apps.control_api.schemas import COUNT, FLAG, TEXT, TEXTS, choice, record, sequence
from answerable.core.lease.lease import LEASE_ENDS, LEASE_STATES
from answerable.core.lease.wire import LEASE_LISTS, lease_list
from answerable.core.registry.documents.lease_template import LEASE_WINDOWS
from answerable.flows.revocation.look_at_leases import all_leases, boundaries, broker_of

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.apps.control_api.schemas import Schema
    from answerable.core.lease.lease import Lease
    from answerable.ports.lease_broker import BrokerTarget

NAME_CHARS_MAX: Final = 64
END_WAIT_SECONDS: Final = 10.0


async def list_leases(call: Call) -> Answer:
    """List leases that are open, that could not be revoked, or that ended most recently."""
    which = lease_list(call.query.get("which", "open"))
    target = call.query.get("target", "")
    found = [one for one in await all_leases(call.walk, which) if target in ("", one.target)]
    return page_of(call, found, name=lambda one: one.name, render=_lease)


async def end_lease(call: Call) -> Answer:
    """End the lease with this name, or all leases at the target with this name."""
    name = call.members("name").text("name", chars_max=NAME_CHARS_MAX)
    ended = await broker_of(call.walk).asks.end(
        [("credential", name)], why="somebody ended it", wait_seconds=END_WAIT_SECONDS
    )
    return {
        "ended": [_lease(one) for one in ended.ended],
        "unrevoked": [_lease(one) for one in ended.unrevoked],
        "more": ended.more,
    }


async def list_targets(call: Call) -> Answer:
    """List the broker's targets and what each can enforce."""
    return page_of(call, await broker_of(call.walk).asks.targets(), name=lambda one: one.name, render=_target)


async def list_boundaries(call: Call) -> Answer:
    """List which party confines each capability's credential to its task."""
    return page_of(
        call, await boundaries(call.walk), name=lambda one: one.capability, render=lambda one: one._asdict()
    )


async def list_strays(call: Call) -> Answer:
    """List accounts at targets that this broker made and no open lease explains."""
    strays, faults = await broker_of(call.walk).asks.strays()
    return {
        "strays": [{"target": target, "lease": name, "known": known} for target, name, known in strays],
        "not_asked": [{"target": target, "why": why} for target, why in sorted(faults.items())],
    }


async def list_due_secrets(call: Call) -> Answer:
    """List the broker's standing secrets that are due for replacement: names only, no values."""
    found = await broker_of(call.walk).asks.due_secrets()
    return {"due": [{"name": one.name, "why": one.why, "targets": list(one.targets)} for one in found]}


def _lease(one: Lease) -> Answer:
    return {
        "name": one.name,
        "target": one.target,
        "window": one.window,
        "state": one.state,
        "account": one.account,
        "agent": one.agent,
        "mandate": one.mandate,
        "capability": one.capability,
        "log": one.log,
        "intent": one.intent,
        "issued_at": _instant(one.issued_at),
        "expires_at": _instant(one.expires_at),
        "used_at": _instant(one.used_at),
        "uses": one.uses,
        "ended_at": _instant(one.ended_at),
        "end": one.end,
        "why": one.why,
        "fault": one.fault,
        "attempts": one.attempts,
        "next_try_at": _instant(one.next_try_at),
        "sessions_cut": one.sessions_cut,
        "left": [*one.left],
        "live_until": _instant(one.live_until),
    }


def _target(one: BrokerTarget) -> Answer:
    traits = one.traits
    return {
        "name": one.name,
        "kind": one.kind,
        "boundary": traits.boundary,
        "ends_by": traits.ends_by,
        "revocable": traits.revocable,
        "cuts_sessions": traits.cuts_sessions,
    }


def _instant(milliseconds: int) -> str:
    return instant(milliseconds) if milliseconds else ""


_LEASE: Final = record(
    {
        "name": TEXT,
        "target": TEXT,
        "window": choice(*LEASE_WINDOWS),
        "state": choice(*LEASE_STATES),
        "account": TEXT,
        "agent": TEXT,
        "mandate": TEXT,
        "capability": TEXT,
        "log": TEXT,
        "intent": COUNT,
        "issued_at": TEXT,
        "expires_at": TEXT,
        "used_at": TEXT,
        "uses": COUNT,
        "ended_at": TEXT,
        "end": choice(*LEASE_ENDS),
        "why": TEXT,
        "fault": TEXT,
        "attempts": COUNT,
        "next_try_at": TEXT,
        "sessions_cut": COUNT,
        "left": TEXTS,
        "live_until": TEXT,
    }
)

COMPONENTS: Final[dict[str, Schema]] = {
    "Lease": _LEASE,
    "LeaseEndRequest": record({"name": TEXT}),
    "LeasesEnded": record({"ended": sequence(_LEASE), "unrevoked": sequence(_LEASE), "more": COUNT}),
    "BrokerTarget": record(
        {
            "name": TEXT,
            "kind": TEXT,
            "boundary": choice("target", "broker", "nobody"),
            "ends_by": choice("target", "broker"),
            "revocable": FLAG,
            "cuts_sessions": FLAG,
        }
    ),
    "Boundary": record(
        {
            "capability": TEXT,
            "server": TEXT,
            "target": TEXT,
            "tier": COUNT,
            "boundary": choice("target", "broker", "nobody", "unknown"),
            "ends_by": choice("target", "broker", "unknown"),
        }
    ),
    "Strays": record(
        {
            "strays": sequence(record({"target": TEXT, "lease": TEXT, "known": FLAG})),
            "not_asked": sequence(record({"target": TEXT, "why": TEXT})),
        }
    ),
    "DueSecrets": record(
        {"due": sequence(record({"name": TEXT, "why": TEXT, "targets": sequence(TEXT)}))},
    ),
}
"""In addition to those of `schemas`."""

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="list_leases",
        method="GET",
        path="/v1/leases",
        summary="Leases: what is live at which target, and what could not be revoked",
        answer="Lease",
        page=True,
        query=(
            ("which", choice(*LEASE_LISTS), "open (default), unrevoked, or those that ended last"),
            ("target", TEXT, "only at this target"),
        ),
        run=list_leases,
    ),
    Operation(
        id="end_lease",
        method="POST",
        path="/v1/leases/end",
        summary="End a lease now, or all at a target",
        body="LeaseEndRequest",
        answer="LeasesEnded",
        run=end_lease,
    ),
    Operation(
        id="list_targets",
        method="GET",
        path="/v1/targets",
        summary="What the broker acts on, and what can be enforced there",
        answer="BrokerTarget",
        page=True,
        run=list_targets,
    ),
    Operation(
        id="list_boundaries",
        method="GET",
        path="/v1/boundaries",
        summary="Who keeps the credential of each capability to its task",
        answer="Boundary",
        page=True,
        run=list_boundaries,
    ),
    Operation(
        id="list_strays",
        method="GET",
        path="/v1/strays",
        summary="Accounts of ours at targets that no open lease explains",
        answer="Strays",
        run=list_strays,
    ),
    Operation(
        id="list_due_secrets",
        method="GET",
        path="/v1/secrets/due",
        summary="Standing secrets of the broker that are to be replaced",
        answer="DueSecrets",
        run=list_due_secrets,
    ),
)
