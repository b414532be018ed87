"""Collect the registered names and values that a policy can refer to, of active and inactive documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from answerable.adapters.cedar.answering import Answering
from answerable.adapters.cedar.satisfiable import Scene, texts
from answerable.adapters.cedar.schema import AGENT, USE_CASE
from answerable.core.decision.policy_context import context_type
from answerable.core.registry.documents.destination import DESTINATION_TYPES
from answerable.core.registry.documents.policy_parts import NO_CLASS, NO_PARTS, UNKNOWN_CLASS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from answerable.adapters.cedar.satisfiable import Known
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.documents import Agent
    from answerable.core.registry.documents.policy_parts import PolicyParts

TIER_MAX: Final = 3
_PRINCIPAL: Final = {"environment": True, "use_case": True}
_DECLARED: Final = ("context.arguments", "context.history", "context.windows")
"""Records whose members are declared by documents."""
_OUR_TIMES: Final = (1_577_836_800_000, 4_102_444_800_000)
"""The years 2020 to 2100: a condition that holds throughout is always true."""
ACTION_CASES: Final = 5_000
"""Limit of cached scenes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What is registered, for checks of policies. agents, use_cases, servers: all that are declared, in whatever state.

    people: who may have given a task.
    answering: active people who can answer, by approver group.
    parts: of all sets.
    told: number of active people by group, with or without a key.
    """

    capabilities: tuple[Capability, ...]
    agents: Mapping[str, Agent]
    use_cases: frozenset[str]
    servers: frozenset[str]
    people: frozenset[str]
    answering: Answering
    parts: PolicyParts = NO_PARTS
    told: Mapping[str, int] = field(default_factory=dict)

    def environments(self) -> frozenset[str]:
        """Return the environments of all capabilities."""
        return frozenset(one.environment for one in self.capabilities)

    def domains(self) -> dict[str, frozenset[Known]]:
        """Return the possible values of context members, with the current registrations."""
        agents = self.agents.values()
        return {
            "context.agent.environment": texts(*(one.environment for one in agents)),
            "context.agent.owner": texts("", *self.people),
            "context.capability.owner": texts("", *self.people),
            "principal.environment": texts(*(one.environment for one in agents)),
            "principal.use_case": texts(*(one.use_case for one in agents)),
            "context.capability.environment": texts(*self.environments()),
            "context.capability.server": texts(*self.servers),
            "context.chain.person": texts(*self.people),
            "context.chain.root": texts(*self.agents),
            "context.destination.class": self.classes(),
            "context.destination.type": texts("", *DESTINATION_TYPES),
            "context.task.use_case": texts(*self.use_cases),
            "context.task.principal": texts(*self.people),
        }

    def members_of_sets(self) -> dict[str, frozenset[Known]]:
        """Return the possible elements of context members that are sets."""
        return {
            "context.chain.agents": texts(*self.agents),
            "context.destination.classes": self.classes(),
            "context.risk.factors": texts(*(one.name for one in self.parts.risk)),
        }

    def classes(self) -> frozenset[Known]:
        """Return the names of destination classes."""
        return texts(UNKNOWN_CLASS, NO_CLASS, *(one.name for one in self.parts.destinations))


class Scenes:
    """What is known of an action, by capability and by the principal of a policy's head."""

    def __init__(self, registered: Registered) -> None:
        self._registered = registered
        self._domains = registered.domains()
        self._use_cases = {name: one.use_case for name, one in registered.agents.items()}
        self.of = lru_cache(maxsize=ACTION_CASES)(self._scene)

    @property
    def anywhere(self) -> Scene:
        """What is true of every action: the use case of each agent."""
        return Scene(use_cases=self._use_cases)

    @property
    def everywhere(self) -> Scene:
        """What is true of every action, whatever else is registered: which members the context always has."""
        shapes = [
            dict(_records("context", context_type(one, NO_PARTS)))
            for one in self._registered.capabilities[:1]
        ]
        members = {
            path: record for shape in shapes for path, record in shape.items() if path not in _DECLARED
        }
        return Scene(members={**members, "principal": _PRINCIPAL}, bounds={"context.now": _OUR_TIMES})

    def agents(self, principal: tuple[str, str]) -> list[Agent]:
        """Return the registered agents that a head's principal matches."""
        kind, name = principal
        everybody = self._registered.agents.values()
        if kind == AGENT:
            return [one for one in everybody if one.name == name]
        return [one for one in everybody if one.use_case == name] if kind == USE_CASE else list(everybody)

    def _scene(self, capability: Capability, principal: tuple[str, str]) -> Scene:
        environments = texts(*(one.environment for one in self.agents(principal)))
        return Scene(
            domains={
                **self._domains,
                "context.agent.environment": environments,
                "principal.environment": environments,
                "context.capability.environment": texts(capability.environment),
                "context.capability.kind": texts(capability.kind),
                "context.capability.reversible": frozenset((("truth", capability.reversible),)),
                "context.capability.sensitivity": texts(capability.sensitivity),
                "context.capability.server": texts(capability.server),
                # A server's hints about its tools can raise the tier.
                "context.capability.tier": frozenset(
                    ("number", tier) for tier in range(capability.tier, TIER_MAX + 1)
                ),
            },
            actions=frozenset((capability.name, capability.kind)),
            resource_type=capability.resource.type,
            members={
                **dict(_records("context", context_type(capability, self._registered.parts))),
                "principal": _PRINCIPAL,
            },
            use_cases=self._use_cases,
            bounds={"context.risk.score": (0, sum(one.points for one in self._registered.parts.risk))},
        )


def _records(path: str, shape: JSONValue) -> Iterator[tuple[str, dict[str, bool]]]:
    """Yield every record inside a context type: its path, and its members, each with whether it is required."""
    match shape:
        case {"type": "Record", "attributes": dict(attributes)}:
            yield (
                path,
                {
                    name: not isinstance(inner, dict) or inner.get("required") is not False
                    for name, inner in attributes.items()
                },
            )
            for name, inner in attributes.items():
                yield from _records(f"{path}.{name}", inner)
