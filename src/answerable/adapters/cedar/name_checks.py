"""Names in policies that Cedar cannot check: of agents, use cases, people, environments and the like.

Cedar knows the types of such texts and not their values, so that a misspelt one protects nothing, or lets nobody
through, without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.cedar.possible import DOMAINS, literal, literals, path_of
from answerable.adapters.cedar.schema import AGENT, USE_CASE
from answerable.core.registry.look_alike import meant, skeleton
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from answerable.adapters.cedar.possible import Known, Node
    from answerable.adapters.cedar.registered import Registered
    from answerable.adapters.cedar.rules import Rule
    from answerable.core.registry.policy_fault import PolicyFault

_SETS: Final = ("context.chain.agents", "context.destination.classes", "context.risk.factors")
_COMPARED: Final = ("==", "!=")
_WHAT: Final = {AGENT: "agent", USE_CASE: "use case"}


def check_names(rules: Sequence[Rule], registered: Registered) -> tuple[PolicyFault, ...]:
    """Every name that stands for nothing, and every pair of policy ids that is read alike."""
    domains = {**DOMAINS, **registered.domains(), **registered.members_of_sets()}
    faults: list[PolicyFault] = []
    for rule in rules:
        if not rule.source.own:
            continue
        kind, name = rule.policy.head.principal
        faults += _entity(rule, kind, name, registered)
        for body, _ in rule.conditions:
            for node in _nodes(body):
                faults += _in_node(rule, node, registered, domains)
    return tuple(dict.fromkeys((*faults, *_ids_alike(rules))))


def _in_node(
    rule: Rule, node: Node, registered: Registered, domains: Mapping[str, frozenset[Known]]
) -> Iterator[PolicyFault]:
    match node:
        case {"__entity": {"type": str(kind), "id": str(name)}}:
            yield from _entity(rule, kind, name, registered)
        case {"contains": {"left": left, "right": right}} if (among := literals(left)) is not None:
            for value in sorted(among):
                yield from _text(rule, path_of(right), value, domains)
        case {"contains": {"left": left, "right": right}}:
            yield from _text(rule, path_of(left), literal(right), domains)
        case {"containsAny": {"left": left, "right": right}} | {
            "containsAll": {"left": left, "right": right}
        }:
            for value in sorted(literals(right) or ()):
                yield from _text(rule, path_of(left), value, domains)
        case dict() if len(node) == 1 and (operator := next(iter(node))) in _COMPARED:
            match node[operator]:
                case {"left": left, "right": right}:
                    yield from _text(rule, path_of(left), literal(right), domains)
                    yield from _text(rule, path_of(right), literal(left), domains)


def _text(
    rule: Rule, path: str | None, value: Known | None, domains: Mapping[str, frozenset[Known]]
) -> Iterator[PolicyFault]:
    known = domains.get(path or "")
    if known is None or value is None or value[0] != "text" or value in known:
        return
    name = str(value[1])
    never = "never has" if path in _SETS else "never is"
    says = f"compares `{path}` with {shown(name)}, which it {never}"
    yield _unknown(rule, says, name, [str(text) for _, text in known])


def _entity(rule: Rule, kind: str, name: str, registered: Registered) -> Iterator[PolicyFault]:
    known = {AGENT: registered.agents.keys(), USE_CASE: registered.use_cases}.get(kind)
    if known is not None and name not in known:
        says = f"names {_WHAT[kind]} {shown(name)}, which is not registered"
        yield _unknown(rule, says, name, sorted(known))


def _unknown(rule: Rule, says: str, name: str, known: list[str]) -> PolicyFault:
    found = meant(name, known)
    if found is None:
        few = ", ".join(sorted(text for text in known if text)[:10]) or "nothing"
        return rule.fault("name.unknown", f"{says}; known here: {few}", at=f'"{name}"')
    likeness, other = found
    hint = f": it only looks like {shown(other)}" if likeness == "looks like" else ""
    return rule.fault("name.look_alike", f"{says}{hint}; did you mean {shown(other)}?", at=f'"{name}"')


def _ids_alike(rules: Sequence[Rule]) -> Iterator[PolicyFault]:
    """Ids stand in refusals and in the ledger: two that are read alike are one for whoever reads them."""
    read: dict[str, Rule] = {}
    for rule in rules:
        earlier = read.setdefault(skeleton(rule.policy.id), rule)
        if earlier is not rule and rule.source.own:
            message = f"has an id that is read like {shown(earlier.policy.id)} at {earlier.place}: rename one"
            yield rule.fault("name.look_alike", message)


def _nodes(body: Node) -> Iterator[Node]:
    pending = [body]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, dict):
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
