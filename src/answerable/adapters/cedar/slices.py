"""Build and cache slices: for each agent and capability, only the policies whose heads can match, loaded into Cedar.

A slice is built on first use (200 to 400 µs) and cached in a bounded least-recently-used cache, so that a decision
costs the same for 50 policies and for 10,000.

In a slice, a forbid that may be lifted is stored as a permit. Cedar names every permit that applies, so a single answer
tells both which of these forbids apply and whether the other policies would allow. A second call would cost as much as
the first.

Answers are cached, too: the call is a third of a decision's time, and agents repeat requests. Laws: the cache key
covers everything that the policies of the slice can tell apart, so a cached answer equals a fresh one; no answer is
cached if the policies read what every action changes, except to compare counters with numbers; the cache ends with its
policy set. Keys are digests: the cache
holds no arguments of actions, and every entry has the same size.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from answerable.adapters.cedar.heads import HeadIndex
from answerable.adapters.cedar.mentions import Mentions, flat_name
from answerable.adapters.cedar.publishing import engine_form, engine_policies, specialised
from answerable.adapters.cedar.schema import ACTION, AGENT, entities_of
from answerable.core.decision.decision import Evaluation
from answerable.core.decision.policy_context import (
    TASK_MOVING,
    capability_facts,
    members_of,
    moving_members,
)
from answerable.core.identity.names.principal import AgentId

if TYPE_CHECKING:
    from collections.abc import Callable

    import cedarpy

    from answerable.adapters.cedar.engine import CedarRequest, Engine, Evaluate
    from answerable.adapters.cedar.mentions import ToldApart
    from answerable.adapters.cedar.publishing import CedarPolicySet, Policy
    from answerable.core.decision.policy_context import Context
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.documents import Agent
    from answerable.core.registry.documents.policy_parts import PolicyParts

SLICES_MAX: Final = 4_096
REDUCED_MAX: Final = 1_024
"""Slices without the forbids that an approval may lift."""

ANSWERS_MAX: Final = 16_384

_ENCODER: Final = msgspec.json.Encoder()


Without: TypeAlias = "Callable[[tuple[str, ...]], Evaluation]"
"""Returns the answer with these policies left out."""
AnswerKey: TypeAlias = "tuple[Slice, bytes]"
"""A slice, compared by identity, and the digest of what differs between two of its requests."""
_Seen: TypeAlias = "tuple[str, str, str | tuple[str, ...] | None, ToldApart | None]"
"""An attribute of the request, the member of the context that it is taken from, the name or names in that member (None
for the member itself), and what policies tell apart in it (None if they may tell any two values apart)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slice:
    """The policies that can match one agent and capability, loaded into the engine.

    policies: numbers in the set. turned: ids of forbids that are stored as permits.
    evaluate: the engine bound to these policies and to the entities that they may need.
    steady: whether answers may be cached. on_resource: whether conditions read the resource.
    """

    agent: Agent
    capability: Capability
    policies: tuple[int, ...]
    turned: frozenset[str]
    view: ContextView
    principal: dict[str, str]
    action: dict[str, str]
    evaluate: Evaluate
    steady: bool
    on_resource: bool

    def asked(self, resource_id: str, shared_text: bytes, moving: Context) -> Evaluation:
        """Return what the engine answers for one action."""
        return self.evaluate(self.request(resource_id, self.view.text(shared_text, moving)))

    def request(self, resource_id: str, context: bytes) -> CedarRequest:
        """Return the engine's request for one action. context: JSON text, as the view returned it."""
        return {
            "principal": self.principal,
            "action": self.action,
            "resource": {"type": self.capability.resource.type, "id": resource_id},
            "context": context.decode(),
        }


class KeptAnswers:
    """Least-recently-used cache of the answers of one policy set. asked: answers computed by the engine. kept: answers
    served from the cache."""

    __slots__ = ("_answers", "_most", "asked", "kept")

    def __init__(self, most: int = ANSWERS_MAX) -> None:
        self._answers: OrderedDict[AnswerKey, Evaluation] = OrderedDict()
        self._most = most
        self.asked = self.kept = 0

    def answer(self, found: Slice, resource_id: str, shared_text: bytes, moving: Context) -> Evaluation:
        """Return the slice's cached answer for this resource and context, or ask the engine and cache what it says.
        Exceptions are passed on and not cached."""
        if not (self._most and found.steady):
            self.asked += 1
            return found.asked(resource_id, shared_text, moving)
        differs = sha256(found.view.told_apart(shared_text, moving))
        if found.on_resource:
            # Resources named in heads already select the slice. JSON text contains no NUL byte.
            differs.update(b"\0")
            differs.update(resource_id.encode("utf-8", "surrogatepass"))
        key: AnswerKey = (found, differs.digest())
        known = self._answers.get(key)
        if known is not None:
            self.kept += 1
            self._answers.move_to_end(key)
            return known
        self.asked += 1
        given = self._answers[key] = found.asked(resource_id, shared_text, moving)
        if len(self._answers) > self._most:
            self._answers.popitem(last=False)
        return given


def is_steady(mentions: Mentions) -> bool:
    """Whether answers of policies with these mentions may be cached: they do not read the time, and only compare
    counters with numbers."""
    task = mentions.inside("task")
    if task is None or mentions.inside("now") != frozenset():
        return False
    counters = {
        "budget": mentions.inside("budget"),
        "history": mentions.inside("history"),
        "task": task & TASK_MOVING,
    }
    return all(
        names is not None and all(mentions.told_apart(member, name) is not None for name in names)
        for member, names in counters.items()
    )


class ContextView:
    """Encodes the context of a call with only the members that the policies of a slice read.

    flat: records that no policy uses as a whole; their members are encoded as separate attributes, named by
    `flat_name`.
    """

    __slots__ = ("_moving", "_shared", "_told", "flat")

    def __init__(
        self, mentions: Mentions, capability: Capability, declared: PolicyParts, *, flat: bool = True
    ) -> None:
        self._shared: list[_Seen] = []
        self._moving: list[_Seen] = []
        moving, flattened = moving_members(capability, declared), set()
        for member, names in members_of(capability, declared).items():
            inside = mentions.inside(member)
            wanted = names if inside is None else tuple(name for name in names if name in inside)
            if inside is not None and not inside:
                continue
            where = self._moving if member in moving else self._shared
            if member == "capability":
                where.append((member, member, wanted, None))
            elif inside is None or not flat:
                where.append((member, member, None, None))
            else:
                flattened.add(member)
                for name in wanted:
                    moves = member in moving and (member != "task" or name in TASK_MOVING)
                    where = self._moving if moves else self._shared
                    told = mentions.told_apart(member, name) if moves else None
                    where.append((flat_name(member, name), member, name, told))
        self.flat = frozenset(flattened)
        self._told = [(said, told) for said, _, _, told in self._moving if told is not None]

    def shared_text(self, shared: Context) -> bytes:
        """Return the beginning of the text of each context that shares these members, as `shared_context` says."""
        return _ENCODER.encode(_seen(self._shared, shared))[:-1]

    def text(self, shared_text: bytes, moving: Context) -> bytes:
        """Return the context as JSON text. shared_text: its beginning. moving: as `moving_context` returned it."""
        return _joined(shared_text, _seen(self._moving, moving)) if self._moving else shared_text + b"}"

    def told_apart(self, shared_text: bytes, moving: Context) -> bytes:
        """Return a text that is equal for two contexts that no policy of the slice tells apart. Parameters as in
        `text`."""
        if not self._told:
            return self.text(shared_text, moving)
        seen = _seen(self._moving, moving)
        for said, told in self._told:
            # Nothing is a number in one action and text in another.
            if said in seen:
                seen[said] = told.of(seen[said])
        return _joined(shared_text, seen)


def _joined(shared_text: bytes, seen: Context) -> bytes:
    text = _ENCODER.encode(seen)
    if len(text) == 2 or len(shared_text) == 1:
        return shared_text + text[1:]
    return b"%b,%b" % (shared_text, text[1:])


def _seen(wanted: list[_Seen], context: Context) -> Context:
    seen: Context = {}
    for said, member, name, _ in wanted:
        known: Any = context[member]
        if name is None:
            seen[said] = known
        elif not isinstance(name, str):
            seen[said] = {one: known[one] for one in name}
        elif name in known:
            seen[said] = known[name]
    return seen


class Slices:
    """All slices of one policy set. With `slicing` off, each slice holds the whole set, as the reference for
    comparison."""

    def __init__(
        self, policy_set: CedarPolicySet, *, engine: Engine, slicing: bool, answers: KeptAnswers
    ) -> None:
        self._set = policy_set
        self._engine = engine
        self._answers = answers
        self._index = HeadIndex(policy.head for policy in policy_set.policies) if slicing else None
        self._all = tuple(range(len(policy_set.policies)))
        types = {capability.resource.type for capability in policy_set.registry.capabilities.values()}
        self._named = {name: self._index.named(name) for name in types} if self._index else {}
        self._found = lru_cache(maxsize=SLICES_MAX)(self._build)
        self._handle = lru_cache(maxsize=SLICES_MAX)(self._policies)
        self._reduced = lru_cache(maxsize=REDUCED_MAX)(self._build_without)

    def find(self, agent: Agent, capability: Capability, resource_id: str) -> Slice:
        """Return the slice for one call. capability: at the effective tier, which may be above the registered one."""
        named = self._named.get(capability.resource.type)
        one = resource_id if named and resource_id in named else None
        return self._found(agent.name, capability.name, capability.tier, one)

    def ask(
        self, found: Slice, resource_id: str, shared_text: bytes, moving: Context
    ) -> tuple[Evaluation, Without]:
        """Return the answer of the slice's policies, and a function that answers with some policies left out.

        shared_text, moving: as for the view of the slice."""
        given = self._answers.answer(found, resource_id, shared_text, moving)
        without = partial(self._without, found, resource_id, shared_text, moving)
        if not found.turned or given.errors or not given.determining:
            return given, without
        if not given.allowed:
            return self._all_that_forbid(found, without, given), without
        held = tuple(one for one in given.determining if one in found.turned)
        if not held:
            return given, without
        permits = tuple(one for one in given.determining if one not in found.turned)
        rest = Evaluation(allowed=bool(permits), determining=permits)
        return Evaluation(allowed=False, determining=held), lambda _: rest

    def _all_that_forbid(self, found: Slice, without: Without, given: Evaluation) -> Evaluation:
        """For a final denial, add the liftable forbids that also apply: Cedar does not name them beside the others."""
        others = without(given.determining)
        if others.errors:
            return others
        held = (one for one in others.determining if one in found.turned)
        return Evaluation(allowed=False, determining=tuple(sorted((*given.determining, *held))))

    def _without(
        self, found: Slice, resource_id: str, shared_text: bytes, moving: Context, ids: tuple[str, ...]
    ) -> Evaluation:
        capability = found.capability
        reduced = self._reduced(found.agent.name, capability.name, capability.tier, found.policies, ids)
        return reduced(found.request(resource_id, found.view.text(shared_text, moving)))

    def heads_matching(self, agent: Agent, capability: Capability) -> tuple[int, ...]:
        """Return the numbers of the policies that could match for some resource of the capability's type."""
        index = self._index or HeadIndex(policy.head for policy in self._set.policies)
        return index.matching(agent, capability, None, any_id=True)

    def _build(self, agent_name: str, capability_name: str, tier: int, resource_id: str | None) -> Slice:
        agent, capability = self._known(agent_name, capability_name, tier)
        numbers = self._index.matching(agent, capability, resource_id) if self._index else self._all
        mentions = self._mentions(capability, numbers)
        view = self._view(capability, mentions)
        turned = (self._set.policies[number] for number in numbers if self._index)
        return Slice(
            agent=agent,
            capability=capability,
            policies=numbers,
            turned=frozenset(policy.id for policy in turned if policy.may_be_lifted),
            view=view,
            principal={"type": AGENT, "id": agent_name},
            action={"type": ACTION, "id": capability_name},
            evaluate=self._bound(agent, capability, numbers, view.flat),
            steady=self._index is not None and is_steady(mentions),
            on_resource=mentions.resource,
        )

    def _build_without(
        self,
        agent_name: str,
        capability_name: str,
        tier: int,
        numbers: tuple[int, ...],
        ids: tuple[str, ...],
    ) -> Evaluate:
        agent, capability = self._known(agent_name, capability_name, tier)
        left = tuple(number for number in numbers if self._set.policies[number].id not in ids)
        view = self._view(capability, self._mentions(capability, numbers))
        return self._bound(agent, capability, left, view.flat)

    def _mentions(self, capability: Capability, numbers: tuple[int, ...]) -> Mentions:
        mentions = Mentions()
        for policy in self._policies_of(capability, numbers):
            mentions = mentions.joined(policy.mentions)
        return mentions

    def _view(self, capability: Capability, mentions: Mentions) -> ContextView:
        return ContextView(mentions, capability, self._set.registry.parts, flat=self._index is not None)

    def _bound(
        self, agent: Agent, capability: Capability, numbers: tuple[int, ...], flat: frozenset[str]
    ) -> Evaluate:
        entities = _ENCODER.encode(entities_of(agent, capability)).decode()
        return self._engine(self._handle(capability.name, capability.tier, numbers, flat), entities)

    def _policies(
        self, capability_name: str, tier: int, numbers: tuple[int, ...], flat: frozenset[str]
    ) -> cedarpy.PolicySet:
        policies = self._policies_of(self._capability(capability_name, tier), numbers)
        if self._index is None:
            return engine_policies(policies)
        return engine_policies(tuple(engine_form(policy, flat) for policy in policies))

    def _policies_of(self, capability: Capability, numbers: tuple[int, ...]) -> tuple[Policy, ...]:
        """Return the policies as slices of this capability use them; as published when slicing is off."""
        published = (self._set.policies[number] for number in numbers)
        if self._index is None:
            return tuple(published)
        facts = capability_facts(capability)
        return tuple(specialised(policy, facts) for policy in published)

    def _known(self, agent_name: str, capability_name: str, tier: int) -> tuple[Agent, Capability]:
        return self._set.registry.agents[AgentId(agent_name)], self._capability(capability_name, tier)

    def _capability(self, name: str, tier: int) -> Capability:
        registered = self._set.registry.capabilities[name]
        return registered if registered.tier == tier else replace(registered, tier=tier)
