"""A small registry, and verified requests in it, for the tests of decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType

from answerable.core.action.request import VerifiedRequest, action_request
from answerable.core.action.tool_definition import ToolDefinition
from answerable.core.canonical import JSONValue
from answerable.core.decision.facts import ApprovalFact, Facts
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.identity.proof.caller import ProofKind, VerifiedCaller
from answerable.core.ledger.subject import principal_subject
from answerable.core.mandate.caveat import Caveat
from answerable.core.mandate.mandate import Grant, Mandate, MandateId, MandateState
from answerable.core.registry.documents.capability import (
    ActionKind,
    ArgumentMapping,
    Capability,
    ResourceMapping,
)
from answerable.core.registry.documents.documents import Agent, PolicySetDocument
from answerable.core.registry.documents.policy_parts import (
    DestinationClass,
    EventMatch,
    PolicyParts,
    RiskFactor,
    TimeWindow,
    Tracker,
)
from answerable.core.registry.snapshot.resolve import Resolved
from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
from answerable.testing.policy_model import ModelCase, ModelValue

NOW = UnixMillis(1_800_000_000_000)
AGENTS = {
    agent.name: agent
    for agent in (
        Agent(name=AgentId("support-agent"), use_case="support", environment="production"),
        Agent(name=AgentId("finance-agent"), use_case="finance", environment="production"),
        Agent(name=AgentId("staging-agent"), use_case="support", environment="staging"),
    )
}


def _capability(
    name: str,
    kind: ActionKind,
    resource: str,
    *arguments: ArgumentMapping,
    tier: int,
    environment: str = "production",
) -> Capability:
    return Capability(
        name=name,
        server=name.partition(".")[0],
        method="tools/call",
        target=name.replace(".", "_"),
        kind=kind,
        environment=environment,
        tier=tier,
        sensitivity="confidential",
        resource=ResourceMapping(type=resource, argument=arguments[0].name),
        arguments=arguments,
    )


CAPABILITIES = {
    capability.name: capability
    for capability in (
        _capability(
            "crm.customer.read",
            "read",
            "Customer",
            ArgumentMapping(name="case", type="string", required=True),
            tier=0,
        ),
        _capability(
            "crm.note.write",
            "write",
            "Customer",
            ArgumentMapping(name="case", type="string", required=True),
            ArgumentMapping(name="urgent", type="boolean"),
            tier=1,
        ),
        _capability(
            "payments.batch.submit",
            "pay",
            "Batch",
            ArgumentMapping(name="batch", type="string", required=True),
            ArgumentMapping(name="amount", type="minor_units"),
            ArgumentMapping(name="rate", type="decimal"),
            ArgumentMapping(name="tags", type="string_set"),
            ArgumentMapping(name="count", type="integer"),
            tier=3,
        ),
        _capability(
            "volumes.volume.delete",
            "delete",
            "Volume",
            ArgumentMapping(name="volume", type="string", required=True),
            tier=2,
            environment="staging",
        ),
    )
}
PARTS = PolicyParts(
    trackers=(
        Tracker(name="started_here", over="mandate", matches=(EventMatch(),)),
        Tracker(
            name="paid_today",
            over="agent",
            matches=(EventMatch(event="succeeded", kinds=("pay",)),),
            sum="amount",
            within_seconds=86_400,
        ),
    ),
    windows=(TimeWindow(name="freeze", begins=NOW + 1_000, ends=NOW + 2_000),),
    destinations=(DestinationClass(name="inside", type="email", members=("example.com",)),),
    risk=(
        RiskFactor(name="much", points=40, fact="argument", of="amount", at_least=100_000),
        RiskFactor(name="again", points=20, fact="history", of="paid_today", at_least=1),
        RiskFactor(name="for_good", points=10, fact="irreversible"),
    ),
)
REGISTRY = RegistrySnapshot(
    digest="0" * 64,
    agents=MappingProxyType(AGENTS),
    capabilities=MappingProxyType(CAPABILITIES),
    policy_sets=MappingProxyType({"declared": PolicySetDocument(name="declared", policies="", parts=PARTS)}),
)
DEFINITION = ToolDefinition(text=b"{}", digest=sha256(b"{}").hexdigest(), violations=lambda _: ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One action to decide, with everything that could matter. resource_id: empty for the value of the argument."""

    agent: str = "support-agent"
    capability: str = "crm.customer.read"
    arguments: Mapping[str, JSONValue] = field(default_factory=lambda: {"case": "4711"})
    resource_id: str = ""
    caveats: tuple[Caveat, ...] = ()
    state: MandateState = "open"
    calls_used: int = 0
    proof: ProofKind = "session_mac"
    at: UnixMillis = NOW
    approval: ApprovalFact | None = None
    destinations: tuple[str, ...] = ()
    history: Mapping[str, int] = field(default_factory=lambda: {"paid_today": 0, "started_here": 0})

    @property
    def resource(self) -> str:
        """The id of what would be touched."""
        name = CAPABILITIES[self.capability].resource.argument
        return self.resource_id or str(self.arguments.get(name) or "unknown")

    def verified(self) -> VerifiedRequest:
        """As the verify step would make it."""
        agent, capability = AGENTS[AgentId(self.agent)], CAPABILITIES[self.capability]
        mandate = Mandate(
            id=MandateId("m-1"),
            principal=PrincipalId("maria"),
            agent=agent.name,
            use_case=agent.use_case,
            purpose="answer the customer of this case",
            grants=tuple(Grant(capability=name) for name in CAPABILITIES),
            caveats=self.caveats,
            calls_max=10,
            not_before=UnixMillis(NOW - 1_000),
            expires_at=UnixMillis(NOW + 1_000_000),
            token="",
        )
        request = action_request(
            server=capability.server,
            method=capability.method,
            target=capability.target,
            arguments=dict(self.arguments),
            mandate_id=mandate.id,
            message_digest=b"\0" * 32,
        )
        return VerifiedRequest(
            request=request,
            arguments=request.arguments,
            caller=VerifiedCaller(
                agent=agent.name,
                proof=self.proof,
                binding="test",
                sequence=1,
                message_digest=b"\0" * 32,
                at=self.at,
            ),
            resolved=Resolved(capability=capability),
            mandate=mandate,
            principals=(mandate.principal,),
            resource_id=self.resource,
            subject=principal_subject(mandate.principal),
            definition=DEFINITION,
            destinations=self.destinations,
        )

    def facts(self) -> Facts:
        """As the gather step would make them."""
        return Facts(
            at=self.at,
            registry_digest=REGISTRY.digest,
            mandate_state=self.state,
            mandate_calls_used=self.calls_used,
            approval=self.approval,
            budget={"calls_left": 10 - self.calls_used, "left_percent": (10 - self.calls_used) * 10},
            history=self.history,
        )

    def model(self) -> ModelCase:
        """The same action for the reference model."""
        agent, capability = AGENTS[AgentId(self.agent)], CAPABILITIES[self.capability]
        arguments: dict[str, ModelValue] = {
            name: tuple(str(member) for member in value) if isinstance(value, list) else value
            for name, value in self.arguments.items()
            if isinstance(value, str | int | list)
        }
        amount = arguments.get("amount")
        much = isinstance(amount, int) and amount >= 100_000
        return ModelCase(
            agent=agent.name,
            use_case=agent.use_case,
            agent_environment=agent.environment,
            capability=capability.name,
            kind=capability.kind,
            environment=capability.environment,
            tier=capability.tier,
            resource_type=capability.resource.type,
            resource_id=self.resource,
            calls_used=self.calls_used,
            proof=self.proof,
            arguments=arguments,
            history=self.history,
            frozen=NOW + 1_000 <= self.at < NOW + 2_000,
            risk=40 * much + 20 * (self.history["paid_today"] >= 1) + 10 * (not capability.reversible),
            calls_left=10 - self.calls_used,
        )


def approval(**approvers: int) -> ApprovalFact:
    """So many distinct people of each group have approved."""
    return ApprovalFact(
        id="a-1",
        answered_by=tuple(
            (group, PrincipalId(f"{group}-{number}"))
            for group, count in approvers.items()
            for number in range(count)
        ),
    )
