"""Evaluate a recorded policy set as a whole, by Cedar's public call and on the whole context.

This module uses none of the gateway's optimizations: no slices, no private entry point, no registry. A fault in any of
these shows as a difference. For most decisions Cedar gets only what can matter, and equal requests are answered from a
cache; both are this module's own, and some decisions are compared with the whole (`decide`).
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from answerable.core.decision.asked import declared_under
from answerable.core.decision.decision import Evaluation, PolicyNote, weigh
from answerable.core.decision.facts import Requirement
from answerable.core.decision.obligation import obligations_in
from answerable.core.registry.policy_sets.policy_text import statements
from answerable.errors import Malformed, shown
from answerable.errors.codes.policy import POLICY_UNREADABLE
from answerable.extras import require_replay

with suppress(ModuleNotFoundError):
    # Only `PolicyAsking` needs it, and its constructor raises `extra.missing` without it.
    import cedarpy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.decision.asked import Asked
    from answerable.core.decision.decision import Decision
    from answerable.core.decision.policy_context import Context
    from answerable.core.registry.documents.policy_parts import PolicyParts
    from answerable.core.registry.policy_sets.policy_statement import PolicyStatement

BOUND_MAX: Final = 1_024
"""Cached Cedar handles: entity sets, and policy sets without some policies."""
ONCE_MAX: Final = 8_192
"""Cached answers; the oldest is dropped for a new one."""
POLICIES_MAX: Final = 20_000
GROUP_POLICIES: Final = 25
"""Policies parsed at once: Cedar's parser blocks all other threads of the process."""
_ANNOTATIONS: Final = frozenset({"id", "reason", "internal", "approve", "oblige", "break_glass"})
_APPROVE: Final = re.compile(r"([a-z0-9._-]{1,63}(?:\|[a-z0-9._-]{1,63}){0,3}):([1-9])")
_CONTEXT: Final = {"Var": "context"}
_ENCODER: Final = msgspec.json.Encoder()


class Named(NamedTuple):
    """The names that determine the entities of a request."""

    agent: str
    environment: str
    use_case: str
    action: str
    kind: str


class _Question(NamedTuple):
    """A request to Cedar. kind, name: of the resource. context: as JSON."""

    named: Named
    kind: str
    name: str
    context: str


class _Matters(NamedTuple):
    """What policies read. mentioned: see the function `mentioned`."""

    mentioned: dict[str, frozenset[str] | None] | None
    sees_resource: bool


class PolicyAsking:
    """Evaluates one policy set. parts: the set's declarations; None if the log does not record them."""

    def __init__(self, statement: PolicyStatement, *, digest: str) -> None:
        """Raises Malformed (`policy.unreadable`) for policies that this version cannot read as they were read then,
        Unavailable (`extra.missing`) without Cedar."""
        require_replay("cedarpy", "decisions cannot be asked again")
        self.digest = digest
        self.parts: PolicyParts | None = statement.parts
        self._policies = _policies_in(statement.policies)
        self._notes = {name: _note(name, ast) for name, ast in self._policies.items()}
        self._bare = {
            name: {key: value for key, value in ast.items() if key != "annotations"}
            for name, ast in self._policies.items()
        }
        self._without = lru_cache(maxsize=BOUND_MAX)(self._less)
        self._entities = lru_cache(maxsize=BOUND_MAX)(_entities)
        self._matters = lru_cache(maxsize=BOUND_MAX)(self._what_matters)
        self._answers: dict[tuple[tuple[str, ...], _Question], Evaluation] = {}

    @property
    def notes(self) -> Mapping[str, PolicyNote]:
        """The annotations of each policy."""
        return self._notes

    def policy(self, name: str) -> Mapping[str, Any] | None:
        """Return a policy in Cedar's JSON form; None if the set has no policy with this id."""
        return self._policies.get(name)

    def forbids(self, name: str) -> bool:
        """Whether a policy is a forbid."""
        return self._policies[name].get("effect") != "permit"

    def about(self, named: Named) -> cedarpy.PolicySet:
        """Return Cedar's handle for the policies that can match this agent and action."""
        return self._without((), named)

    def entities(self, named: Named) -> cedarpy.Entities:
        """Return Cedar's handle for the entities of a request with these names."""
        return self._entities(named)

    def permits(self) -> list[Mapping[str, Any]]:
        """All permits, in Cedar's JSON form."""
        return [ast for ast in self._policies.values() if ast.get("effect") == "permit"]

    def unlike(self, asked: Asked) -> str:
        """Return the first member of the context that this set's own declarations would derive differently; empty if
        none."""
        if self.parts is None:
            return ""
        made = declared_under(asked, self.parts)
        names = ("destination", "risk", "windows") if "risk" in asked.context else ("destination", "windows")
        return next((name for name in names if made.get(name) != asked.context.get(name)), "")

    def decide(self, asked: Asked, *, whole: bool = True) -> Decision:
        """Evaluate a question.

        whole: whether Cedar gets all policies and the whole context. Otherwise Cedar gets the policies that can match
        this agent and action, and the facts that these mention, or a cached answer is used: the result is the same, and
        many times as fast.
        """
        if not whole:
            question = self._question(asked)
            first, without = self._once((), question), partial(self._again, question)
        else:
            context = _ENCODER.encode(asked.context).decode()
            question = _Question(_named(asked), asked.resource.type, asked.resource.id, context)
            first, without = self._evaluated((), question, None), partial(self._whole_again, question)
        return weigh(
            first,
            notes=self._notes,
            without=without,
            approval=asked.approval_fact(),
            policy_set=self.digest,
        )

    def ask_ahead(self, asked: Iterable[Asked]) -> None:
        """Evaluate in one batch what `decide` will need for these questions without `whole`; a batch takes Cedar less
        time."""
        lacking: dict[Named, dict[_Question, None]] = {}
        for one in asked:
            question = self._question(one)
            if ((), question) not in self._answers:
                lacking.setdefault(question.named, {})[question] = None
        for named, questions in lacking.items():
            policies, entities = self._without((), named), self._entities(named)
            requests = [_request(question) for question in questions]
            for question, result in zip(
                questions, cedarpy.is_authorized_batch(requests, policies, entities), strict=True
            ):
                self._keep((), question, _evaluation(result))

    def _question(self, asked: Asked) -> _Question:
        """Reduce a question to what can matter to the policies."""
        named = _named(asked)
        matters = self._matters(named)
        context = _ENCODER.encode(_told(asked.context, matters.mentioned)).decode()
        # A resource that no policy reads makes no difference, so all resources share one cached answer.
        name = asked.resource.id if matters.sees_resource else ""
        return _Question(named, asked.resource.type, name, context)

    def _once(self, ids: tuple[str, ...], question: _Question) -> Evaluation:
        """Evaluate the matching policies without those of `ids`, with a cache."""
        found = self._answers.get((ids, question))
        if found is None:
            found = self._keep(ids, question, self._evaluated(ids, question, question.named))
        return found

    def _again(self, question: _Question, ids: tuple[str, ...]) -> Evaluation:
        return self._once(ids, question)

    def _whole_again(self, question: _Question, ids: tuple[str, ...]) -> Evaluation:
        return self._evaluated(ids, question, None)

    def _keep(self, ids: tuple[str, ...], question: _Question, found: Evaluation) -> Evaluation:
        if len(self._answers) >= ONCE_MAX:
            del self._answers[next(iter(self._answers))]
        self._answers[ids, question] = found
        return found

    def _evaluated(self, ids: tuple[str, ...], question: _Question, about: Named | None) -> Evaluation:
        entities = self._entities(question.named)
        return _evaluation(cedarpy.is_authorized(_request(question), self._without(ids, about), entities))

    def _what_matters(self, about: Named) -> _Matters:
        policies = [ast for ast in self._bare.values() if _can_be_about(ast, about)]
        conditions = [ast.get("conditions") for ast in policies]
        return _Matters(
            mentioned=mentioned(conditions),
            # This also counts the word in a literal: treating the resource as read then only costs time.
            sees_resource=b'"resource"' in _ENCODER.encode(conditions)
            or any(ast.get("resource") != {"op": "All"} for ast in policies),
        )

    def _less(self, ids: tuple[str, ...], about: Named | None) -> cedarpy.PolicySet:
        kept = {
            name: ast
            for name, ast in self._bare.items()
            if name not in ids and (about is None or _can_be_about(ast, about))
        }
        text = msgspec.json.encode({"templates": {}, "staticPolicies": kept, "templateLinks": []})
        # Parsing ten thousand policies takes a second; other threads run meanwhile.
        return cedarpy.PolicySet.from_json_str(text.decode(), release_gil=True)


def _told(context: Context, mentioned: Mapping[str, frozenset[str] | None] | None) -> Context:
    if mentioned is None:
        return context
    told: Context = {}
    for member in sorted(mentioned):
        names, value = mentioned[member], context.get(member)
        if names is None or not isinstance(value, dict):
            if member in context:
                told[member] = value
        else:
            told[member] = {name: value[name] for name in sorted(names) if name in value}
    return told


def _named(asked: Asked) -> Named:
    return Named(
        asked.principal.id,
        asked.principal.environment,
        asked.principal.use_case,
        asked.action.id,
        asked.action.kind,
    )


def _request(question: _Question) -> dict[str, Any]:
    return {
        "principal": {"type": "Agent", "id": question.named.agent},
        "action": {"type": "Action", "id": question.named.action},
        "resource": {"type": question.kind, "id": question.name},
        "context": question.context,
    }


def _evaluation(result: cedarpy.AuthzResult) -> Evaluation:
    """Convert Cedar's answer. Any answer but a clean Allow or Deny is an error, which can only result in a deny."""
    reasons, errors = sorted(result.diagnostics.reasons), list(result.diagnostics.errors)
    decision = result.decision.value
    if not errors and (decision == "Deny" or (decision == "Allow" and reasons)):
        return Evaluation(allowed=decision == "Allow", determining=tuple(reasons))
    return Evaluation(
        allowed=False, determining=(), errors=tuple(sorted(errors)) or (f"no decision: {decision}",)
    )


def _can_be_about(ast: Mapping[str, Any], named: Named) -> bool:
    """Whether a policy can match: False only if it names another agent, use case, action or kind."""
    principals = {("Agent", named.agent), ("UseCase", named.use_case)}
    actions = {("Action", named.action), ("Action", named.kind)}
    for scope, own in ((ast.get("principal"), principals), (ast.get("action"), actions)):
        match scope:
            case {"op": "==" | "in", "entity": {"type": str(kind), "id": str(name)}, **rest} if not (
                rest.keys() - {"op"}
            ):
                if (kind, name) not in own:
                    return False
            case {"op": "in", "entities": [*entities]}:
                if not any((one.get("type"), one.get("id")) in own for one in entities):
                    return False
    return True


def mentioned(conditions: object) -> dict[str, frozenset[str] | None] | None:
    """Return the members of the context that these conditions read, with the names inside each, None for all names.
    Return None for the whole context, if any use of it is not a plain access."""
    found: dict[str, frozenset[str] | None] = {}
    pending: list[object] = [conditions]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        if not isinstance(node, dict):
            continue
        if node == _CONTEXT:
            return None
        path = plain_path(node)
        if path:
            member, *rest = path
            before = found.get(member, frozenset())
            found[member] = None if before is None or not rest else before | {rest[0]}
        else:
            pending.extend(node.values())
    return found


def plain_path(node: dict[str, Any]) -> list[str]:
    """Return the names of `context.a.b` or `context.a has b`, outermost first; empty for anything else."""
    names: list[str] = []
    at: object = node
    while isinstance(at, dict) and at != _CONTEXT:
        inner = at.get(".") or (at.get("has") if not names else None)
        if len(at) != 1 or not isinstance(inner, dict) or not isinstance(inner.get("attr"), str):
            return []
        names.append(inner["attr"])
        at = inner.get("left")
    return names[::-1] if at == _CONTEXT else []


def _policies_in(text: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for ast in _read(text):
        name = (ast.get("annotations") or {}).get("id")
        if not isinstance(name, str) or name in found:
            raise _unreadable("a policy in it has no id of its own")
        found[name] = ast
    if len(found) > POLICIES_MAX:
        raise _unreadable("it has too many policies")
    return found


def _read(text: str) -> list[dict[str, Any]]:
    """Parse every policy, in groups; all at once if Cedar finds another number of policies than the split."""
    try:
        # Cedar's parser has no depth limit: deeply nested text would crash the verifier's process.
        pieces = statements(text)
        starts = range(0, len(pieces), GROUP_POLICIES)
        groups = ("".join(one.text for one in pieces[first : first + GROUP_POLICIES]) for first in starts)
        with suppress(ValueError):
            found = [ast for group in groups for ast in _parsed(group)]
            if len(found) == len(pieces):
                return found
        return _parsed(text)
    except Malformed as fault:
        raise _unreadable(fault.message) from None
    except (ValueError, RecursionError) as error:
        raise _unreadable(f"Cedar does not read it: {shown(' '.join(str(error).split()))}") from None


def _parsed(text: str) -> list[dict[str, Any]]:
    parsed = msgspec.json.decode(cedarpy.policies_to_json_str(text))
    if parsed.get("templates"):
        raise POLICY_UNREADABLE("it contains templates")
    return [*parsed["staticPolicies"].values()]


def _note(name: str, ast: Mapping[str, Any]) -> PolicyNote:
    said = ast.get("annotations") or {}
    unknown = said.keys() - _ANNOTATIONS
    if unknown:
        raise _unreadable(
            f"policy {shown(name)} has the annotation {shown(min(unknown))}, which is not known here"
        )
    approve = None
    if "approve" in said:
        match = _APPROVE.fullmatch(said["approve"] or "")
        if match is None:
            raise _unreadable(f"policy {shown(name)}: its `@approve` is not understood")
        approve = Requirement(group=match[1], count=int(match[2]))
    return PolicyNote(
        reason=said.get("reason") or f"policy {name}",
        approve=approve,
        oblige=obligations_in(said["oblige"] or "") if "oblige" in said else (),
        internal=said.get("internal") or "",
        break_glass=said.get("break_glass") or "",
    )


def _entities(named: Named) -> cedarpy.Entities:
    """Build the entities of a request: the agent in its use case, the action in its kind, as recorded."""
    return cedarpy.Entities.from_json_str(
        _ENCODER.encode(
            [
                {
                    "uid": {"type": "Agent", "id": named.agent},
                    "attrs": {"environment": named.environment, "use_case": named.use_case},
                    "parents": [{"type": "UseCase", "id": named.use_case}],
                },
                {
                    "uid": {"type": "Action", "id": named.action},
                    "attrs": {},
                    "parents": [{"type": "Action", "id": named.kind}],
                },
            ]
        ).decode()
    )


def _unreadable(why: str) -> Malformed:
    return POLICY_UNREADABLE(f"the policy set cannot be evaluated again: {why}")
