"""What agents could do at a moment, by what the ledger says was in force then: documents, policies, mandates, ends.

Laws: what the ledger does not say is not known, and said so; what depends on facts of the single action is told as
conditions; nothing here decides anything.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from answerable.core.canonical import encode
from answerable.core.containment.hold import HOLD_KINDS, Holdable
from answerable.core.containment.reach import reach_of
from answerable.core.decision.policy_context import TIER_UNSAID, capability_facts, members_of
from answerable.core.decision.time_windows import windows_at
from answerable.core.identity.principal import AgentId
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.caveat import ArgumentAtMost, ArgumentEquals, Attempt, DestinationIn, ResourceIn
from answerable.core.mandate.revocation import Revocable, owner_names, vendor_names
from answerable.core.mandate.token import mandate_in
from answerable.core.registry.active import snapshot_of
from answerable.core.registry.policy_statement import PolicyStatement
from answerable.core.registry.tool_hints import UNHINTED_TIER, raised
from answerable.core.registry.tool_pin import is_pinned
from answerable.errors import AnswerableError, Malformed, shown
from answerable.flows.apply_registry import policy_text
from answerable.verify.partial_asking import Possible, ask_partly, unknown
from answerable.verify.policy_asking import Named, PolicyAsking

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.principal import UnixMillis
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.core.mandate.caveat import Caveat
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.capability import Capability
    from answerable.core.registry.documents import Agent
    from answerable.core.registry.snapshot import RegistrySnapshot

MANDATES_TOLD_MAX: Final = 100
_FOLLOWED: Final = frozenset({"agent", "mandate", "owner"})
_UNREACHED: Final = frozenset({"instance", "hop", "key", "manifest", "trust_domain", "credential"})
"""Kinds of holds that depend on who exactly acts, which is not told here."""
_OPENED: Final = (Tag.REGISTRY_CHANGE, Tag.MANDATE_ISSUED, Tag.CITED, Tag.REVOKED, Tag.HOLD_PLACED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One agent. mandates: under which it could. by, conditions: as in `Possible`, those of its mandates among them."""

    agent: str
    effect: str
    by: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    mandates: tuple[str, ...] = ()

    def as_value(self) -> dict[str, Any]:
        """For answers: only JSON types."""
        return {
            "agent": self.agent,
            "by": [*self.by],
            "conditions": [*self.conditions],
            "effect": self.effect,
            "mandates": [*self.mandates],
        }


@dataclass(slots=True)
class Then:
    """What was in force at a moment. Entries are taken in order, until the first that is later.

    tools: definitions in force, by server and name, where the ledger lets them be read. held: holds that were not
    lifted, by id, with their ends; 0 for none. withheld: statements that could not be opened. unfollowed: revocations
    and holds of kinds that are not looked at here.
    """

    at: UnixMillis
    documents: dict[str, JSONValue] = field(default_factory=dict)
    registry: str = ""
    mandates: dict[str, Mandate] = field(default_factory=dict)
    used: Counter[str] = field(default_factory=Counter)
    tools: dict[tuple[str, str], JSONValue] = field(default_factory=dict)
    ended: set[tuple[str, str]] = field(default_factory=set)
    held: dict[str, tuple[Holdable, int]] = field(default_factory=dict)
    withheld: int = 0
    unfollowed: int = 0

    def take(self, stored: StoredEntry, find: FindKey) -> bool:
        """Look at the next entry; False once it is of later."""
        leaf = leaf_of(stored)
        at = leaf.get("at")
        if type(at) is int and at > self.at and stored.tag != Tag.GENESIS:
            return False
        if stored.tag == Tag.INTENT:
            self.used[str(leaf.get("mandate"))] += 1
        elif stored.tag == Tag.MANDATE_CLOSED:
            self.ended.add(("mandate", str(leaf.get("mandate"))))
        elif stored.tag == Tag.TOOL_PINNED:
            text = (payload_of(stored, leaf, find) or {}).get("text")
            self.tools[str(leaf.get("server")), str(leaf.get("tool"))] = text
        elif stored.tag == Tag.HOLD_LIFTED and leaf.get("lifted_at"):
            self.held.pop(str(leaf.get("hold")), None)
        elif stored.tag in _OPENED:
            self._opened(stored, leaf, payload_of(stored, leaf, find))
        return True

    def _opened(
        self, stored: StoredEntry, leaf: dict[str, JSONValue], fields: dict[str, JSONValue] | None
    ) -> None:
        if stored.tag == Tag.REVOKED:
            kind = str(leaf.get("kind"))
            name = str((fields or {}).get("person") if kind == "owner" else leaf.get("name"))
            self.ended.add((kind, name))
            self.unfollowed += kind not in _FOLLOWED
        elif stored.tag == Tag.HOLD_PLACED:
            kind, ends = str(leaf.get("kind")), leaf.get("expires_at")
            name = str((fields or {}).get("person") if kind == "owner" else leaf.get("name"))
            for known in HOLD_KINDS:
                if known == kind:
                    what = Holdable(known, name)
                    self.held[str(leaf.get("hold"))] = what, ends if isinstance(ends, int) else 0
            self.unfollowed += kind in _UNREACHED
        elif stored.tag == Tag.REGISTRY_CHANGE:
            self.registry = str(leaf.get("after"))
            changes = (fields or {}).get("changes")
            if not isinstance(changes, dict):
                self.withheld += 1
                return
            for key, document in changes.items():
                if document is None:
                    self.documents.pop(key, None)
                else:
                    self.documents[key] = document
        elif stored.tag == Tag.MANDATE_ISSUED or leaf.get("kind") == "mandate":
            token = (fields or {}).get("token")
            try:
                mandate = mandate_in(token) if isinstance(token, str) else None
            except AnswerableError:
                mandate = None
            if mandate is None:
                self.withheld += 1
            else:
                self.mandates.setdefault(mandate.id, mandate)

    def hold_on(self, reach: Iterable[Holdable]) -> str:
        """The id of a hold on one of these names that had not run out; empty for none."""
        names = frozenset(reach)
        found = (
            name for name, (what, ends) in self.held.items() if what in names and not 0 < ends <= self.at
        )
        return next(found, "")

    def snapshot(self) -> RegistrySnapshot:
        """The registry. Raises Malformed (`answers.registry_unknown`) where the ledger does not say all of it."""
        found = snapshot_of([*self.documents.values()])
        if not self.registry or found.digest != self.registry:
            raise Malformed(
                "the ledger does not say all of the registry that was in force then, so nothing can be told",
                code="answers.registry_unknown",
            )
        return found


def possible(then: Then, *, agents: tuple[str, ...], action: str, resource: str) -> list[Told]:
    """Each of these agents, or all that were active where none is named. resource: empty for any.

    Raises Malformed: `answers.unknown_name` for a name that nothing active had, `answers.registry_unknown`,
    `policy.unreadable`.
    """
    snapshot = then.snapshot()
    capability = snapshot.capabilities.get(action)
    if capability is None:
        raise Malformed(f"no active capability was called {shown(action)} then", code="answers.unknown_name")
    wanted = [snapshot.agents.get(AgentId(name)) for name in agents or sorted(snapshot.agents)]
    if None in wanted:
        raise Malformed(f"no active agent was called {shown(agents[0])} then", code="answers.unknown_name")
    statement = PolicyStatement(policies=policy_text(snapshot), parts=snapshot.parts, schema_digest="")
    policies = PolicyAsking(statement, digest="")
    return [_told(then, snapshot, policies, agent, capability, resource) for agent in wanted if agent]


def _told(
    then: Then,
    snapshot: RegistrySnapshot,
    policies: PolicyAsking,
    agent: Agent,
    capability: Capability,
    resource: str,
) -> Told:
    if ("agent", agent.name) in then.ended:
        return Told(agent=agent.name, effect="deny", by=("revoked.agent",))
    own = (
        Revocable("agent", agent.name),
        *owner_names([agent.ownership.owner]),
        *vendor_names(agent.vendors),
    )
    hold = then.hold_on(reach_of(own, snapshot, capability=capability))
    if hold:
        return Told(agent=agent.name, effect="deny", by=(f"held.{then.held[hold][0].kind}", hold))
    open_ones = [
        (mandate, conditions)
        for mandate in then.mandates.values()
        if _is_open(then, mandate, agent)
        and (conditions := _covering(mandate, capability, resource)) is not None
    ]
    if not open_ones:
        return Told(agent=agent.name, effect="deny", by=("mandate.none",))
    named = Named(
        agent=agent.name,
        environment=agent.environment,
        use_case=agent.use_case,
        action=capability.name,
        kind=capability.kind,
    )
    found: dict[Possible, list[tuple[str, tuple[str, ...]]]] = {}
    for mandate, conditions in open_ones[:MANDATES_TOLD_MAX]:
        context = _context(then, snapshot, agent, capability, mandate)
        one = ask_partly(
            policies, named, resource_type=capability.resource.type, resource_id=resource, context=context
        )
        found.setdefault(one, []).append((mandate.id, conditions))
    best = min(found, key=lambda one: ("allow", "depends", "deny").index(one.effect))
    under = found[best]
    alone = () if any(not conditions for _, conditions in under) else under[0][1]
    effect = "depends" if best.effect == "allow" and alone else best.effect
    return Told(
        agent=agent.name,
        effect=effect,
        by=best.by,
        conditions=(*alone, *best.conditions),
        mandates=tuple(name for name, _ in under) if effect != "deny" else (),
    )


def _is_open(then: Then, mandate: Mandate, agent: Agent) -> bool:
    return (
        mandate.agent == agent.name
        and mandate.not_before <= then.at < mandate.expires_at
        and ("mandate", mandate.id) not in then.ended
        and ("owner", mandate.principal) not in then.ended
        and not then.hold_on((Holdable("mandate", mandate.id), Holdable("owner", mandate.principal)))
        and then.used[mandate.id] < mandate.calls_max
    )


def _covering(mandate: Mandate, capability: Capability, resource: str) -> tuple[str, ...] | None:
    """Conditions under which a mandate covers a capability; None where it does not."""
    attempt = Attempt(
        capability=capability.name,
        environment=capability.environment,
        resource_type=capability.resource.type,
        resource_id=resource,
        arguments={},
        kind=capability.kind,
        server=capability.server,
        sensitivity=capability.sensitivity,
        destination_type=capability.destination.type,
    )
    found: list[tuple[str, ...]] = []
    for grant in mandate.grants:
        if grant.capability != capability.name:
            continue
        told = [_asked_of(caveat, attempt) for caveat in (*mandate.caveats, *grant.caveats)]
        if None not in told:
            found.append(tuple(one for one in told if one))
    return min(found, key=len, default=None)


def _asked_of(caveat: Caveat, attempt: Attempt) -> str | None:
    """What of a caveat depends on the single action, empty for nothing; None where it does not hold."""
    match caveat:
        case ArgumentEquals():
            return f"if argument {shown(caveat.name)} is {json.dumps(caveat.value)} (mandate)"
        case ArgumentAtMost():
            return f"if argument {shown(caveat.name)} is at most {caveat.maximum} (mandate)"
        case DestinationIn():
            return f"if it goes to {', '.join(caveat.allowed)} (mandate)"
        case ResourceIn() if not attempt.resource_id:
            return f"on {attempt.resource_type} {', '.join(caveat.ids)} (mandate)"
    return "" if caveat.failure(attempt) is None else None


def _context(
    then: Then, snapshot: RegistrySnapshot, agent: Agent, capability: Capability, mandate: Mandate
) -> dict[str, Any]:
    """What is known of the context, and what is not. A member in which something may be missing is not known at all."""
    parts = snapshot.parts
    context: dict[str, Any] = {name: unknown(name) for name in members_of(capability, parts)}
    known = {
        "agent": {
            "environment": agent.environment,
            "owner": agent.ownership.owner,
            "tier": TIER_UNSAID if agent.tier is None else agent.tier,
        },
        "task": {
            "calls_max": mandate.calls_max,
            "expires_at": mandate.expires_at,
            "mandate": mandate.id,
            "principal": mandate.principal,
            "purpose": mandate.purpose,
            "use_case": mandate.use_case,
        },
    }
    for member, values in known.items():
        names = members_of(capability, parts)[member]
        context[member] = {name: values.get(name, unknown(f"{member}.{name}")) for name in names}
    context["capability"] = _capability_facts(then, capability)
    context["now"] = then.at
    context["windows"] = dict(windows_at(parts.windows, then.at))
    return context


def _capability_facts(then: Then, capability: Capability) -> dict[str, Any]:
    """At the tier that the hints of its tool came to then; a tier that the ledger does not say is not known."""
    if not is_pinned(capability) or capability.tier >= UNHINTED_TIER:
        return capability_facts(capability)
    tool = then.tools.get((capability.server, capability.target))
    digest = sha256(encode(tool)).hexdigest() if tool is not None else ""
    if tool is None or capability.definition not in ("", digest):
        return {**capability_facts(capability), "tier": unknown("capability.tier")}
    return capability_facts(raised(capability, tool))
