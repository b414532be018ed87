"""Parse policy heads (principal, action, resource) and index policies by them, so that a request finds the policies
that can match.

Slicing is sound because a policy whose head cannot match a request has no effect on its result: no permit, no forbid,
no error. A head that cannot be parsed counts as matching everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.cedar.schema import ACTION, AGENT, USE_CASE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.documents import Agent

ANY: Final = ("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The parsed head of a policy. principal: the `(type, id)` that the principal must be or be in, or ANY. actions:
    entities of which the action must be or be in one.

    resource_type, resource_id: None if unconstrained.
    """

    principal: tuple[str, str] = ANY
    actions: tuple[tuple[str, str], ...] = (ANY,)
    resource_type: str | None = None
    resource_id: str | None = None

    def fits(self, resource_type: str, resource_id: str | None, *, any_id: bool = False) -> bool:
        """Whether a resource can match. resource_id: None for an id that no head names. any_id: match whatever the id
        is."""
        if self.resource_type is not None and self.resource_type != resource_type:
            return False
        return any_id or self.resource_id is None or self.resource_id == resource_id


def head_of(policy: Mapping[str, object]) -> Head:
    """Parse `principal`, `action` and `resource` of a policy in Cedar's JSON form."""
    resource_type, resource_id = _resource(policy.get("resource"))
    return Head(
        principal=_principal(policy.get("principal")),
        actions=_actions(policy.get("action")),
        resource_type=resource_type,
        resource_id=resource_id,
    )


def _principal(scope: object) -> tuple[str, str]:
    match scope:
        case {"op": "==" | "in", "entity": {"type": str(kind), "id": str(name)}}:
            return kind, name
        case {"op": "is", "in": {"entity": {"type": str(kind), "id": str(name)}}}:
            return kind, name
    return ANY


def _actions(scope: object) -> tuple[tuple[str, str], ...]:
    match scope:
        case {"op": "==" | "in", "entity": {"type": str(kind), "id": str(name)}}:
            return ((kind, name),)
        case {"op": "in", "entities": [*entities]}:
            named = [
                (e["type"], e["id"]) for e in entities if isinstance(e, dict) and {"type", "id"} <= e.keys()
            ]
            if len(named) == len(entities):
                return tuple(dict.fromkeys(named))
    return (ANY,)


def _resource(scope: object) -> tuple[str | None, str | None]:
    # `in` equals `==` for resources, because they have no parents in our schema and entities.
    match scope:
        case {"op": "==" | "in", "entity": {"type": str(kind), "id": str(name)}}:
            return kind, name
        case {"op": "is", "entity_type": str(kind), "in": {"entity": {"id": str(name)}}}:
            return kind, name
        case {"op": "is", "entity_type": str(kind)}:
            return kind, None
    return None, None


class HeadIndex:
    """Index of policies by the entities that their heads name. A lookup costs nine dict accesses plus the policies
    found."""

    __slots__ = ("_buckets", "_heads", "_named")

    def __init__(self, heads: Iterable[Head]) -> None:
        self._heads = tuple(heads)
        self._buckets: dict[tuple[tuple[str, str], tuple[str, str]], list[int]] = {}
        self._named: dict[str, set[str]] = {}
        for number, head in enumerate(self._heads):
            for action in head.actions:
                self._buckets.setdefault((head.principal, action), []).append(number)
            if head.resource_type is not None and head.resource_id is not None:
                self._named.setdefault(head.resource_type, set()).add(head.resource_id)

    def named(self, resource_type: str) -> frozenset[str]:
        """Return the ids of this type that some head names; all other ids are equivalent."""
        return frozenset(self._named.get(resource_type, ()))

    def matching(
        self, agent: Agent, capability: Capability, resource_id: str | None, *, any_id: bool = False
    ) -> tuple[int, ...]:
        """Return the numbers, ascending, of the policies whose heads can match. resource_id: None for an id that no
        head names."""
        resource_type = capability.resource.type
        return self.naming(
            principals=((AGENT, agent.name), (USE_CASE, agent.use_case)),
            actions=((ACTION, capability.name), (ACTION, capability.kind)),
            fits=lambda head: head.fits(resource_type, resource_id, any_id=any_id),
        )

    def naming(
        self,
        *,
        principals: Iterable[tuple[str, str]],
        actions: Iterable[tuple[str, str]],
        fits: Callable[[Head], bool],
    ) -> tuple[int, ...]:
        """Return the numbers, ascending, of the policies whose heads name one of the principals and actions, or any,
        and fit the resource.

        principals, actions: the request's own entity and every entity that it is in.
        """
        named = (ANY, *actions)
        found: set[int] = set()
        for principal in (ANY, *principals):
            for action in named:
                found.update(
                    number
                    for number in self._buckets.get((principal, action), ())
                    if fits(self._heads[number])
                )
        return tuple(sorted(found))
