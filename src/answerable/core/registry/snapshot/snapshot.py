"""The registry as one immutable value: readers take a snapshot, writers swap it whole.

Laws: look-ups are exact; a thing that is not active does not resolve; two capabilities never claim one target.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from answerable.core.identity.names.principal import AgentId, PrincipalId
from answerable.core.registry.documents.policy_parts import PolicyParts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.identity.keys.keys import PublicKey
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.documents import (
        Agent,
        Application,
        MandateTemplate,
        PolicySetDocument,
        Principal,
        Schedule,
        Server,
        UseCase,
        Workflow,
    )
    from answerable.core.registry.documents.duty import Duty
    from answerable.core.registry.documents.stop_rule import StopRule


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySnapshot:
    """A snapshot of the registry. digest: SHA-256 of the canonical documents, hex. All mappings are read-only and keyed
    by exact name; duties by their group.

    idle: capabilities that are registered and not active. They never resolve and are never offered; policies may still
    name them, so that deactivating a capability in an emergency does not invalidate a policy set. idle_agents:
    registered agents that are not active; they are refused, and told that they are inactive instead of unknown.
    """

    digest: str
    principals: Mapping[PrincipalId, Principal] = field(default_factory=lambda: MappingProxyType({}))
    use_cases: Mapping[str, UseCase] = field(default_factory=lambda: MappingProxyType({}))
    agents: Mapping[AgentId, Agent] = field(default_factory=lambda: MappingProxyType({}))
    idle_agents: Mapping[AgentId, Agent] = field(default_factory=lambda: MappingProxyType({}))
    servers: Mapping[str, Server] = field(default_factory=lambda: MappingProxyType({}))
    capabilities: Mapping[str, Capability] = field(default_factory=lambda: MappingProxyType({}))
    idle: Mapping[str, Capability] = field(default_factory=lambda: MappingProxyType({}))
    templates: Mapping[str, MandateTemplate] = field(default_factory=lambda: MappingProxyType({}))
    applications: Mapping[str, Application] = field(default_factory=lambda: MappingProxyType({}))
    schedules: Mapping[str, Schedule] = field(default_factory=lambda: MappingProxyType({}))
    policy_sets: Mapping[str, PolicySetDocument] = field(default_factory=lambda: MappingProxyType({}))
    stop_rules: Mapping[str, StopRule] = field(default_factory=lambda: MappingProxyType({}))
    workflows: Mapping[str, Workflow] = field(default_factory=lambda: MappingProxyType({}))
    duties: Mapping[str, Duty] = field(default_factory=lambda: MappingProxyType({}))

    def person_keys(self, name: str) -> tuple[PublicKey, ...]:
        """Return the signing keys of a registered person; empty for an unknown name."""
        person = self.principals.get(PrincipalId(name))
        return person.keys if person is not None else ()

    @property
    def parts(self) -> PolicyParts:
        """The declarations of all policy sets together, in the order of their names, in which they are published."""
        sets = [self.policy_sets[name].parts for name in sorted(self.policy_sets)]
        return PolicyParts(
            trackers=tuple(one for parts in sets for one in parts.trackers),
            windows=tuple(one for parts in sets for one in parts.windows),
            destinations=tuple(one for parts in sets for one in parts.destinations),
            risk=tuple(one for parts in sets for one in parts.risk),
        )
