"""Choose the name of a sub-agent, and derive its evidence from its parent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.identity.names.spiffe_id import agent_instance_id
from answerable.core.identity.workload.evidence import Evidence

if TYPE_CHECKING:
    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.core.identity.workload.instance import Instance
    from answerable.flows.trust_domain.workloads import Workloads


def sub_agent_number(name: SpiffeId) -> int:
    """Return the number in a sub-agent's name; 0 for any other name."""
    number = name.path.rpartition("/sub-")[2]
    return int(number) if number.isdecimal() else 0


def sub_agent_evidence(parent: Instance) -> Evidence:
    """Return a sub-agent's evidence: its parent, with the parent's grade."""
    return Evidence(source="parent", grade=parent.evidence.grade, selectors=(f"spiffe:id:{parent.id}",))


def next_sub_agent(workloads: Workloads, parent: Instance, last: SpiffeId | None) -> SpiffeId:
    """Return a name that no sub-agent of this parent has had. `last`: the register's last, forgotten or not."""
    name = parent.id.path.rpartition("/")[2]
    number = sub_agent_number(last) if last is not None else 0
    # Also skip numbers that were recorded in this process and never came into force.
    number = max(number, workloads.sub_numbers.get(parent.id, 0)) + 1
    workloads.sub_numbers[parent.id] = number
    return agent_instance_id(workloads.trust.domain, parent.agent, name, sub=f"sub-{number}")
