"""Check that workflows are separate from people and from agents.

Laws: no person is in a group of a workflow, so that a program never satisfies a rule that asks people; no process can
match both a workflow and an agent by its measurements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.registry.documents.documents import Agent, Principal, Workflow
from answerable.core.registry.parsing.spec_workflow import UID_SELECTOR
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.registry.parsing.parse import Shapes


def workflow_faults(workflow: Workflow, shapes: Shapes) -> Iterator[tuple[str, str, str]]:
    """Yield path, code and message of each fault between a workflow and other documents."""
    for index, group in enumerate(workflow.groups):
        person = next(
            (
                found.name
                for found in shapes.nouns
                if isinstance(found.noun, Principal) and group in found.noun.groups
            ),
            None,
        )
        if person is not None:
            message = f"{shown(person)} is in group {shown(group)}: people and workflows answer for groups of their own"
            yield f"/spec/groups/{index}", "workflow.mixed_group", message
    for index, chosen in enumerate(workflow.attestation):
        agent = _agent_like(frozenset(chosen), shapes)
        if agent is not None:
            message = (
                f"a process of this kind could be agent {shown(agent)}: give the workflow a user of its own"
            )
            yield f"/spec/attestation/{index}", "workflow.is_agent", message


def _agent_like(chosen: frozenset[str], shapes: Shapes) -> str | None:
    """Return an agent whose processes could match these selectors, or the other way round."""
    for found in shapes.nouns:
        if not isinstance(found.noun, Agent):
            continue
        uids = {f"{UID_SELECTOR}{uid}" for uid in found.noun.unix_uids}
        certificates = {f"mtls:sha256:{one}" for one in found.noun.certificates}
        if chosen & (uids | certificates):
            return found.name
        if any(chosen <= set(other) or chosen >= set(other) for other in found.noun.attestation):
            return found.name
    return None
