"""List the capabilities that a caller's mandate could allow, so that tool lists contain nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.containment.reach import reach_of, server_reach
from answerable.core.mandate.caveat import EnvironmentIs
from answerable.core.mandate.delegation_lineage import DelegationLineage
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Malformed, Refused, Unavailable
from answerable.flows.validity.mandate_validity import fallen, known_session, shard_elsewhere
from answerable.flows.validity.refuse_revoked import refuse_names, task_names
from answerable.flows.validity.verify_lineage import presented, verify_lineage
from answerable.flows.walk.may_act import agent_fault, given_fault
from answerable.flows.walk.pin_tools import pin_fault, pinning_now

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.documents.capability import Capability
    from answerable.flows.state.parts import AuthorityRegisters
    from answerable.flows.state.steps import Deciding, Planning
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.flows.state.worlds import Verification
    from answerable.ports.ledger import Ledger
    from answerable.ports.shard_link import ShardLink


def list_capabilities(
    ledger: Ledger,
    planning: Planning,
    deciding: Deciding,
    link: ShardLink | None,
    caller: VerifiedCaller,
    mandate_id: str,
    server: str,
    *,
    delegation: str = "",
) -> frozenset[tuple[str, str]]:
    """Return pairs of method and target, as capabilities name them, that could be allowed on `server`.

    Empty if the mandate is unknown, closed, fallen, outside its window, another agent's, or of a shard out of reach; if
    the agent may do nothing; if the instance has ended or may not act because of its drift; or if anything the caller
    acts under was revoked or is held.

    This is not a decision: a listed capability may still be refused, and one left out is refused when called. Never
    raises; does no I/O.
    """
    authority, verification = planning.authority, planning.verification
    # Use the present time, not the time of the proof: an event stream calls this long after it was opened.
    now = authority.clock.now()
    delegation_lineage = shown_lineage(
        ledger, authority, verification, caller, mandate_id, delegation, server, now
    )
    if delegation_lineage is None or authority.mandates.state(delegation_lineage.mandate.id) != "open":
        return frozenset()
    mandate = delegation_lineage.mandate
    elsewhere = shard_elsewhere(mandate, ledger.origin)
    if elsewhere is not None and (link is None or not link.reaches(elsewhere)):
        return frozenset()
    if not mandate.not_before <= now < mandate.expires_at or not verification.stands(caller.identity, now):
        return frozenset()
    if _is_stopped(authority, caller, delegation_lineage, server, now):
        return frozenset()
    current = authority.registry.current
    # An agent that may not use a tool does not get its description either.
    if (
        agent_fault(authority, deciding.counters.quota, verification, deciding.policies, caller.agent, now)
        is not None
        or fallen(authority, mandate) is not None
    ):
        return frozenset()
    if caller.identity.drifted and current.agents[caller.agent].drift == "refuse":
        return frozenset()
    through = (caller.agent, *(hop.agent for hop in delegation_lineage.hops))
    try:
        session = known_session(authority.sessions, mandate)
    except Malformed:
        return frozenset()
    granted = {grant.capability for grant in mandate.grants}
    return frozenset(
        (capability.method, capability.target)
        for capability in current.capabilities.values()
        if capability.server == server
        and capability.name in granted
        and all(hop.authority.names(capability.name) for hop in delegation_lineage.hops)
        and given_fault(mandate, capability.name, through, current) is None
        and all(one.names(capability.name) for one in session)
        and _in_environment(mandate, capability.environment)
        and deciding.policies.decision_point.may_list(caller.agent, capability.name)
        and _is_let_through(authority, verification, deciding.asking.limits, capability)
        and not _is_held(authority, capability, now)
    )


def shown_lineage(
    ledger: Ledger,
    authority: AuthorityRegisters,
    verification: Verification,
    caller: VerifiedCaller,
    mandate_id: str,
    delegation: str,
    server: str,
    now: UnixMillis,
) -> DelegationLineage | None:
    """Return what the caller acts under, as far as this process knows; of another shard only that a mandate exists."""
    if not delegation:
        mandate = authority.mandates.find(MandateId(mandate_id))
        return (
            DelegationLineage(mandate=mandate)
            if mandate is not None and mandate.agent == caller.agent
            else None
        )
    try:
        by = presented(ledger, verification, mandate_id, delegation, now)
        return verify_lineage(authority, caller, by, server=server, anywhere=True)
    except Refused:
        return None


def _is_stopped(
    authority: AuthorityRegisters,
    caller: VerifiedCaller,
    delegation_lineage: DelegationLineage,
    server: str,
    now: UnixMillis,
) -> bool:
    """Whether the caller or the server is revoked or held. If this cannot be read, the answer is yes."""
    try:
        refuse_names(
            authority,
            task_names(authority, caller, delegation_lineage.mandate, delegation_lineage.hops),
        )
        return authority.holds.find(server_reach(server, authority.registry.current), now) is not None
    except (Refused, Unavailable):
        return True


def _is_held(authority: AuthorityRegisters, capability: Capability, now: UnixMillis) -> bool:
    """Whether the capability is held now, or its holds cannot be read. A held tool is in no list."""
    try:
        return (
            authority.holds.find(reach_of((), authority.registry.current, capability=capability), now)
            is not None
        )
    except Unavailable:
        return True


def _is_let_through(
    authority: AuthorityRegisters, verification: Verification, limits: WalkLimits, capability: Capability
) -> bool:
    """Whether the tool's definition is approved, or not offered now.

    An unapproved description must not reach a model. A tool that is not offered now is in no list anyway.
    """
    definition = verification.upstream.definition(capability)
    try:
        return (
            definition is None
            or pin_fault(
                authority,
                verification.pins,
                verification.fits,
                capability,
                definition,
                pinning_now(limits, authority.clock),
            )
            is None
        )
    except Unavailable:
        return False


def _in_environment(mandate: Mandate, environment: str) -> bool:
    return all(
        caveat.environment == environment for caveat in mandate.caveats if isinstance(caveat, EnvironmentIs)
    )
