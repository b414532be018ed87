"""Evaluate a recorded question against any policy set at any time, for simulation, shadow decisions and explanations.

Laws: if a rule denied before any policy was evaluated, it denies again; a fact that the question lacks is reported
(`CannotTell`) and never guessed; evaluation needs no running component: no register, clock or registry.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from answerable.adapters.cedar.engine import fastest_engine
from answerable.adapters.cedar.heads import HeadIndex
from answerable.adapters.cedar.mentions import Mentions
from answerable.adapters.cedar.publishing import engine_policies, published
from answerable.adapters.cedar.schema import ACTION, AGENT, USE_CASE
from answerable.core.decision.asked import CannotTell, context_under, read_question, uncounted
from answerable.core.decision.decision import Decision, Evaluation, Reason, weigh
from answerable.errors import shown
from answerable.errors.codes.policy import QUESTION_FACT_MISSING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.adapters.cedar.engine import CedarRequest, Engine, Evaluate
    from answerable.adapters.cedar.publishing import CedarPolicySet
    from answerable.core.decision.asked import Asked
    from answerable.core.decision.policy_context import Context
    from answerable.core.registry.documents.policy_parts import PolicyParts
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

SLICES_MAX: Final = 4_096
FACTS_UNKNOWN: Final = "facts.unknown"
"""The only pre-policy rule that depends on a policy set's declarations, so that another set may pass it."""

_ENCODER: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """Everything in a question that selects its policies and entities. named: the resource id if some policy head names
    it, else None."""

    agent: str
    environment: str
    use_case: str
    action: str
    kind: str
    resource_type: str
    named: str | None


class Asking:
    """Evaluates questions against one policy set. Not for the hot path: it decodes and encodes JSON, about 50 to 100 µs
    a question."""

    __slots__ = ("_bound", "_found", "_index", "_named", "_set")

    def __init__(self, policy_set: CedarPolicySet, *, engine: Engine | None = None) -> None:
        self._set = policy_set
        self._index = HeadIndex(policy.head for policy in policy_set.policies)
        bind = engine or fastest_engine()
        self._named = lru_cache(maxsize=SLICES_MAX)(self._index.named)

        def bound(key: _Key, left_out: tuple[str, ...]) -> Evaluate:
            numbers, _ = self._found(key)
            kept = tuple(p for n in numbers if (p := self._set.policies[n]).id not in left_out)
            return bind(engine_policies(kept), _entities(key))

        self._found = lru_cache(maxsize=SLICES_MAX)(self._matching)
        self._bound = lru_cache(maxsize=SLICES_MAX)(bound)

    @property
    def policy_set(self) -> str:
        """Digest of the evaluated policy set."""
        return self._set.digest

    def ask(self, question: bytes, *, counted_by: PolicyParts | None) -> Decision | CannotTell:
        """Return the policy set's decision on a recorded question.

        counted_by: the declarations of the policy set that was in force when the question was recorded, by which its
        history was counted; None if they are not known. Raises Malformed (`question.malformed`, `question.version`).
        """
        asked = read_question(question)
        if asked.rule and asked.rule != FACTS_UNKNOWN:
            said = Reason(source=asked.rule, text="a rule said no before any policy was asked")
            by = (asked.rule,) if asked.hold is None else (asked.rule, asked.hold.id)
            return Decision(effect="deny", reasons=(said,), determined_by=by, policy_set=self.policy_set)
        parts = self._set.registry.parts
        context = context_under(asked, parts)
        key = self._key(asked)
        _, mentions = self._found(key)
        unknown = uncounted(asked, parts, counted_by, _trackers_seen(mentions, parts))
        if unknown is not None:
            return unknown
        view = _seen(context, mentions)
        request: CedarRequest = {
            "principal": {"type": AGENT, "id": asked.principal.id},
            "action": {"type": ACTION, "id": asked.action.id},
            "resource": {"type": asked.resource.type, "id": asked.resource.id},
            "context": _ENCODER.encode(view).decode(),
        }
        first = self._bound(key, ())(request)
        if first.errors:
            unlike = self._unlike(asked.action.id, view, mentions)
            if unlike:
                text = f"the question has no {shown(unlike)} as policies see it now"
                return CannotTell(code=QUESTION_FACT_MISSING.id, text=text)
        return self._weighed(first, key, request, asked)

    def _weighed(self, first: Evaluation, key: _Key, request: CedarRequest, asked: Asked) -> Decision:
        return weigh(
            first,
            notes=self._set.notes,
            without=lambda ids: self._bound(key, ids)(request),
            approval=asked.approval_fact(),
            policy_set=self.policy_set,
        )

    def _key(self, asked: Asked) -> _Key:
        kind, name = asked.resource.type, asked.resource.id
        return _Key(
            agent=asked.principal.id,
            environment=asked.principal.environment,
            use_case=asked.principal.use_case,
            action=asked.action.id,
            kind=asked.action.kind,
            resource_type=kind,
            named=name if name in self._named(kind) else None,
        )

    def _matching(self, key: _Key) -> tuple[tuple[int, ...], Mentions]:
        numbers = self._index.naming(
            principals=((AGENT, key.agent), (USE_CASE, key.use_case)),
            actions=((ACTION, key.action), (ACTION, key.kind)),
            fits=lambda head: head.fits(key.resource_type, key.named),
        )
        mentions = Mentions()
        for number in numbers:
            mentions = mentions.joined(self._set.policies[number].mentions)
        return numbers, mentions

    def _unlike(self, action: str, view: Context, mentions: Mentions) -> str:
        """Return the first context member that policies read and that does not match the current schema; empty if all
        match."""
        declared = _context_type(self._set.schema, action)
        if declared is None:
            return f"action {action}"
        for member, typed in declared.items():
            if "attributes" not in typed:
                if not _fits(typed, view.get(member, _ABSENT)) and mentions.inside(member) is None:
                    return member
                continue
            inside, said = mentions.inside(member), view.get(member)
            for name, inner in typed["attributes"].items():
                if inside is not None and name not in inside:
                    continue
                value = said.get(name, _ABSENT) if isinstance(said, dict) else _ABSENT
                if not _fits(inner, value):
                    return f"{member}.{name}"
        return ""


def ask(
    question: bytes, policy_set: CedarPolicySet, *, counted_by: PolicyParts | None
) -> Decision | CannotTell:
    """Evaluate a single question, as `Asking.ask` does."""
    return Asking(policy_set).ask(question, counted_by=counted_by)


def compiled_asking(policies: str, snapshot: RegistrySnapshot) -> Asking:
    """Implements `AskingCompiler`. Raises Malformed (`policy.*`), which lists every fault."""
    return Asking(published(policies, snapshot))


_ABSENT: Final = object()
_PYTHON: Final[dict[str, type]] = {"Boolean": bool, "Long": int, "Set": list, "String": str}


def _fits(typed: Mapping[str, Any], value: object) -> bool:
    if value is _ABSENT:
        return not typed.get("required", True)
    wanted = _PYTHON.get(str(typed.get("type")))
    return wanted is None or type(value) is wanted


def _context_type(schema: Mapping[str, Any], action: str) -> dict[str, Any] | None:
    found = schema[""]["actions"].get(action)
    return found["appliesTo"]["context"]["attributes"] if found and "appliesTo" in found else None


def _trackers_seen(mentions: Mentions, parts: PolicyParts) -> frozenset[str]:
    """Return the trackers that policies read, directly or through the risk score."""
    inside = mentions.inside("history")
    everything = frozenset(one.name for one in parts.trackers)
    seen = everything if inside is None else everything & inside
    if mentions.inside("risk") != frozenset():
        seen |= {factor.of for factor in parts.risk if factor.fact == "history"}
    return seen


def _seen(context: Context, mentions: Mentions) -> Context:
    """Return only the part of the context that policies read."""
    view: Context = {}
    for member, value in context.items():
        inside = mentions.inside(member)
        if inside is None:
            view[member] = value
        elif inside and isinstance(value, dict):
            view[member] = {name: value[name] for name in inside if name in value}
    return view


def _entities(key: _Key) -> str:
    return _ENCODER.encode(
        [
            {
                "uid": {"type": AGENT, "id": key.agent},
                "attrs": {"environment": key.environment, "use_case": key.use_case},
                "parents": [{"type": USE_CASE, "id": key.use_case}],
            },
            {
                "uid": {"type": ACTION, "id": key.action},
                "attrs": {},
                "parents": [{"type": ACTION, "id": key.kind}],
            },
        ]
    ).decode()
