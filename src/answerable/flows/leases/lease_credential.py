"""Redeem a warrant and mint its credential, in an order that never leaves an unnamed credential live.

1. The scope is checked, or nothing is done. 2. The warrant is redeemed and the lease named, in one durable write. After
a crash from here on, the next start ends the named lease. 3. The target issues the credential. 4. The lease is recorded
as issued before the credential is used.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, LeaseOrder
from answerable.core.lease.lease import Lease
from answerable.errors import AnswerableError, Refused, Unavailable, shown
from answerable.errors.codes.leases import (
    LEASE_BOUNDARY,
    LEASE_ENDED_REFUSED,
    LEASE_OTHER,
    LEASE_SCOPE,
    LEASE_TARGET,
    WARRANT_LATE,
    WARRANT_SPENT,
)
from answerable.flows.leases.issuing import Issuing, lease_ended
from answerable.flows.leases.revoke_lease import begin, schedule, told
from answerable.flows.state.target_calls import calling, other_than, place_of
from answerable.ports.lease_register import Redemption

if TYPE_CHECKING:
    from answerable.core.lease.name import LeaseName
    from answerable.core.ledger.warrant_token import SignedWarrant
    from answerable.flows.leases.lease_desk import BrokerState, DeskTarget

PORT: Final = "credential_issuer"
UNBOUND_TIER_MAX: Final = 0
"""Highest tier of capabilities at a target where nobody restricts a credential to its task."""
CUT_OFF: Final = "the call ended"

_log: Final = logging.getLogger(__name__)


async def lease_credential(
    desk: BrokerState, target: DeskTarget, warrant: SignedWarrant
) -> tuple[Lease, Credential]:
    """Mint the credential of one warrant, or reuse that of its task window.

    Actions of one window that come while its credential is minted wait for it until their deadlines, and share a
    failure. Raises Unverified (`warrant.late`), Refused (`lease.scope`, `lease.boundary`, `lease.other`, and
    `lease.ended` of one that has expired: nothing was done), Broken (`warrant.spent`) and Unavailable with effect
    `none`, `lease.ended` of one that was ended: then the warrant may be spent, and whatever may be live is being ended.
    """
    try:
        return await _leased(desk, target, warrant)
    except Unavailable as failed:
        # Whether the register has the change is not known, but the action begins only with the credential.
        raise Unavailable(failed.message, code=failed.code, port=failed.port) from failed


async def _leased(desk: BrokerState, target: DeskTarget, warrant: SignedWarrant) -> tuple[Lease, Credential]:
    terms, now = warrant.lease, desk.clock.now()
    if now >= warrant.deadline:
        # It may have queued for the target: its end may be on record as indeterminate by now.
        raise WARRANT_LATE()
    with calling(target.by, port=PORT, effect="none"):
        faults = target.issuer.faults(terms.scope)
    if faults:
        raise LEASE_SCOPE(f"the scope of the lease cannot be granted: {faults[0]}", reasons=faults)
    if target.issuer.traits.boundary == "nobody" and warrant.tier > UNBOUND_TIER_MAX:
        raise LEASE_BOUNDARY(
            f"nothing limits a credential at target {shown(terms.target)} to its task, so only "
            f"capabilities of tier {UNBOUND_TIER_MAX} or lower may use it; this one has tier "
            f"{warrant.tier}"
        )
    if now >= terms.expires_at:
        raise LEASE_ENDED_REFUSED()
    known = desk.open.get(terms.name)
    if known is not None:
        return await _of_window(desk, target, known, warrant)
    # From here on other callers find the lease, and wait for it.
    lease = _named(warrant, now)
    desk.open.keep(lease)
    issuing = desk.issuing[lease.name] = Issuing()
    assert desk.tasks is not None  # noqa: S101 - wiring runs the desk
    desk.tasks.start_soon(_issue, desk, target, lease, warrant, issuing)
    try:
        await issuing.wait()
    except BaseException:
        if lease.window == "action":
            begin(desk, [lease.name], why=CUT_OFF)
        raise
    credential, known = issuing.credential, desk.open.get(lease.name)
    if credential is None or known is None or lease.name in desk.ending:
        raise lease_ended(lease.name)
    return known, credential


async def _issue(
    desk: BrokerState, target: DeskTarget, lease: Lease, warrant: SignedWarrant, issuing: Issuing
) -> None:
    """Redeem the warrant that opens a lease, and mint the credential. Every failure is told to all that wait, and none
    is raised.

    Runs apart from the calls, so that a call that is cancelled ends no other; the last one that is cancelled ends it.
    """
    why = CUT_OFF
    try:
        with issuing.scope:
            await _redeem(desk, warrant, lease)
            await _open(desk, target, lease, warrant, issuing)
            why = ""
    except AnswerableError as failed:
        why = "it could not be issued"
        issuing.fail(failed)
    except Exception as broken:
        _log.error("a lease could not be issued: %s", place_of(broken))
        why = "it could not be issued"
        issuing.fail(LEASE_TARGET(f"the credential could not be issued: {type(broken).__name__}"))
    finally:
        if why:
            # No caller has the secret; what the target may know of the lease is ended by name.
            begin(desk, [lease.name], why=why)
        del desk.issuing[lease.name]
        issuing.over.set()
        issuing.told.set()


async def _open(
    desk: BrokerState, target: DeskTarget, lease: Lease, warrant: SignedWarrant, issuing: Issuing
) -> None:
    credential = await _minted(desk, target, lease, warrant)
    now = desk.clock.now()
    lease = lease.issued(now, account=credential.account, expires_at=credential.expires_at).used(now)
    desk.open.keep(lease)
    await desk.writer.put(lease)
    told(desk)
    if lease.name in desk.ending:
        raise lease_ended(lease.name)
    issuing.credential = credential
    if lease.window == "task":
        desk.credentials[lease.name] = credential


async def _of_window(
    desk: BrokerState, target: DeskTarget, lease: Lease, warrant: SignedWarrant
) -> tuple[Lease, Credential]:
    """Return the lease of this task window for another action. Waits for a lease that is being issued."""
    terms = warrant.lease
    same = (
        terms.window,
        terms.target,
        terms.scope.hex,
        warrant.mandate,
        warrant.agent,
        warrant.capability,
        warrant.log,
    )
    if lease.window != "task" or same != (
        lease.window,
        lease.target,
        lease.scope,
        lease.mandate,
        lease.agent,
        lease.capability,
        lease.log,
    ):
        # A copy of the warrant that opened this lease also gets here: it is spent, and no other action's.
        if lease.log == warrant.log and lease.intent == warrant.intent:
            raise WARRANT_SPENT()
        raise LEASE_OTHER(f"lease {shown(lease.name)} belongs to another mandate, agent, target or scope")
    if not set(warrant.under) <= set(lease.under):
        # A revocation or hold that ends this action would not end that credential.
        raise LEASE_OTHER(
            f"lease {shown(lease.name)} does not end with everything that would end this action"
        )
    issuing = desk.issuing.get(lease.name)
    if issuing is not None:
        await _issued(desk, issuing, warrant)
    await _redeem(desk, warrant, None)
    lease, _ = _usable(desk, lease.name)
    now = desk.clock.now()
    if 2 * (lease.expires_at - now) < terms.expires_at - now:
        await _renew(desk, target, lease, terms.expires_at)
    # The lease may have ended during the renewal: read its current state.
    lease, credential = _usable(desk, lease.name)
    lease = lease.used(desk.clock.now())
    desk.open.keep(lease)
    await desk.writer.put(lease)
    told(desk)
    return lease, credential


async def _issued(desk: BrokerState, issuing: Issuing, warrant: SignedWarrant) -> None:
    """Wait for a lease that is being issued, until the warrant's deadline. Raises its failure, and Unverified
    (`warrant.late`)."""
    try:
        with anyio.fail_after((warrant.deadline - desk.clock.now()) / 1000):
            await issuing.wait()
    except TimeoutError:
        raise WARRANT_LATE() from None
    if desk.clock.now() >= warrant.deadline:
        raise WARRANT_LATE()


def _usable(desk: BrokerState, name: LeaseName) -> tuple[Lease, Credential]:
    """Return the lease and credential as they are now. Raises Unavailable (`lease.ended`)."""
    lease, credential = desk.open.get(name), desk.credentials.get(name)
    if lease is None or credential is None or not lease.is_usable(desk.clock.now()) or name in desk.ending:
        raise lease_ended(name)
    return lease, credential


async def _renew(desk: BrokerState, target: DeskTarget, lease: Lease, expires_at: UnixMillis) -> None:
    """Extend the lease of a task that continues. If the target cannot renew, the lease ends at its time. Raises
    Unavailable."""
    try:
        with anyio.fail_after(desk.limits.issue_seconds_max), calling(target.by, port=PORT, effect="none"):
            await target.issuer.renew(lease.name, expires_at)
    except Refused as refused:
        if refused.code == "lease.renewal":
            return
        begin(desk, [lease.name], why="the target does not know it any more")
        raise lease_ended(lease.name) from None
    except TimeoutError:
        raise LEASE_TARGET("the target did not renew the credential in time") from None
    lease, _ = _usable(desk, lease.name)
    desk.open.keep(lease.renewed(desk.clock.now(), expires_at))
    schedule(desk, expires_at, lease.name)


async def _redeem(desk: BrokerState, warrant: SignedWarrant, lease: Lease | None) -> None:
    redemption = Redemption(log=warrant.log, intent=warrant.intent, deadline=warrant.deadline, lease=lease)
    # A caller cancelled in the middle could not know whether the lease exists.
    with anyio.CancelScope(shield=True):
        try:
            taken = await desk.writer.redeem(redemption)
        except Unavailable as failed:
            if lease is not None and failed.effect == "none":
                # Otherwise the lease may be in the register: then it must be ended there, too.
                desk.open.drop(lease.name)
            raise
    if lease is not None and taken == "taken":
        schedule(desk, lease.expires_at, lease.name)
    elif lease is not None:
        desk.open.drop(lease.name)
    if taken == "spent":
        raise WARRANT_SPENT()
    if taken == "name_used":
        raise lease_ended(warrant.lease.name)


async def _minted(desk: BrokerState, target: DeskTarget, lease: Lease, warrant: SignedWarrant) -> Credential:
    order = LeaseOrder(name=lease.name, scope=warrant.lease.scope, expires_at=UnixMillis(lease.expires_at))
    try:
        with anyio.fail_after(desk.limits.issue_seconds_max), calling(target.by, port=PORT, effect="none"):
            found: object = await target.issuer.issue(order)
            if not isinstance(found, Credential):
                raise other_than(target.by, "Credential", found)
            return found
    except TimeoutError:
        raise LEASE_TARGET(
            f"the target issued no credential within {desk.limits.issue_seconds_max:g} s"
        ) from None


def _named(warrant: SignedWarrant, now: UnixMillis) -> Lease:
    terms = warrant.lease
    return Lease(
        name=terms.name,
        target=terms.target,
        window=terms.window,
        log=warrant.log,
        intent=warrant.intent,
        mandate=warrant.mandate,
        agent=warrant.agent,
        capability=warrant.capability,
        under=(("credential", terms.name), ("credential", terms.target), *warrant.under),
        scope=terms.scope.hex,
        named_at=now,
        expires_at=terms.expires_at,
    )
