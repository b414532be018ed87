"""Find the delegations of duty in force (who is a deputy for whom), and in whose place a person answers.

Laws: a delegation is valid while it lasts and everything it depends on is valid: its giver is in the group and is not
disabled, revoked or held, the key it was signed with is still the giver's, and the deputy may still be one. Changes of
documents end it (`end_invalid_deputies`). A deputy of a person who may not approve may not approve, either. A giver's
weaker signature never supports an answer that needs a stronger one. A person who may answer in their own right does so,
not as a deputy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.approval.action_object import object_in
from answerable.core.approval.approval import NOTHING_SHOWN
from answerable.core.approval.assurance_level import is_strong_enough
from answerable.core.approval.on_behalf_of import OnBehalfOf
from answerable.core.identity.names.principal import AgentId
from answerable.flows.validity.mandate_validity import schedule_owner
from answerable.flows.validity.person_validity import standing_passkey
from answerable.flows.validity.refuse_revoked import signer_fault

if TYPE_CHECKING:
    from answerable.core.approval.approval import Answer, Approval
    from answerable.core.approval.deputy_statement import DeputyStatement
    from answerable.core.approval.token import Verdict
    from answerable.core.identity.names.principal import PrincipalId, UnixMillis
    from answerable.core.registry.documents.documents import Principal
    from answerable.core.registry.documents.duty import Duty
    from answerable.flows.state.parts import AskingState, AuthorityRegisters
    from answerable.flows.state.passkey_desk import PasskeyState
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.ledger import Ledger


def standing_in(
    authority: AuthorityRegisters, asking: AskingState, now: UnixMillis
) -> tuple[DeputyStatement, ...]:
    """Return the delegations of duty that are valid now, earliest first. Raises Unavailable."""
    register = asking.duties.register
    every = register.delegations() if register is not None else ()
    return tuple(one for one in every if one.lasts(now) and still_stands(authority, asking.passkeys, one))


def still_stands(authority: AuthorityRegisters, passkeys: PasskeyState | None, one: DeputyStatement) -> bool:
    """Whether everything the delegation depends on is valid, at any time. Raises Unavailable."""
    current = authority.registry.current
    of, to = current.principals.get(one.of), current.principals.get(one.to)
    duty = current.duties.get(one.group)
    if one.ended_at or of is None or to is None or duty is None or one.group not in of.groups:
        return False
    if one.credential:
        passkey = standing_passkey(passkeys, one.credential)
        signed = passkey is not None and passkey.person == one.of
    else:
        signed = any(key.thumbprint == one.key for key in of.keys)
    return signed and may_stand_in(duty, to) and signer_fault(authority, one.of, one.key) is None


def may_stand_in(duty: Duty, person: Principal) -> bool:
    """Whether the person may be a deputy of the duty: a member of its group, or of one it names for deputies."""
    return bool({duty.group, *duty.deputies} & set(person.groups))


def in_place_of(
    ledger: Ledger,
    authority: AuthorityRegisters,
    asking: AskingState,
    approval: Approval,
    person: PrincipalId,
    *,
    verdict: Verdict,
    now: UnixMillis,
) -> OnBehalfOf | None:
    """Return in whose place this person answers, by the earliest delegation that applies; None if in nobody's.

    Nobody can use emergency access (break glass) in the place of another person. Raises Unavailable.
    """
    own = authority.registry.current.principals.get(person)
    asked = dict.fromkeys(group for one in approval.requirements for group in one.groups)
    if own is None or verdict not in ("approve", "deny") or not asked.keys().isdisjoint(own.groups):
        return None
    no_yes = cannot_say_yes(authority, asking.limits, approval) if verdict == "approve" else frozenset()
    for one in standing_in(authority, asking, now):
        if (one.to, one.of in no_yes) == (person, False) and one.group in asked:
            if not is_strong_enough(asking.limits, approval, one.strength):
                continue
            log = one.log if one.log != ledger.origin else ""
            return OnBehalfOf(
                of=one.of, group=one.group, delegation=one.id, entry=one.entry, leaf=one.leaf, log=log
            )
    return None


def cannot_say_yes(authority: AuthorityRegisters, limits: WalkLimits, approval: Approval) -> frozenset[str]:
    """Return everybody whose approval is never valid: the giver of the task, and the owners of its agents."""
    current = authority.registry.current
    names = {
        str(approval.principal),
        schedule_owner(approval.principal, current),
        *agent_owners(authority, limits, approval),
    }
    return frozenset(name for name in names if name)


def agent_owners(authority: AuthorityRegisters, limits: WalkLimits, approval: Approval) -> frozenset[str]:
    """Return the owners of the acting agent and of every agent in its chain: none of them may approve its action.

    A backup owner counts once they signed the manifest in force, because the agent then does what they vouched for. If
    the settings say so, every backup owner counts.
    """
    chain = object_in(approval.shown)["chain"] if approval.shown != NOTHING_SHOWN else []
    names = [approval.agent, *(chain if isinstance(chain, list) else [])]
    agents = authority.registry.current.agents
    found: set[str] = set()
    for name in names:
        agent = agents.get(AgentId(str(name)))
        if agent is None:
            continue
        found.add(agent.ownership.owner)
        manifest = authority.manifests.current(agent.name)
        signed_by = str(manifest.signed_by) if manifest is not None else ""
        if not limits.backup_owners_approve or signed_by == agent.ownership.backup_owner:
            found.add(agent.ownership.backup_owner)
    return frozenset(found - {""})


def groups_still(
    authority: AuthorityRegisters, asking: AskingState, answer: Answer, person: Principal
) -> tuple[str, ...]:
    """Return the groups in which a person's answer is valid now: their own, and the group they were a deputy in.

    A delegation that was ended removes its group; one whose time is over does not affect earlier answers. Raises
    Unavailable.
    """
    place, register = answer.in_place_of, asking.duties.register
    if place is None:
        return person.groups
    one = register.find(place.delegation) if register is not None else None
    if one is None or (one.of, one.to, one.group) != (place.of, answer.by, place.group):
        return person.groups
    return (*person.groups, place.group) if still_stands(authority, asking.passkeys, one) else person.groups
