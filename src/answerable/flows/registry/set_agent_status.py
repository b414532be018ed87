"""Suspend, resume or retire an agent: in the registry, then its instances, and its mandates if it is retired.

The registry comes first, because it alone makes the agent refused from then on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from answerable.core.canonical import parse
from answerable.errors import shown
from answerable.errors.codes.registry import AGENT_RETIRED, AGENT_UNKNOWN, REGISTRY_FAULTS
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.revocation.end_instance import end_agent
from answerable.flows.revocation.revoke_authority import take_away_from_retired

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import AgentId
    from answerable.core.identity.workload.instance import Instance
    from answerable.core.mandate.mandate import MandateId
    from answerable.flows.trust_domain.workloads import Workloads

Standing = Literal["active", "suspended", "retired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingChange:
    """What was done, and until when others may not know of it.

    `changed`: whether the status was another one before. `x509_until`, `jwt_until`: when the last SVID of its instances
    expires at third parties that verify offline, by the current lifetimes, Unix milliseconds; 0 if nothing was changed.
    `list_outstanding_access` includes SVIDs issued with longer lifetimes.
    """

    agent: AgentId
    status: Standing
    changed: bool
    ended: tuple[Instance, ...] = ()
    closed: tuple[MandateId, ...] = ()
    x509_until: int = 0
    jwt_until: int = 0


async def set_agent_status(
    workloads: Workloads, agent: AgentId, status: Standing, *, by: str, because: str = ""
) -> StandingChange:
    """Put a status into force. Repeated, it ends what was started meanwhile. `because`: the reason, if a rule does it.

    Raises Refused (`agent.unknown`, `agent.retired`: a retired agent stays retired), Malformed (`registry.faults`) and
    Unavailable; repeated, it resumes where it stopped.
    """
    stored = workloads.authority.registry.documents().get(f"Agent/{agent}")
    if stored is None:
        raise AGENT_UNKNOWN(f"agent {shown(agent)} is not registered")
    document = parse(stored)
    before = _status_in(document)
    if before == "retired" and status != "retired":
        raise AGENT_RETIRED(f"agent {shown(agent)} is retired and cannot be activated again")
    if before != status:
        await apply_registry(
            workloads.recorder,
            workloads.authority,
            workloads.asking,
            workloads.applying,
            [_with_status(document, status)],
            by=by,
            because=because,
        )
    if status == "active":
        return StandingChange(agent=agent, status=status, changed=before != status)
    now = workloads.recorder.clock.now()
    ended = await end_agent(workloads, agent, because=f"agent.{status}", by=by)
    closed: list[MandateId] = []
    if status == "retired":
        # Also if it was retired before and a crash came between.
        await take_away_from_retired(workloads.authority.registry, workloads.applying.live)
        for mandate in list(workloads.authority.mandates.all()):
            if mandate.agent == agent and workloads.authority.mandates.state(mandate.id) == "open":
                await close_mandate(
                    workloads.recorder, workloads.authority, workloads.applying.live, mandate.id, by=by
                )
                closed.append(mandate.id)
    limits = workloads.trust.limits
    # Also if no instance was live: one that ended a moment ago may still hold SVIDs.
    told = before != status or bool(ended)
    return StandingChange(
        agent=agent,
        status=status,
        changed=before != status,
        ended=ended,
        closed=tuple(closed),
        x509_until=now + limits.x509_seconds * 1000 if told else 0,
        jwt_until=now + limits.jwt_seconds * 1000 if told else 0,
    )


def _status_in(document: JSONValue) -> str:
    spec = document.get("spec") if isinstance(document, dict) else None
    status = spec.get("status", "active") if isinstance(spec, dict) else None
    if not isinstance(status, str):
        raise REGISTRY_FAULTS("the agent's document has no readable status")
    return status


def _with_status(document: JSONValue, status: Standing) -> JSONValue:
    if not isinstance(document, dict) or not isinstance(document.get("spec"), dict):
        raise REGISTRY_FAULTS("the agent's document has no spec")
    spec = document["spec"]
    assert isinstance(spec, dict)  # noqa: S101 - the line above has looked
    return {**document, "spec": {**spec, "status": status}}
