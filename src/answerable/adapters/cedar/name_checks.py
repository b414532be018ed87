"""Check names in policies that Cedar cannot check: agents, use cases, people, environments and similar values.

Cedar checks only the types of these texts. A misspelt name passes, and then silently matches nothing: the forbid
protects nothing, or the permit allows nobody.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from answerable.adapters.cedar.satisfiable import DOMAINS, literal, literals, path_of
from answerable.adapters.cedar.schema import AGENT, USE_CASE
from answerable.core.registry.documents.destination import normalised
from answerable.core.registry.documents.look_alike import disguised, meant, skeleton
from answerable.errors import Malformed, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from answerable.adapters.cedar.registered import Registered
    from answerable.adapters.cedar.rules import Rule
    from answerable.adapters.cedar.satisfiable import Known, Node
    from answerable.core.registry.policy_sets.policy_fault import PolicyFault

_SETS: Final = ("context.chain.agents", "context.destination.classes", "context.risk.factors")
_NAMES: Final = "context.destination.names"
_COMPARED: Final = ("==", "!=")
_WHAT: Final = {AGENT: "agent", USE_CASE: "use case"}


def check_names(rules: Sequence[Rule], registered: Registered) -> tuple[PolicyFault, ...]:
    """Return a fault for every unknown or look-alike name, and for every pair of policy ids that look alike."""
    faults: list[PolicyFault] = []
    for rule, unknown in _by_rule(rules, registered):
        faults += unknown
        told = "\n".join(one.message for one in faults)
        faults += _disguised(rule, _nodes_of(rule), told)
    return tuple(dict.fromkeys((*faults, *_ids_alike(rules))))


def unknown_names(rules: Sequence[Rule], registered: Registered) -> tuple[PolicyFault, ...]:
    """Return a fault for every unknown name, without the look-alike checks of text and ids."""
    return tuple(dict.fromkeys(fault for _, unknown in _by_rule(rules, registered) for fault in unknown))


def _by_rule(rules: Sequence[Rule], registered: Registered) -> Iterator[tuple[Rule, list[PolicyFault]]]:
    """Yield the rules of the checked directory, each with the faults of its unknown names."""
    domains = {**DOMAINS, **registered.domains(), **registered.members_of_sets()}
    for rule in rules:
        if rule.source.own:
            kind, name = rule.policy.head.principal
            found = [*_entity(rule, kind, name, registered)]
            for node in _nodes_of(rule):
                found += _in_node(rule, node, registered, domains)
            yield rule, found


def _nodes_of(rule: Rule) -> list[Node]:
    return [node for body, _ in rule.conditions for node in _nodes(body)]


def _in_node(
    rule: Rule, node: Node, registered: Registered, domains: Mapping[str, frozenset[Known]]
) -> Iterator[PolicyFault]:
    match node:
        case {"__entity": {"type": str(kind), "id": str(name)}}:
            yield from _entity(rule, kind, name, registered)
        case {"contains": {"left": left, "right": right}} if (among := literals(left)) is not None:
            for value in sorted(among):
                yield from _text(rule, path_of(right), value, domains, registered)
        case {"contains": {"left": left, "right": right}}:
            yield from _text(rule, path_of(left), literal(right), domains, registered)
        case {"containsAny": {"left": left, "right": right}} | {
            "containsAll": {"left": left, "right": right}
        }:
            for value in sorted(literals(right) or ()):
                yield from _text(rule, path_of(left), value, domains, registered)
        case dict() if len(node) == 1 and (operator := next(iter(node))) in _COMPARED:
            match node[operator]:
                case {"left": left, "right": right}:
                    yield from _text(rule, path_of(left), literal(right), domains, registered)
                    yield from _text(rule, path_of(right), literal(left), domains, registered)


def _disguised(rule: Rule, nodes: list[Node], told: str) -> Iterator[PolicyFault]:
    """Yield a fault for each text with a character that looks like another letter, if the policy contains the character
    and not its escape. Texts that already have a fault are skipped."""
    for text in dict.fromkeys(one for one in (rule.policy.head.resource_id, *nodes) if isinstance(one, str)):
        odd = disguised(text) if shown(text) not in told else ""
        if odd and odd in rule.text:
            escape = f"\\u{{{ord(odd):X}}}"
            message = f"has U+{ord(odd):04X} in {shown(text)}, read as another letter: write `{escape}` if it is meant"
            yield rule.fault("name.look_alike", message, at=text)


def _text(
    rule: Rule,
    path: str | None,
    value: Known | None,
    domains: Mapping[str, frozenset[Known]],
    registered: Registered,
) -> Iterator[PolicyFault]:
    known = domains.get(path or "")
    if path == _NAMES and value is not None and value[0] == "text":
        yield from _destination(rule, str(value[1]), registered)
    if known is None or value is None or value[0] != "text" or value in known:
        return
    name = str(value[1])
    never = "never has" if path in _SETS else "never is"
    says = f"compares `{path}` with {shown(name)}, which it {never}"
    yield _unknown(rule, says, name, [str(text) for _, text in known])


def _destination(rule: Rule, text: str, registered: Registered) -> Iterator[PolicyFault]:
    """Yield a fault for a destination that is not in normal form, which no action's destination can equal."""
    spelt: set[str] = set()
    for kind in {one.destination.type for one in registered.capabilities}:
        with suppress(Malformed):
            spelt |= {normalised(kind, text)} if kind else set()
    if text in spelt:
        return
    hint = f"; did you mean {shown(min(spelt))}?" if spelt else ""
    says = f"looks for {shown(text)} in `{_NAMES}`, in which nothing is spelt so"
    yield rule.fault("name.unknown", f"{says}{hint}", at=f'"{text}"')


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
    """Yield a fault for ids that look alike: they appear in refusals and in the ledger, where a reader would confuse
    them."""
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
