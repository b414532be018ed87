"""Deny, for good, waiting approvals that a hold, a revocation or a closed mandate has made impossible.

Laws: the register writes many approvals in one transaction, so that a stop does not wait for each. Approvals requested
under the same names are judged once. A concurrent answer or use comes first, and the walk then refuses the action.
After a crash in between some still wait, and the flow that resumes denies them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from answerable.core.containment.reach import reach_of
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import shown
from answerable.errors.codes.approval import APPROVAL_BUSY
from answerable.flows.validity.refuse_revoked import agent_names, capability_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from answerable.core.approval.approval import Approval, ApprovalId
    from answerable.core.containment.hold import Hold
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.flows.state.parts import AuthorityRegisters
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.clock import Clock

CHANGES_MAX: Final = 1_000
"""How often an approval may change while it is being denied: each person answers once."""
DENIED_AT_A_TIME: Final = 256
"""Approvals in one transaction, which every other write waits for."""
_WAITING: Final = frozenset({"pending", "approved"})


def waiting_under(authority: AuthorityRegisters, ended: frozenset[RevocationTarget]) -> list[Approval]:
    """Return approvals that are pending or approved and unused, and were requested under one of these names.

    Raises Unavailable.
    """
    return _waiting(
        authority.approvals,
        authority.clock,
        lambda one: not ended.isdisjoint(names_of_approval(authority, one)),
    )


def drop_approvals(
    authority: AuthorityRegisters, ended: frozenset[RevocationTarget]
) -> tuple[ApprovalId, ...]:
    """Deny, for good, what waits under these names. Return what this call denied. Raises Unavailable."""
    return _denied(authority.approvals, authority.clock, waiting_under(authority, ended))


def deny_approvals(authority: AuthorityRegisters, hold: Hold) -> tuple[ApprovalId, ...]:
    """Deny, for good, what waits within reach of a hold and was requested before its end. Return what this call denied.

    Raises Unavailable.
    """
    current = authority.registry.current

    def is_within(one: Approval) -> bool:
        capability = current.capabilities.get(one.capability)
        return hold.what in reach_of(names_of_approval(authority, one), current, capability=capability)

    found = _waiting(authority.approvals, authority.clock, is_within)
    if hold.lifted_at:
        found = [one for one in found if one.created_at < hold.lifted_at]
    return _denied(authority.approvals, authority.clock, found, by=hold.id)


def names_of_approval(authority: AuthorityRegisters, approval: Approval) -> tuple[RevocationTarget, ...]:
    """Return the names the approval was requested under, and the names these act under in the current registry."""
    current = authority.registry.current
    capability = current.capabilities.get(approval.capability)
    return (
        *approval.names,
        RevocationTarget("mandate", approval.mandate),
        *agent_names(authority, approval.agent),
        *(capability_names(current, capability) if capability is not None else ()),
    )


def _waiting(approvals: ApprovalRegister, clock: Clock, ends: Callable[[Approval], bool]) -> list[Approval]:
    """Return the waiting approvals that `ends` accepts; it may depend only on what an approval was requested under."""
    now = clock.now()
    known: dict[tuple[object, ...], bool] = {}
    found: list[Approval] = []
    for one in approvals.all(pending_only=False, now=now):
        if one.state_at(now) not in _WAITING:
            continue
        # Everything that `names_of_approval` and a hold's reach depend on: thousands of approvals may share it.
        under = (one.names, one.mandate, one.agent, one.capability)
        if under not in known:
            known[under] = ends(one)
        if known[under]:
            found.append(one)
    return found


def _denied(
    approvals: ApprovalRegister, clock: Clock, found: Sequence[Approval], *, by: str = ""
) -> tuple[ApprovalId, ...]:
    """Deny in batches. `by`: the hold that denies them. Raises Unavailable; some may be denied by then."""
    now = clock.now()
    denied: list[ApprovalId] = []
    for start in range(0, len(found), DENIED_AT_A_TIME):
        denied += _denied_at_once(approvals, found[start : start + DENIED_AT_A_TIME], now, by=by)
    return tuple(denied)


def _denied_at_once(
    approvals: ApprovalRegister, some: Sequence[Approval], now: UnixMillis, *, by: str
) -> tuple[ApprovalId, ...]:
    """Deny one batch. Retry approvals that were answered meanwhile and still wait."""
    left, denied = list(some), set[str]()
    for _ in range(CHANGES_MAX):
        swapped = approvals.replace_many([(replace(one, state="denied", ended_by=by), one) for one in left])
        denied.update(one.id for one, is_swapped in zip(left, swapped, strict=True) if is_swapped)
        there = [approvals.find(one.id) for one in left if one.id not in denied]
        left = [one for one in there if one is not None and one.state_at(now) in _WAITING]
        if not left:
            return tuple(one.id for one in some if one.id in denied)
    raise APPROVAL_BUSY(f"approval {shown(left[0].id)} changed while it was being denied: try again")
