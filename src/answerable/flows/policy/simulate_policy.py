"""Simulate candidate policy sets: plan what the registry would be, and ask the index what they would have decided.

Changes nothing.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode
from answerable.core.decision.asked_of_people import checked_tiers
from answerable.core.registry.policy_sets.publication import documents_digest
from answerable.flows.policy.publish_policy import planned_sets
from answerable.ports.policy_trial import POLICY, PolicyQuestion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.flows.state.drill_desk import DrillState
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.clock import Clock
    from answerable.ports.policy_trial import PolicyTold
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.search_process import Searches

_NO_TIERS: Final[Mapping[str, JSONValue]] = MappingProxyType({})


async def simulate_policy(
    searches: Searches,
    registry: RegistryStore,
    policies: PolicyState,
    drills: DrillState,
    limits: WalkLimits,
    clock: Clock,
    documents: Sequence[JSONValue],
    *,
    removed: Sequence[str] = (),
    since: int = 0,
    start: int | None = None,
    log: str = "",
    tiers: Mapping[str, JSONValue] = _NO_TIERS,
) -> PolicyTold:
    """Evaluate candidates on as many past decisions as one answer of the index covers.

    `since`: Unix milliseconds, for the first page; later pages pass `start`. `log`: of another shard. `tiers`: changed
    tiers, by capability name. Raises Malformed (`registry.faults`, `policy.*`, `simulation.tier`, `search.log`),
    Refused (`publication.unknown`), Unavailable.
    """
    checked = checked_tiers(tiers, registry.current.capabilities)
    name = candidate_name(registry, documents, removed)
    if policies.candidate is None or policies.candidate[0] != name:
        plan = await planned_sets(registry, policies, drills, limits, clock, documents, removed, same=True)
        policies.candidate = name, tuple(text.decode() for text in plan.documents.values())
    question = PolicyQuestion(
        documents=policies.candidate[1], tiers=checked, since=since, start=start, log=log
    )
    return await searches.ask(POLICY, question)


def candidate_name(registry: RegistryStore, documents: Sequence[JSONValue], removed: Sequence[str]) -> str:
    """Return a digest of all that a candidate is made of."""
    given = encode([*documents, {"removed": [*removed]}])
    return documents_digest({"given": given, "registry": encode(registry.current.digest)})
