"""Check whether an answer by a click in a chat is valid: for the approval, for the person, and for a given answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.approval.assurance_level import CRITICAL
from answerable.core.approval.chat_click import ChatAccount, click_fault, click_in
from answerable.errors import Malformed
from answerable.flows.validity.deputy_validity import groups_still
from answerable.flows.validity.group_waiting import groups_waiting
from answerable.flows.validity.refuse_revoked import signer_fault

if TYPE_CHECKING:
    from answerable.core.approval.approval import Answer, Approval
    from answerable.core.identity.names.principal import PrincipalId
    from answerable.core.registry.documents.documents import Principal
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, InProgress
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.registry_store import RegistryStore


def why_no_click(
    authority: AuthorityRegisters, under_way: InProgress, limits: WalkLimits, approval: Approval
) -> str:
    """Return why nobody may answer this approval by a click now; empty if a click is allowed. Raises Unavailable."""
    fault = _fault(authority.registry, limits, approval)
    if fault:
        return fault
    odd = (
        one.approval.id
        for group in groups_waiting(authority.approvals, under_way, authority.clock).groups
        for one in group.odd
    )
    return "it differs from others that wait, and is to be looked at by itself" if approval.id in odd else ""


def account_of(registry: RegistryStore, person: PrincipalId) -> ChatAccount | None:
    """Return the chat account that belongs to this person alone in the current registry; None if there is none or the
    person is not active."""
    people = registry.current.principals
    found = people.get(person)
    if found is None or found.status != "active" or not all(found.contacts.slack):
        return None
    if sum(one.contacts.slack == found.contacts.slack for one in people.values()) != 1:
        return None
    team, user = found.contacts.slack
    return ChatAccount(team=team, user=user)


def groups_of_click(
    authority: AuthorityRegisters, asking: AskingState, approval: Approval, answer: Answer, person: Principal
) -> tuple[str, ...]:
    """Return the group in which an answer by a click is valid now; empty if it is not valid. Raises Unavailable.

    A click is one answer of one group: the first of the person's groups that was asked, whatever policy requires now.
    """
    if not click_stands(authority, asking.limits, approval, answer):
        return ()
    asked = {group for one in approval.requirements for group in one.groups}
    return tuple(one for one in groups_still(authority, asking, answer, person) if one in asked)[:1]


def click_stands(
    authority: AuthorityRegisters, limits: WalkLimits, approval: Approval, answer: Answer
) -> bool:
    """Whether an answer by a click is still valid: the settings allow it, the account is still the person's, and the
    person is not disabled, revoked or held. Raises Unavailable."""
    try:
        kept = click_in(answer.token)
    except Malformed:
        return False
    account = account_of(authority.registry, answer.by)
    return (
        account == ChatAccount(team=kept.team, user=kept.user)
        and not _fault(authority.registry, limits, approval)
        and signer_fault(authority, answer.by, "") is None
    )


def _fault(registry: RegistryStore, limits: WalkLimits, approval: Approval) -> str:
    capability = registry.current.capabilities.get(approval.capability)
    return click_fault(limits, approval, tier=capability.tier if capability is not None else CRITICAL)
