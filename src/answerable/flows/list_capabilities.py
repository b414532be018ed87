"""What a caller's mandate could ever allow, so that lists show nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.mandate.caveat import EnvironmentIs
from answerable.core.mandate.mandate import MandateId
from answerable.flows.mandate_standing import shard_elsewhere
from answerable.flows.observe_tools import tools_fault

if TYPE_CHECKING:
    from answerable.core.identity.caller import VerifiedCaller
    from answerable.core.mandate.mandate import Mandate
    from answerable.flows.walk import Walk


def list_capabilities(
    walk: Walk, caller: VerifiedCaller, mandate_id: str, server: str, *, delegation: str = ""
) -> frozenset[tuple[str, str]]:
    """Pairs of method and target, as capabilities name them, that could be allowed on `server`.

    Empty for a mandate that is unknown, closed, outside its window, of a shard out of reach or another agent's, and for
    an instance that has ended or may not act for its drift. Not a decision: what is listed may still be refused, and
    what is refused here is refused when called. Never raises; does no I/O.
    """
    mandate = walk.mandates.find(MandateId(mandate_id))
    if mandate is None or mandate.agent != caller.agent or walk.mandates.state(mandate.id) != "open":
        return frozenset()
    elsewhere = shard_elsewhere(mandate, walk.ledger.origin)
    if elsewhere is not None and (walk.link is None or not walk.link.reaches(elsewhere)):
        return frozenset()
    # The present time, not that of the proof: an event stream asks again long after it was opened.
    now = walk.clock.now()
    if not mandate.not_before <= now < mandate.expires_at or not walk.stands(caller.identity, now):
        return frozenset()
    agent = walk.registry.current.agents.get(caller.agent)
    refused = agent is None or agent.drift == "refuse"
    # Also what a tool says about itself is kept from an agent that may not use it as it is.
    if refused and (caller.identity.drifted or tools_fault(walk, caller.agent)):
        return frozenset()
    granted = {grant.capability for grant in mandate.grants}
    return frozenset(
        (capability.method, capability.target)
        for capability in walk.registry.current.capabilities.values()
        if capability.server == server
        and capability.name in granted
        and _in_environment(mandate, capability.environment)
        and walk.decision_point.may_list(caller.agent, capability.name)
    )


def _in_environment(mandate: Mandate, environment: str) -> bool:
    return all(
        caveat.environment == environment for caveat in mandate.caveats if isinstance(caveat, EnvironmentIs)
    )
