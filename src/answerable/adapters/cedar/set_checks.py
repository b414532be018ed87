"""Check policy sets for unknown names, rules that can never match, and groups without members. `policy check`, applying
documents and publishing all use this check."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.cedar.answering import answering_of
from answerable.adapters.cedar.name_checks import check_names, unknown_names
from answerable.adapters.cedar.part_checks import nobody_to_ask
from answerable.adapters.cedar.registered import Registered
from answerable.adapters.cedar.rule_checks import check_rules
from answerable.adapters.cedar.rules import PolicySource, rules_of
from answerable.core.approval.assurance_level import NOTHING_KNOWN, SignedWith
from answerable.core.identity.names.principal import SCHEDULE_PREFIX
from answerable.core.registry.documents.capability import Capability
from answerable.core.registry.documents.documents import Agent
from answerable.core.registry.parsing.parse import shapes_of
from answerable.core.registry.policy_sets.policy_fault import SetFault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from answerable.adapters.cedar.rules import Rule
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.policy_sets.policy_fault import PolicyFault
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

NEVER: Final = "rule.never_matches"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRules:
    """The result of the checks. untold: places of rules for which it is undecided whether they match or matter."""

    faults: tuple[PolicyFault, ...]
    untold: tuple[str, ...]


def check_policies(rules: Sequence[Rule], registered: Registered) -> CheckedRules:
    """Check names and rules. A rule with a fault in a name gets no second fault."""
    names = check_names(rules, registered)
    misnamed = {(fault.file, fault.line) for fault in names}
    checked = check_rules([rule for rule in rules if not _has(rule, misnamed)], registered)
    return CheckedRules(faults=(*names, *checked.faults), untold=checked.untold)


def check_sets(documents: Sequence[JSONValue], snapshot: RegistrySnapshot) -> tuple[SetFault, ...]:
    """Implements ports.decision_point.PolicyChecker: checks every registered set."""
    sources = [
        PolicySource(file=f"PolicySet/{name}", text=snapshot.policy_sets[name].policies)
        for name in sorted(snapshot.policy_sets)
    ]
    rules, wrong = rules_of(sources, snapshot)
    if wrong or not rules:
        # The compiler refuses unpublishable sets with its own messages.
        return ()
    registered = registered_in(documents, snapshot)
    void = (
        *unknown_names(rules, registered),
        *(one for one in check_policies(rules, registered).faults if one.code == NEVER),
        *_unasked(rules, registered),
    )
    forbids = [rule for rule in rules if rule.policy.forbids]
    return tuple(
        SetFault(fault=one, voids_forbid=any(_has(rule, {(one.file, one.line)}) for rule in forbids))
        for one in dict.fromkeys(void)
    )


def registered_in(
    documents: Sequence[JSONValue], snapshot: RegistrySnapshot, known: SignedWith = NOTHING_KNOWN
) -> Registered:
    """Return the names that policies can refer to, and who can answer for groups."""
    shapes = shapes_of(documents)
    names: dict[str, set[str]] = {}
    for kind, name in shapes.declared:
        names.setdefault(kind, set()).add(name)
    people = snapshot.principals.values()
    told = Counter(group for person in people for group in person.groups)
    workflows = [one for one in snapshot.workflows.values() if one.keys and one.attestation]
    nouns = [found.noun for found in shapes.nouns]
    schedules = {f"{SCHEDULE_PREFIX}{name}" for name in names.get("Schedule", ())}
    return Registered(
        capabilities=tuple(noun for noun in nouns if isinstance(noun, Capability)),
        agents={noun.name: noun for noun in nouns if isinstance(noun, Agent)},
        use_cases=frozenset(names.get("UseCase", ())),
        servers=frozenset(names.get("Server", ())),
        people=frozenset(names.get("Principal", set()) | schedules),
        answering=answering_of(people, workflows, known),
        parts=snapshot.parts,
        told=told,
    )


def _unasked(rules: Sequence[Rule], registered: Registered) -> Iterator[PolicyFault]:
    """Yield a fault for each required group that has no people at all. Whether enough people can sign strongly enough
    is checked with the set's own declarations."""
    for rule in rules:
        need = rule.policy.note.approve
        if need is not None and not any(registered.told.get(group) for group in need.groups):
            fault = nobody_to_ask(rule, need, registered)
            if fault is not None:
                yield fault


def _has(rule: Rule, places: set[tuple[str, int]]) -> bool:
    last = rule.line + rule.text.strip().count("\n")
    return any(file == rule.source.file and rule.line <= line <= last for file, line in places)
