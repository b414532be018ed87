"""The other registered nouns: people, use cases, agents, servers, templates, applications, schedules, workflows, policy
sets. Each comes from one document whose kind is the class name; all are values, valid on construction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from answerable.core.identity.keys.keys import PublicKey
from answerable.core.identity.names.principal import AgentId, PrincipalId
from answerable.core.registry.documents.capability import ActionKind, ArgumentType, Capability, Sensitivity
from answerable.core.registry.documents.contacts import NO_CONTACTS, Contacts
from answerable.core.registry.documents.destination import DestinationType
from answerable.core.registry.documents.ownership import UNOWNED, Ownership
from answerable.core.registry.documents.policy_parts import NO_PARTS, PolicyParts
from answerable.core.registry.documents.stop_rule import StopRule
from answerable.core.registry.documents.time_rule import TimeRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A person who may issue mandates, own things and answer approvals, with their signing keys.

    A disabled person is not in force, and neither is anything that needs them as an owner. oidc: issuer and subject
    that an OpenID provider uses for the person. capabilities: what the person may give at all, directly or by a
    schedule that they own; empty for no bound. contacts: how to reach the person.
    """

    name: PrincipalId
    display_name: str
    groups: tuple[str, ...] = ()
    keys: tuple[PublicKey, ...] = ()
    status: Literal["active", "disabled"] = "active"
    oidc: tuple[str, str] | None = None
    capabilities: tuple[str, ...] = ()
    contacts: Contacts = NO_CONTACTS

    def gives(self, capability: str) -> bool:
        """Whether the person may give this capability."""
        return not self.capabilities or capability in self.capabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """The business purpose that mandates belong to.

    issuers: groups whose members may issue mandates for it, besides its owner and backup owner.
    """

    name: str
    purpose: str
    issuers: tuple[str, ...] = ()
    ownership: Ownership = UNOWNED


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An autonomous process and the channels on which it can prove its identity.

    tier: the harm that it can do, 0 none to 3 critical; None takes the tier of its manifest. unix_uids: user ids whose
    Unix-socket connections identify it. certificates: SHA-256 of client certificates, hex. attestation: sets of
    selectors, each sorted; a process with all selectors of one set is an instance of it. drift: how to treat actions of
    an instance that differs from the agent's manifest: refuse them, or pass them marked for policy and ledger. broker:
    it may fetch documents for the processes that the settings list. vendors: suppliers of its model and its framework.
    capabilities: its ceiling, which no mandate and no delegator can exceed; empty for none. tenant: the tenant it runs
    for, where one deployment serves several; empty for none.
    """

    name: AgentId
    use_case: str
    environment: str
    keys: tuple[PublicKey, ...] = ()
    unix_uids: tuple[int, ...] = ()
    certificates: tuple[str, ...] = ()
    status: Literal["active", "suspended", "retired"] = "active"
    ownership: Ownership = UNOWNED
    attestation: tuple[tuple[str, ...], ...] = ()
    drift: Literal["refuse", "mark"] = "refuse"
    broker: bool = False
    vendors: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    tier: int | None = None
    tenant: str = ""

    def reaches(self, capability: str) -> bool:
        """Whether a capability is within the agent's ceiling."""
        return not self.capabilities or capability in self.capabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An upstream MCP server: stdio if `command` is set, streamable HTTP if `url` is, a target of the broker if
    `target` is. Environment values may be secret references (`env:NAME`, `file:PATH`), resolved where the server is
    started. vendor: its supplier. tenant: its tenant, where one deployment serves several."""

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = ""
    url: str = ""
    target: str = ""
    call_seconds_max: int = 60
    vendor: str = ""
    tenant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantTemplate:
    """One allowed capability of a mandate template; values may contain `{parameter}` placeholders.

    resources: allowed resource ids, empty for any. arguments: exact values by argument, of the argument's own type.
    maxima: inclusive upper bounds by integer argument. destinations: allowed destinations, None for any.
    """

    capability: str
    resources: tuple[str, ...] = ()
    arguments: tuple[tuple[str, str | int | bool], ...] = ()
    maxima: tuple[tuple[str, int], ...] = ()
    destinations: tuple[DestinationType, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateParameter:
    """A value that a person fills in. pattern: full-match regular expression. title: the human-readable label."""

    name: str
    pattern: str
    type: ArgumentType = "string"
    title: str = ""


DELEGATION_DEPTH_MAX: Final = 16
"""Maximum depth of the last hop, whatever is configured; the first hop has depth 0."""
DELEGATION_WIDTH_MAX: Final = 100
"""Agents that each agent may hand on to."""
DELEGATION_RECEIVERS_MAX: Final = 64
"""Names to which a mandate may be handed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationTemplate:
    """How far a mandate of the template may be handed on, and to whom: by name, use case, or group of the owner."""

    depth_max: int
    width_max: int
    agents: tuple[str, ...] = ()
    use_cases: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateTemplate:
    """A mandate with parameters, so that a person fills in a few fields instead of writing a policy.

    budgets: limits by name, as numbers or as one placeholder of a numeric parameter. ceiling: most sensitive data that
    it may touch. kinds, systems: allowed kinds and systems. Each is empty for no limit.
    """

    name: str
    use_case: str
    agent: AgentId
    purpose: str
    grants: tuple[GrantTemplate, ...]
    calls_max: int
    ttl_seconds: int
    parameters: tuple[TemplateParameter, ...] = ()
    environment: str = ""
    budgets: tuple[tuple[str, int | str], ...] = ()
    ceiling: Sensitivity | Literal[""] = ""
    kinds: tuple[ActionKind, ...] = ()
    systems: tuple[str, ...] = ()
    delegation: DelegationTemplate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A program through which people give tasks: it signs mandates for people who present an ID token to it.

    use_cases: the use cases for which it may sign. It can give nothing on its own behalf.
    """

    name: str
    use_cases: tuple[str, ...]
    keys: tuple[PublicKey, ...] = ()
    status: Literal["active", "disabled"] = "active"
    ownership: Ownership = UNOWNED


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A task that is given repeatedly without a person, at the times of its rule; its owner answers for it.

    values: of the template's parameters; `{date}` in them is replaced by the day of the due time.
    """

    name: str
    template: str
    rule: TimeRule
    values: tuple[tuple[str, str], ...] = ()
    keys: tuple[PublicKey, ...] = ()
    status: Literal["active", "disabled"] = "active"
    ownership: Ownership = UNOWNED


PRINCIPAL: Final = "Principal/"
WORKFLOW: Final = "Workflow/"
"""Prefixes of the keys under which documents are stored: kind and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """Software that is not an AI and may answer approvals in its owner's stead: a change-management system, the check
    of a payment run.

    groups: groups for which it answers; no person may be in any of them. capabilities: the capabilities whose actions
    it may answer, each named. tier_max: the highest tier of such an action. attestation: as an agent's; only a process
    that matches one of these sets answers as this workflow.
    """

    name: str
    purpose: str
    groups: tuple[str, ...]
    capabilities: tuple[str, ...]
    tier_max: int = 1
    keys: tuple[PublicKey, ...] = ()
    attestation: tuple[tuple[str, ...], ...] = ()
    status: Literal["active", "disabled"] = "active"
    ownership: Ownership = UNOWNED


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySetDocument:
    """Cedar policy text and its declarations; its schema is generated from those and the capabilities."""

    name: str
    policies: str
    parts: PolicyParts = NO_PARTS


Owned = Agent | UseCase | Capability | Application | Schedule | StopRule | Workflow
"""Nouns that are in force only with complete ownership."""
