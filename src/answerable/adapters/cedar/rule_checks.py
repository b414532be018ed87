"""Find faults in policies that Cedar accepts: policies that never match, that change nothing, or that allow everything.

Laws: a rule is refused only for what is certain, either with the current registry or with any; if that cannot be
decided within the bounds, the rule passes and is listed as undecided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.cedar.registered import Scenes
from answerable.adapters.cedar.rules import can_match, head_requirements, is_kind
from answerable.adapters.cedar.satisfiable import exclude, is_possible, ways
from answerable.adapters.cedar.schema import ACTION, AGENT, KINDS, USE_CASE
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from answerable.adapters.cedar.registered import Registered
    from answerable.adapters.cedar.rules import Rule
    from answerable.adapters.cedar.satisfiable import Requirement, Scene
    from answerable.core.registry.policy_sets.policy_fault import PolicyFault

PAIRS_MAX: Final = 200_000
"""Limit of rule pairs whose conditions are compared."""

_ANY: Final = ("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The result of the checks. untold: places of rules for which it is undecided whether they match or matter."""

    faults: tuple[PolicyFault, ...]
    untold: tuple[str, ...]


def check_rules(rules: Sequence[Rule], registered: Registered) -> Checked:
    """Return faults of rules that can never match, that another rule makes redundant, and of permits for everything."""
    faults: list[PolicyFault] = []
    untold: list[str] = []
    scenes = Scenes(registered)
    alive: list[Rule] = []
    for rule in rules:
        matches, why = _matches(rule, registered, scenes)
        if matches is None:
            untold.append(rule.place)
        if matches is False:
            faults += [rule.fault("rule.never_matches", why)] if rule.source.own else []
            continue
        alive.append(rule)
        if rule.source.own:
            faults += _dead_actions(rule, registered)
    everywhere = scenes.everywhere
    wide = [rule for rule in alive if _allows_all(rule, everywhere)]
    faults += [_catch_all(rule) for rule in wide if rule.source.own]
    faults += _Shadows([rule for rule in alive if rule not in wide], registered).faults(untold)
    return Checked(faults=tuple(faults), untold=tuple(dict.fromkeys(untold)))


def _matches(rule: Rule, registered: Registered, scenes: Scenes) -> tuple[bool | None, str]:
    """Return whether some registered agent and capability could make the rule true (None: undecided), and if not,
    why."""
    kind, name = rule.policy.head.principal
    if kind == USE_CASE and not scenes.agents((kind, name)):
        return False, f"can never match: no agent belongs to use case {shown(name)}"
    if not registered.agents:
        return False, "can never match: no agent is registered"
    matching = [one for one in registered.capabilities if can_match(rule, one)]
    asked = (*head_requirements(rule), *rule.conditions)
    if is_possible(asked, scenes.anywhere) is False:
        return False, "can never match: its conditions contradict each other or its head"
    found = [is_possible(asked, scenes.of(one, rule.policy.head.principal)) for one in matching]
    if True in found:
        return True, ""
    if None in found:
        return None, ""
    listed = ", ".join(shown(one.name) for one in matching[:5]) + (" …" if len(matching) > 5 else "")
    return (
        False,
        f"can never match: for none of the capabilities of its head can its conditions hold ({listed})",
    )


def _dead_actions(rule: Rule, registered: Registered) -> Iterator[PolicyFault]:
    """Yield a fault for each action listed in a head that the resource type of the head excludes."""
    head = rule.policy.head
    if len(head.actions) < 2 or head.resource_type is None:
        return
    for action in head.actions:
        named = [one for one in registered.capabilities if action[1] in (one.name, one.kind)]
        if not any(one.resource.type == head.resource_type for one in named):
            message = f"lists action {shown(action[1])}, which never touches a {shown(head.resource_type)}: remove it"
            yield rule.fault("rule.dead_action", message, at=f'"{action[1]}"')


def _allows_all(rule: Rule, everywhere: Scene) -> bool:
    head = rule.policy.head
    if rule.policy.forbids or head.principal != _ANY or head.resource_type is not None:
        return False
    every_kind = {(ACTION, kind) for kind in KINDS} <= set(head.actions)
    return (_ANY in head.actions or every_kind) and _always(rule.conditions, everywhere)


def _catch_all(rule: Rule) -> PolicyFault:
    message = (
        "allows everything to everybody: name agents or use cases, actions, or what is touched in its head, or a "
        "condition that can fail"
    )
    return rule.fault("rule.catch_all", message)


def _always(conditions: Sequence[Requirement], everywhere: Scene) -> bool:
    """Whether no condition can ever fail."""
    return all(is_possible([(node, not wanted)], everywhere) is False for node, wanted in conditions)


class _Shadows:
    """Finds pairs of rules of which one makes the other redundant; candidates are looked up by their heads."""

    def __init__(self, rules: Sequence[Rule], registered: Registered) -> None:
        self._rules = rules
        self._use_cases = {name: one.use_case for name, one in registered.agents.items()}
        self._kinds = {one.name: one.kind for one in registered.capabilities}
        self._types = {one.name: one.resource.type for one in registered.capabilities}
        self._by_head: dict[tuple[tuple[str, str], tuple[str, str]], list[int]] = {}
        self._pairs = 0
        # Conditions are expanded once per rule, not once per pair.
        self._holds = [ways((*head_requirements(rule), *rule.conditions)) for rule in rules]
        self._fails = [[ways([(node, not wanted)]) for node, wanted in rule.conditions] for rule in rules]
        for number, rule in enumerate(rules):
            for action in rule.policy.head.actions:
                self._by_head.setdefault((rule.policy.head.principal, action), []).append(number)

    def faults(self, untold: list[str]) -> Iterator[PolicyFault]:
        """Yield one fault for each own rule that another rule makes redundant."""
        for number, rule in enumerate(self._rules):
            if not rule.source.own:
                continue
            if self._pairs > PAIRS_MAX:
                untold.append(rule.place)
                continue
            for other in sorted(self._wider(rule)):
                if other == number or not _could_shadow(self._rules[other], rule):
                    continue
                self._pairs += 1
                if self._pairs > PAIRS_MAX:
                    untold.append(rule.place)
                    break
                if (fault := self._shadowed(number, other)) is not None:
                    yield fault
                    break

    def _shadowed(self, number: int, other: int) -> PolicyFault | None:
        rule, wider = self._rules[number], self._rules[other]
        if not self._covers(wider, rule) or not self._implies(number, other):
            return None
        name = f"{shown(wider.policy.id)} at {wider.place}"
        if wider.policy.forbids and not rule.policy.forbids:
            return rule.fault("rule.shadowed", f"can never allow anything: {name} forbids all of it for good")
        alike = self._covers(rule, wider) and self._implies(other, number) and _could_shadow(rule, wider)
        if alike and (number < other and wider.source.own):
            return None  # Of two equivalent rules, only the later one is reported.
        if alike and rule.policy.head == wider.policy.head and rule.conditions == wider.conditions:
            return rule.fault("rule.duplicate", f"says the same as {name}: remove one of them")
        verb = "forbids" if rule.policy.forbids else "allows"
        return rule.fault(
            "rule.shadowed", f"changes nothing: {name} {verb} all of it already; remove one of them"
        )

    def _implies(self, number: int, other: int) -> bool:
        """Whether the other rule's conditions hold whenever this rule matches."""
        own = self._holds[number]
        return own is not None and all(
            fails is not None and exclude(own, fails) for fails in self._fails[other]
        )

    def _wider(self, rule: Rule) -> set[int]:
        """Return the numbers of rules whose heads could cover this rule's head."""
        kind, name = rule.policy.head.principal
        principals = [_ANY, (kind, name)]
        if kind == AGENT and name in self._use_cases:
            principals.append((USE_CASE, self._use_cases[name]))
        first = rule.policy.head.actions[0]
        actions = [_ANY, first]
        if not is_kind(first) and first[1] in self._kinds:
            actions.append((ACTION, self._kinds[first[1]]))
        return {
            number
            for principal in principals
            for action in actions
            for number in self._by_head.get((principal, action), ())
        }

    def _covers(self, wider: Rule, rule: Rule) -> bool:
        """Whether everything that matches the rule's head also matches the wider rule's head, whatever else is
        registered."""
        one, other = wider.policy.head, rule.policy.head
        if one.principal not in (_ANY, other.principal):
            of_agent = (USE_CASE, self._use_cases.get(other.principal[1], ""))
            if other.principal[0] != AGENT or one.principal != of_agent:
                return False
        for action in other.actions:
            names = {_ANY, action}
            if not is_kind(action):
                names.add((ACTION, self._kinds.get(action[1], "")))
            if not names & set(one.actions):
                return False
        if one.resource_type is None:
            return True
        types = {other.resource_type or self._types.get(name) for _, name in other.actions}
        return types == {one.resource_type} and one.resource_id in (None, other.resource_id)


def _could_shadow(wider: Rule, rule: Rule) -> bool:
    """Whether the effects and liftability of two rules allow the wider one to make the other redundant."""
    one, other = wider.policy, rule.policy
    if not one.forbids:
        return not other.forbids
    if not one.note.liftable:
        return True
    if not other.forbids or not other.note.liftable or not set(other.note.oblige) <= set(one.note.oblige):
        return False
    asked, also = one.note.approve, other.note.approve
    return also is None or (asked is not None and asked.group == also.group and asked.count >= also.count)
