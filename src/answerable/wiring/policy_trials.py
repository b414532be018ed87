"""Run the test tables of a policy set with the decision point that would be in force, and find untested policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.adapters.cedar import compiled
from answerable.core.decision.policy_trial import trial_of
from answerable.core.registry.policy_sets.policy_fault import PolicyFault
from answerable.errors import Malformed
from answerable.errors.codes.ledger import SET_FAULTS
from answerable.errors.codes.policy import TEST_UNTRIED
from answerable.flows.registry.apply_registry import policy_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from answerable.core.decision.decision import Decision
    from answerable.core.decision.policy_case import PolicyCase
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.ports.decision_point import DecisionPoint
    from answerable.wiring.policy_directory import CheckedSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One case. differences: deviations from the expectation, one text each; empty when it passed.

    decided: ids of policies and rules that the decision names, including lifted ones.
    """

    file: str
    line: int
    name: str
    expected: str
    got: str
    decided: tuple[str, ...]
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedSet:
    """The results of a set. untried: policies that decided nothing in any case, with their places."""

    tried: tuple[Tried, ...]
    untried: tuple[tuple[str, str], ...]

    @property
    def failed(self) -> tuple[Tried, ...]:
        """The failed cases."""
        return tuple(one for one in self.tried if one.differences)

    def untried_faults(self) -> tuple[PolicyFault, ...]:
        """Return the policies without a case, as faults at their places."""
        found: list[PolicyFault] = []
        for name, place in self.untried:
            file, _, line = place.rpartition(":")
            message = f"policy `{name}` decides nothing in any test: write a case in which it does"
            found.append(PolicyFault(file=file, line=int(line), code=TEST_UNTRIED.id, message=message))
        return tuple(found)


def try_set(checked: CheckedSet) -> TriedSet:
    """Decide every case of a set without faults. Raises Malformed (`policy.*`)."""
    snapshot = checked.snapshot
    if snapshot is None or checked.faults:
        raise SET_FAULTS(f"the set has {len(checked.faults)} faults: `answerable policy check` lists all")
    point = compiled(policy_text(snapshot), snapshot)
    tried = tuple(
        _try(file.name, file.line_of(case.path), case, snapshot, point) for file, case in checked.cases
    )
    decided = {name for one in tried if not one.differences for name in one.decided}
    untried = tuple((name, place) for name, place in checked.policies if name not in decided)
    return TriedSet(tried=tried, untried=untried)


def _try(file: str, line: int, case: PolicyCase, snapshot: RegistrySnapshot, point: DecisionPoint) -> Tried:
    try:
        verified, facts = trial_of(case.given, snapshot)
    except Malformed as error:
        return Tried(
            file=file,
            line=line,
            name=case.name,
            expected=case.expect,
            got=error.code,
            decided=(),
            differences=(f"the case cannot be made: {error.message}",),
        )
    decision = point.decide(verified, facts)
    decided = tuple(dict.fromkeys((*decision.determined_by, *decision.lifted)))
    return Tried(
        file=file,
        line=line,
        name=case.name,
        expected=case.expect,
        got=decision.effect,
        decided=decided,
        differences=tuple(_differences(case, decision, decided)),
    )


def _differences(case: PolicyCase, decision: Decision, decided: tuple[str, ...]) -> Iterator[str]:
    reasons = "; ".join(reason.text for reason in decision.reasons)
    if decision.effect != case.expect:
        # Any other difference follows from the effect.
        yield f"expected {case.expect}, got {decision.effect}: {reasons}"
        return
    if case.by is not None and set(case.by) != set(decided):
        yield f"expected it by {_listed(case.by)}, got {_listed(decided)}"
    approvers = [f"{need.group}:{need.count}" for need in decision.requirements]
    if case.approvers is not None and set(case.approvers) != set(approvers):
        yield f"expected approvers {_listed(case.approvers)}, got {_listed(approvers)}"
    if case.obligations is not None and set(case.obligations) != set(decision.obligations):
        yield f"expected obligations {_listed(case.obligations)}, got {_listed(decision.obligations)}"
    if case.reason and case.reason not in reasons:
        yield f"expected a reason with `{case.reason}`, got `{reasons}`"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
