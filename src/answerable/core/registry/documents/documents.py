"""The other registered nouns. Each is one document of kind = class name; all are values, valid on construction."""

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
    """A person who may issue mandates, own things and answer approvals, with the keys they sign with.

    A disabled one is not in force, and with it what needs it as an owner. oidc: issuer and subject under which an
    OpenID provider knows them. capabilities: what they may give at all, themselves or by a schedule that they own;
    empty for no such bound. contacts: where they are reached.
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
        """Whether a capability is among what they may give."""
        return not self.capabilities or capability in self.capabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """Why agents exist: the business purpose that mandates belong to.

    issuers: groups whose members may issue mandates for it, beside its owner and backup owner.
    """

    name: str
    purpose: str
    issuers: tuple[str, ...] = ()
    ownership: Ownership = UNOWNED


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An autonomous process and the channels on which it can prove itself.

    tier: the harm that it can do, 0 none to 3 critical; None leaves that to its manifest. unix_uids: user ids whose
    Unix-socket connections speak for it. certificates: SHA-256 of client certificates, hex. attestation: sets of
    selectors, each sorted; a process in which all of one set were measured is an instance of it. drift: what becomes of
    actions of an instance that differs from the agent's manifest: refused, or let through and marked for policy and
    ledger. broker: it may fetch documents of the processes that the settings list for it. vendors: who supplies what it
    is made of, its model and its framework. capabilities: its ceiling, beyond which no mandate and nobody who hands on
    to it takes it; empty for none. tenant: on whose behalf it runs, where
    one deployment serves several; empty for nobody in particular.
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
        """Whether a capability is within its ceiling."""
        return not self.capabilities or capability in self.capabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An upstream MCP server: stdio when `command` is set, streamable HTTP when `url` is, a target of the broker when
    `target` is. Environment values may be secret references (`env:NAME`, `file:PATH`), resolved where the server is
    started. vendor: who supplies it. tenant: whose it is, where one deployment serves several."""

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
    """One allowed capability of a mandate template; values may hold `{parameter}` placeholders.

    resources: allowed resource ids, empty for any. arguments: exact values per argument, of the argument's own type.
    maxima: inclusive upper bounds per integer argument. destinations: where it may send, empty for anywhere.
    """

    capability: str
    resources: tuple[str, ...] = ()
    arguments: tuple[tuple[str, str | int | bool], ...] = ()
    maxima: tuple[tuple[str, int], ...] = ()
    destinations: tuple[DestinationType, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateParameter:
    """A value a person fills in; `pattern` is a full-match regular expression. title: what to ask a person for."""

    name: str
    pattern: str
    type: ArgumentType = "string"
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationTemplate:
    """How far a mandate of the template may be handed on; to whom by name, use case, or group of the owner."""

    depth_max: int
    width_max: int
    agents: tuple[str, ...] = ()
    use_cases: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateTemplate:
    """A mandate with holes, so that a person fills in two fields and not a policy.

    budgets: limits by name, as numbers or as one placeholder of a parameter that is one.
    ceiling: most sensitive data it may touch, kinds and systems it is for; empty where it is not limited so.
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
    """A program through which people give tasks: it signs mandates for those who show it an ID token.

    use_cases: those for which it may. It can give nothing by itself.
    """

    name: str
    use_cases: tuple[str, ...]
    keys: tuple[PublicKey, ...] = ()
    status: Literal["active", "disabled"] = "active"
    ownership: Ownership = UNOWNED


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A task that is given again and again without a person, at the times of its rule; its owner answers for it.

    values: of the template's parameters; `{date}` in them is the day of the time at which it is due.
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
"""Before the name of one, where a document is kept under kind and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """Software of somebody's, and no AI, that may answer approvals in its owner's stead: a change-management system,
    the check of a payment run.

    groups: for which it answers; no person is in any of them. capabilities: of whose actions, each named. tier_max: the
    highest tier of an action that it may answer. attestation: as an agent's; only what was measured to be one of these
    sets answers as this workflow.
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
    """Cedar policy text, and what it declares beside; its schema is generated from that and the capabilities."""

    name: str
    policies: str
    parts: PolicyParts = NO_PARTS


Owned = Agent | UseCase | Capability | Application | Schedule | StopRule | Workflow
"""What somebody must answer for before it is in force."""
