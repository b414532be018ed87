"""Explain which agents could use a capability at a moment, now or earlier, by the checks of the walk without a request.

Laws: what the walk would refuse for any request is a no, with the walk's own code. What depends on the single request
is listed as conditions. This flow decides nothing. `answerable could` asks it; `answerable why` asks `verify/denial`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from answerable.api import decision_answers as answers
from answerable.core.decision.budget_left import budget_left
from answerable.core.decision.destination_class import classed
from answerable.core.decision.policy_context import TIER_UNSAID, members_of
from answerable.core.decision.time_windows import windows_at
from answerable.core.identity.names.principal import AgentId
from answerable.core.mandate.budget import ONE_CALL
from answerable.core.mandate.caveat import ArgumentAtMost, ArgumentEquals, Attempt, DestinationIn, ResourceIn
from answerable.core.mandate.mandate import account_of, ended
from answerable.core.mandate.session_claims import session_account, session_of
from answerable.core.registry.documents.budget_name import CALLS
from answerable.errors import Malformed, Refused, shown
from answerable.errors.codes.policy import ANSWERS_UNKNOWN_NAME
from answerable.flows.forensics.tell_hits import instant
from answerable.flows.validity.mandate_validity import shard_elsewhere, shard_fault, standing_fault
from answerable.flows.validity.refuse_revoked import capability_names, judged_under, mandate_names
from answerable.flows.walk.may_act import given_fault, inactive_fault, ways_to_prove
from answerable.verify.partial_asking import Possible, ask_partly, unknown
from answerable.verify.policy_evaluation import Named, PolicyAsking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.caveat import Caveat
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.documents.documents import Agent
    from answerable.flows.walk.moment import Moment

MANDATES_TOLD_MAX: Final = 100
"""Mandates of one agent for which policies are evaluated."""
_ORDER: Final = ("allow", "depends", "deny")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The answer for one agent.

    `mandates`: those under which the agent could act. `by`, `conditions`: as in `Possible`, including conditions of its
    mandates; for a no, the codes with which the walk would refuse under the mandate that comes nearest to a yes.
    `also`: answers under its other mandates, with other conditions, if none allows every request.
    """

    agent: str
    effect: str
    by: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    mandates: tuple[str, ...] = ()
    also: tuple[Told, ...] = ()


def told_possible(
    moment: Moment, *, agent: str, resource: str, withheld: int = 0, unfollowed: int = 0
) -> answers.Possible:
    """Return the answer of the control API. agent: empty for all. withheld, unfollowed: as of `Then`. Raises as
    `possible`."""
    found = possible(moment, agents=(agent,) if agent else (), resource=resource)
    return answers.Possible(
        at=instant(moment.at),
        registry=moment.registry.current.digest,
        withheld=withheld,
        unfollowed=unfollowed,
        is_offered=moment.is_offered,
        shards=(),
        elsewhere={},
        agents=tuple(
            answers.PossibleAgent(
                **_members(one),
                also=tuple(answers.PossibleWay(**_members(other)) for other in one.also) or UNSET,
            )
            for one in found
        ),
    )


def possible(moment: Moment, *, agents: tuple[str, ...], resource: str) -> list[Told]:
    """Return the answer for each of these agents, or for all registered ones if none is named. `resource`: empty for
    any.

    Raises Malformed: `answers.unknown_name` for a name that no agent had, `policy.unreadable`; Unavailable if
    revocations or holds cannot be read.
    """
    current = moment.registry.current
    known = {**current.agents, **current.idle_agents}
    wanted = [known.get(AgentId(name)) for name in agents or sorted(known)]
    if None in wanted:
        raise ANSWERS_UNKNOWN_NAME(f"no agent {shown(agents[0])} was registered at that time")
    asking = _Asking(moment, PolicyAsking(moment.statement, digest=""), resource)
    return [asking.told(agent) for agent in wanted if agent]


class _No(Exception):
    """A refusal. `by`: the codes of the walk. `stage`: how far the checks came, in their order."""

    def __init__(self, stage: int, *by: str) -> None:
        super().__init__(*by)
        self.stage, self.by = stage, by


class _Asking:
    def __init__(self, moment: Moment, policies: PolicyAsking, resource: str) -> None:
        self._moment, self._policies = moment, policies
        self._capability = moment.capability
        mapping = moment.capability.resource
        # A capability with a fixed resource uses it in every request.
        self._resource = resource if mapping.argument else mapping.fixed

    def told(self, agent: Agent) -> Told:
        current = self._moment.registry.current
        fault = inactive_fault(current, agent.name) or self._moment.agents.get(agent.name)
        if fault is not None:
            return Told(agent=agent.name, effect="deny", by=(fault.code,))
        nearest = (False, _No(0, "mandate.none"))
        found: dict[tuple[Possible, tuple[str, ...]], list[str]] = {}
        asked = 0
        for mandate in self._moment.mandates.get(agent.name, ()):
            try:
                conditions = self._conditions(agent, mandate)
            except _No as no:
                nearest = max(nearest, (self._stands(mandate), no), key=lambda one: (one[0], one[1].stage))
                continue
            if asked >= MANDATES_TOLD_MAX:
                break
            asked += 1
            found.setdefault((self._by_policies(agent, mandate), conditions), []).append(mandate.id)
        if not found:
            return Told(agent=agent.name, effect="deny", by=nearest[1].by)
        # Mandates with the fewest conditions first, grouped by equal conditions.
        best, *others = sorted(found, key=lambda one: (_ORDER.index(one[0].effect), len(one[1])))
        told = _way(agent.name, best, found[best])
        if told.effect != "depends":
            return told
        also = tuple(_way(agent.name, one, found[one]) for one in others if one[0].effect != "deny")
        return replace(told, also=also)

    def _stands(self, mandate: Mandate) -> bool:
        return self._moment.state(mandate.id) == "open" and self._moment.at < mandate.expires_at

    def _conditions(self, agent: Agent, mandate: Mandate) -> tuple[str, ...]:
        """Return the conditions of a mandate that depend on the single request, in the walk's order. Raises _No."""
        moment, name = self._moment, self._capability.name
        current = moment.registry.current
        shard = self._shard(mandate)
        fault = None if shard else shard_fault(mandate, moment.origin)
        _say_no(1, fault or standing_fault(mandate, current))
        _say_no(2, given_fault(mandate, name, (agent.name,), current))
        if isinstance(moment.tool, Refused) and not shard:
            _say_no(3, moment.tool)
        try:
            session = session_of(mandate) if mandate.id_token else ()
        except Malformed as unread:
            raise _No(3, unread.code) from None
        proofs = self._proofs(agent, mandate)
        if (
            short := ended(
                mandate,
                state=moment.state(mandate.id),
                calls_used=0 if shard else moment.used(mandate.id).get(CALLS, 0),
                now=moment.at,
            )
        ) is not None:
            raise _No(6, short.code)
        covered = self._covering(mandate)
        if any(not one.names(name) for one in session):
            raise _No(8, "mandate.session")
        accounts = (account_of(mandate), *session_account(mandate, session))
        if shard:
            # That process alone knows what is used, and what its servers offer.
            name = shown(shard.rpartition("/")[2])
            there = (f"if shard {name}, which the mandate is for, runs, offers it and has its budget left",)
            return (*there, *proofs, *covered, *self._left_to_the_request(mandate, session))
        if moment.lack(accounts, ONE_CALL) is not None:
            raise _No(9, "mandate.budget_spent")
        return (*proofs, *covered, *self._left_to_the_request(mandate, session))

    def _shard(self, mandate: Mandate) -> str:
        """Return the log of another shard that an action under this mandate is handed to; empty for none."""
        log = shard_elsewhere(mandate, self._moment.origin)
        return log if log and self._moment.reaches(log) else ""

    def _left_to_the_request(self, mandate: Mandate, session: tuple[Authority, ...]) -> Iterator[str]:
        if not self._moment.is_offered:
            yield "if its server offers it as it was approved, which nobody knows while no server runs"
        if any(one.constraints for one in session):
            yield "as far as the login that the mandate was given by allows it"
        if mandate.budgets:
            named = ", ".join(shown(name) for name, _ in mandate.budgets)
            yield f"if what it takes is left of the budgets of {named} (mandate)"
        if self._capability.executes is not None:
            yield f"if it was prepared before, with {shown(self._capability.executes.prepared_by)}"

    def _proofs(self, agent: Agent, mandate: Mandate) -> tuple[str, ...]:
        """Return how the agent must prove itself, given revocations and holds. Raises _No if no way is left."""
        moment = self._moment
        task = mandate_names(moment, mandate)
        target = tuple(capability_names(moment.registry.current, self._capability))
        ways = ways_to_prove(agent)
        judged = [judged_under(moment, (*task, *way, *target), self._capability) for way in ways]
        stopped = [one.revocation is not None or one.hold(moment.at) is not None for one in judged]
        if not all(stopped):
            _say_no(5, moment.nobody)
            gone = [
                shown(key)
                for way, is_stopped in zip(ways, stopped, strict=True)
                if is_stopped
                for _, key in way
            ]
            return (f"if it proves itself otherwise than by key {', '.join(gone)}",) if gone else ()
        first = judged[0]
        if first.revocation is not None:
            raise _No(4, first.revocation.refusal().code)
        _say_no(5, moment.nobody)
        hold = first.hold(moment.at)
        assert hold is not None  # noqa: S101 - stopped, and not revoked
        raise _No(5, hold.fact().rule, hold.id)

    def _covering(self, mandate: Mandate) -> tuple[str, ...]:
        """Return the conditions under which a mandate covers the capability. Raises _No if it does not."""
        capability = self._capability
        attempt = Attempt(
            capability=capability.name,
            environment=capability.environment,
            resource_type=capability.resource.type,
            resource_id=self._resource,
            arguments={},
            kind=capability.kind,
            server=capability.server,
            sensitivity=capability.sensitivity,
            destination_type=capability.destination.type,
        )
        common = [_asked_of(caveat, attempt) for caveat in mandate.caveats]
        if None in common:
            raise _No(7, "mandate.caveat")
        found: list[tuple[str, ...]] = []
        named = [grant for grant in mandate.grants if grant.capability == capability.name]
        for grant in named:
            told = [*common, *(_asked_of(caveat, attempt) for caveat in grant.caveats)]
            if None not in told:
                found.append(tuple(one for one in told if one))
        if not found:
            raise _No(7, "mandate.caveat" if named else "mandate.capability_outside")
        return min(found, key=len)

    def _by_policies(self, agent: Agent, mandate: Mandate) -> Possible:
        named = Named(
            agent=agent.name,
            environment=agent.environment,
            use_case=agent.use_case,
            action=self._capability.name,
            kind=self._capability.kind,
        )
        return ask_partly(
            self._policies,
            named,
            resource_type=self._capability.resource.type,
            resource_id=self._resource,
            context=self._context(agent, mandate),
        )

    def _context(self, agent: Agent, mandate: Mandate) -> dict[str, Any]:
        """Return the known part of the policy context; members with a missing part are marked unknown as a whole."""
        moment, capability = self._moment, self._capability
        parts = moment.registry.current.parts
        members = members_of(capability, parts)
        context: dict[str, Any] = {name: unknown(name) for name in members}
        known = {
            "agent": {
                "environment": agent.environment,
                "owner": agent.ownership.owner,
                "tier": TIER_UNSAID if agent.tier is None else agent.tier,
            },
            "task": {
                "calls_max": mandate.calls_max,
                "calls_used": moment.used(mandate.id).get(CALLS, 0),
                "expires_at": mandate.expires_at,
                "mandate": mandate.id,
                "principal": mandate.principal,
                "purpose": mandate.purpose,
                "use_case": mandate.use_case,
            },
            # Under the agent's own mandate; delegation is not evaluated.
            "chain": {
                "agents": [agent.name],
                "depth": 0,
                "person": mandate.principal,
                "root": agent.name,
            },
        }
        is_here = not self._shard(mandate)
        if not is_here:
            del known["task"]["calls_used"]
        for member, values in known.items():
            context[member] = {
                name: values.get(name, unknown(f"{member}.{name}")) for name in members[member]
            }
        if is_here:
            context["budget"] = budget_left([account_of(mandate)], moment.used, capability)
        if not capability.destination.type:
            found = classed(parts.destinations, capability, ())
            context["destination"] = {
                "class": found.worst,
                "classes": [*found.classes],
                "names": [],
                "type": "",
            }
        if not isinstance(moment.tool, Refused):
            context["capability"] = {**moment.tool}
        context["now"] = moment.at
        context["windows"] = dict(windows_at(parts.windows, moment.at))
        return context


def _members(one: Told) -> dict[str, Any]:
    return {
        "agent": one.agent,
        "by": one.by,
        "conditions": one.conditions,
        "effect": one.effect,
        "mandates": one.mandates,
    }


def _way(agent: str, way: tuple[Possible, tuple[str, ...]], mandates: list[str]) -> Told:
    found, conditions = way
    if found.effect == "deny":
        return Told(agent=agent, effect="deny", by=found.by)
    return Told(
        agent=agent,
        effect="depends" if found.effect == "allow" and conditions else found.effect,
        by=found.by,
        conditions=(*conditions, *found.conditions),
        mandates=tuple(mandates),
    )


def _say_no(stage: int, fault: Refused | None) -> None:
    if fault is not None:
        raise _No(stage, fault.code)


def _asked_of(caveat: Caveat, attempt: Attempt) -> str | None:
    """Return the condition that a caveat puts on the request; empty for none, None if the caveat cannot hold."""
    match caveat:
        case ArgumentEquals():
            return f"if argument {shown(caveat.name)} is {json.dumps(caveat.value)} (mandate)"
        case ArgumentAtMost():
            return f"if argument {shown(caveat.name)} is at most {caveat.maximum} (mandate)"
        case DestinationIn() if caveat.type == attempt.destination_type:
            return f"if it goes to {', '.join(caveat.allowed)} (mandate)"
        case ResourceIn() if not attempt.resource_id:
            return f"on {attempt.resource_type} {', '.join(caveat.ids)} (mandate)"
    return "" if caveat.failure(attempt) is None else None
