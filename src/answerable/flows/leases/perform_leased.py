"""Perform a warrant's action at a target with a credential minted for it, and end the credential before the answer."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.lease.credential import Performed
from answerable.errors import Refused, Unavailable, shown
from answerable.errors.codes.leases import LEASE_LATE, TARGET_UNKNOWN
from answerable.flows.leases.guard_secrets import (
    guarded,
    refuse_exposed,
    refuse_passed,
    withheld,
    without_secrets,
)
from answerable.flows.leases.lease_credential import lease_credential
from answerable.flows.leases.revoke_lease import begin, end_lease
from answerable.flows.leases.take_turns import turn_of
from answerable.flows.state.target_calls import calling, other_than, place_of
from answerable.ports.brokered_target import PORT as TARGET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.lease import Lease
    from answerable.core.lease.use import Used
    from answerable.core.ledger.warrant_token import SignedWarrant
    from answerable.flows.leases.lease_desk import BrokerState, DeskTarget
    from answerable.ports.upstream import Progress

_log: Final = logging.getLogger(__name__)


async def perform_leased(
    desk: BrokerState,
    warrant: SignedWarrant,
    tool: str,
    arguments: Mapping[str, JSONValue],
    *,
    progress: Progress | None = None,
) -> tuple[Performed, Lease]:
    """Perform the action. Return the result, and the lease when the answer is sent: ended where its window is one
    action.

    Cancelling it tells the target to stop, and the lease is ended anyway. An answer that contains a long-lived secret
    of the broker is withheld, and its lease ended. Raises as `lease_credential`, Refused (`target.unknown`,
    `target.arguments`, `secret.passed`, `secret.exposed`) and Unavailable with effect `none` or `unknown` as the target
    says.
    """
    by = f"{warrant.lease.target} {tool} to agent {warrant.agent}, action {warrant.action_id}"
    refuse_exposed(desk.secrets, warrant.lease.target)
    await refuse_passed(desk.secrets, arguments, by=f"agent {warrant.agent} in action {warrant.action_id}")
    try:
        performed, lease = await _performed(
            desk, warrant, tool, arguments, by=by, progress=guarded(desk.secrets, progress, by=by)
        )
    except (Refused, Unavailable) as failed:
        raise await without_secrets(desk.secrets, failed, by=by) from failed.__cause__
    return performed, await _released(desk, lease)


async def _performed(
    desk: BrokerState,
    warrant: SignedWarrant,
    tool: str,
    arguments: Mapping[str, JSONValue],
    *,
    by: str,
    progress: Progress | None,
) -> tuple[Performed, Lease]:
    """Return the answer that may be sent. A lease whose window is one action is being ended."""
    target = desk.targets.get(warrant.lease.target)
    if target is None:
        raise TARGET_UNKNOWN(f"this broker has no target {shown(warrant.lease.target)}")
    async with turn_of(desk, target, warrant), target.acting:
        lease, credential = await lease_credential(desk, target, warrant)
        name, why = lease.name, "its action was cut off"
        try:
            seconds = max(0.0, (lease.expires_at - desk.clock.now()) / 1000)
            with anyio.fail_after(seconds), calling(target.by, port=TARGET, effect="unknown"):
                async with target.target.connected(credential) as session:
                    answered: object = await session.perform(
                        tool, arguments, tag=warrant.action_id, seconds_max=seconds, progress=progress
                    )
            if not isinstance(answered, Performed):
                raise other_than(target.by, "Performed", answered)
            used = _used(target, warrant, tool, arguments, answered)
            performed = replace(answered, used=used)
            why = "its action ended"
            performed, held = await withheld(desk.secrets, performed, by=by)
            if held:
                why = f"its answer held a secret: {', '.join(held)}"
                begin(desk, [name], why=why)
        except TimeoutError:
            raise LEASE_LATE() from None
        except (Refused, Unavailable):
            why = "its action failed"
            raise
        finally:
            if lease.window == "action":
                begin(desk, [name], why=why)
    return performed, lease


def _used(
    target: DeskTarget,
    warrant: SignedWarrant,
    tool: str,
    arguments: Mapping[str, JSONValue],
    performed: Performed,
) -> Used | None:
    """Return what the action used of its scope, if it succeeded and the kind of target can tell. The action is done by
    now, so a fault here must not change its result."""
    if target.rights is None or performed.result.get("isError") is True:
        return None
    try:
        return target.rights.used(warrant.lease.scope, tool, arguments, performed.told)
    except Exception as broken:
        _log.error("what an action used of its scope could not be told: %s", place_of(broken))
        return None


async def _released(desk: BrokerState, lease: Lease) -> Lease:
    """Return the lease after waiting at most release_seconds_max for its end."""
    if lease.window == "task":
        return desk.open.get(lease.name) or lease
    with anyio.move_on_after(desk.limits.release_seconds_max):
        ended = await end_lease(desk, lease.name, why="its action ended")
        return ended or lease
    return desk.open.get(lease.name) or lease
