"""Steps of which a log says nothing."""

from __future__ import annotations

import pytest

from answerable.core.attribution.phantom import Unseen, unseen
from answerable.core.attribution.step import SKEW_MS
from tests.unit.core.attribution.test_attribute_line import AT, Ledger, action

COVERED = ((AT - SKEW_MS, AT + 1_000 + SKEW_MS),)


def found(
    ledger: Ledger,
    covered: tuple[tuple[int, int], ...] = COVERED,
    seen: tuple[str, ...] = (),
    target: str = "db",
) -> tuple[list[str], int]:
    said: Unseen = unseen(ledger.index(), targets={target}, seen=seen, covered=covered)
    return [one.action for one in said.phantoms], said.uncovered


def test_a_step_whose_time_the_log_covers_and_does_not_say_is_a_phantom() -> None:
    assert found(Ledger().step(1).step(2), seen=(action(2),)) == ([action(1)], 0)


@pytest.mark.parametrize(
    "covered",
    [
        (),
        ((AT - SKEW_MS + 1, AT + 90_000),),
        ((AT - 90_000, AT + 999 + SKEW_MS),),
        ((AT - 9, AT), (AT + 500, AT + 9)),
    ],
)
def test_a_step_that_the_log_does_not_cover_on_both_sides_is_none(
    covered: tuple[tuple[int, int], ...],
) -> None:
    assert found(Ledger().step(1), covered) == ([], 1)


def test_a_step_elsewhere_or_without_a_successful_end_is_none() -> None:
    assert found(Ledger().step(1), target="other") == ([], 0)
    assert found(Ledger().step(1, ended=False)) == ([], 0)


def test_steps_that_were_compared_and_those_of_other_targets_are_counted() -> None:
    ledger = Ledger().step(1).step(2).step(3, at=AT + 900_000)
    said = unseen(ledger.index(), targets={"db"}, seen=(action(2),), covered=COVERED)
    assert (len(said.phantoms), said.compared, said.uncovered, said.elsewhere) == (1, 2, 1, {})
    said = unseen(ledger.index(), targets=(), seen=(), covered=COVERED)
    assert (said.phantoms, said.compared, said.uncovered, said.elsewhere) == ((), 0, 0, {"db": 2})
    assert unseen(ledger.index(), targets=(), seen=(), covered=()).elsewhere == {}
