"""What a warrant stands for, done at a target with a credential of its own, which is ended before the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from answerable.errors import Refused, Unavailable, shown
from answerable.flows.guard_secrets import (
    guarded,
    refuse_exposed,
    refuse_passed,
    withheld,
    without_secrets,
)
from answerable.flows.lease_credential import lease_credential
from answerable.flows.revoke_lease import begin, end_lease

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import Performed
    from answerable.core.lease.lease import Lease
    from answerable.core.ledger.warrant_token import SignedWarrant
    from answerable.flows.lease_desk import LeaseDesk
    from answerable.ports.upstream import Progress


async def perform_leased(
    desk: LeaseDesk,
    warrant: SignedWarrant,
    tool: str,
    arguments: Mapping[str, JSONValue],
    *,
    progress: Progress | None = None,
) -> tuple[Performed, Lease]:
    """The result, and how the lease stands when the answer goes: ended where its window is one action.

    Cancelling it tells the target to stop and ends the lease all the same. An answer that holds a standing secret of
    the broker is withheld, and its lease ended. Raises as `lease_credential`, Refused (`target.unknown`,
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
    desk: LeaseDesk,
    warrant: SignedWarrant,
    tool: str,
    arguments: Mapping[str, JSONValue],
    *,
    by: str,
    progress: Progress | None,
) -> tuple[Performed, Lease]:
    """What may be answered. The lease is being ended where its window is one action."""
    target = desk.targets.get(warrant.lease.target)
    if target is None:
        raise Refused(f"this broker has no target {shown(warrant.lease.target)}", code="target.unknown")
    async with target.acting:
        lease, credential = await lease_credential(desk, target, warrant)
        name, why = lease.name, "its action was cut off"
        try:
            seconds = max(0.0, (lease.expires_at - desk.clock.now()) / 1000)
            with anyio.fail_after(seconds):
                async with target.target.connected(credential) as session:
                    performed = await session.perform(
                        tool, arguments, tag=warrant.action_id, seconds_max=seconds, progress=progress
                    )
            why = "its action ended"
            performed, held = await withheld(desk.secrets, performed, by=by)
            if held:
                why = f"its answer held a secret: {', '.join(held)}"
                begin(desk, [name], why=why)
        except TimeoutError:
            raise Unavailable(
                "the time of the lease ran out during the action",
                code="lease.late",
                port="brokered_target",
                effect="unknown",
            ) from None
        except (Refused, Unavailable):
            why = "its action failed"
            raise
        finally:
            if lease.window == "action":
                begin(desk, [name], why=why)
    return performed, lease


async def _released(desk: LeaseDesk, lease: Lease) -> Lease:
    """As it stands when its time to be released is over."""
    if lease.window == "task":
        return desk.open.get(lease.name) or lease
    with anyio.move_on_after(desk.limits.release_seconds_max):
        ended = await end_lease(desk, lease.name, why="its action ended")
        return ended or lease
    return desk.open.get(lease.name) or lease
