"""What was out of scope is counted over all shards as in one log."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from answerable.errors import Refused
from answerable.errors.codes.search import SEARCH_UNREACHABLE
from answerable.ports.search_process import SCOPE, TOTALS, ScopeQuestion
from answerable.testing.builders import Bench
from tests.worlds.logs_at_hand import LogAtHand, joined

if TYPE_CHECKING:
    from answerable.ports.search_process import A, Q, QuestionKind

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SCOPE-02")]
ASKED = ScopeQuestion(words=(), rows=10)


async def acted(scout: int, rover: int, *, scout_max: int = 20) -> Bench:
    """So many reads of each. Those of scout past its budget are outside of scope."""
    bench = await Bench().registered()
    await bench.issue("m-1", calls_max=scout_max)
    await bench.issue("m-2", agent="rover")
    for _ in range(scout):
        with suppress(Refused):
            await bench.act()
    for _ in range(rover):
        await bench.act(mandate="m-2", agent="rover")
    return bench


async def test_a_row_has_the_actions_of_a_shard_in_which_nothing_was_outside() -> None:
    a, b = await acted(5, 1, scout_max=4), await acted(3, 2)
    for own in ("a", "b"):
        answer = joined(own, a=LogAtHand(a.recorder), b=LogAtHand(b.recorder)).ask(SCOPE, ASKED)
        found = {(one.by, one.name): (one.outside, one.actions, one.share) for one in answer.rows}
        assert found["agent", "scout"] == (1, 8, 0.125)
        assert ("agent", "rover") not in found
        assert found["capability", "crm.read"] == (1, 11, 0.0909)
        assert [one for (by, _), one in found.items() if by == "use-case"] == [(1, 11, 0.0909)]
        assert found["code", "mandate.budget_spent"] == (1, 11, 0.0909)
        assert [one[1] for (by, _), one in found.items() if by == "week"] == [11]


async def test_what_is_asked_for_holds_for_the_actions_that_are_added() -> None:
    a, b = await acted(5, 1, scout_max=4), await acted(3, 2)
    index = joined("a", a=LogAtHand(a.recorder), b=LogAtHand(b.recorder))
    answer = index.ask(SCOPE, ScopeQuestion(words=("agent:scout",), rows=10))
    assert {(one.outside, one.actions) for one in answer.rows} == {(1, 8)}


class NoTotals(LogAtHand):
    """Stops answering between the two questions."""

    def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
        if kind is TOTALS:
            raise SEARCH_UNREACHABLE("it has ended")
        return super().ask(kind, question)


async def test_a_shard_that_ends_between_the_two_questions_is_left_out_whole_and_named() -> None:
    a, b = await acted(5, 1, scout_max=4), await acted(3, 2)
    answer = joined("a", a=LogAtHand(a.recorder), b=NoTotals(b.recorder)).ask(SCOPE, ASKED)
    assert (answer.actions, answer.elsewhere) == (6, {"b": "it has ended"})
    assert {one.name: one.actions for one in answer.rows if one.by == "agent"} == {"scout": 5}
