"""How long stops took, counted from a ledger that the walk wrote and from what entries of holds say."""

from __future__ import annotations

import anyio
import pytest

from answerable.core.canonical import INTEGER_MAX
from answerable.core.containment.hold import EVERYTHING, Hold, HoldId, holdable
from answerable.core.identity.names.spiffe_id import ID_BYTES_MAX
from answerable.core.ledger.approval_statistics import Figures, restored
from answerable.core.ledger.entry import LEAF_BYTES_MAX
from answerable.core.ledger.figure_cells import UNSAID, Cell
from answerable.core.ledger.figure_stops import STOPS_MAX
from answerable.core.ledger.records_holds import hold_placed
from answerable.core.ledger.records_revocation import IN_FLIGHT_NAMED_MAX
from answerable.core.ledger.subject import LOG_SUBJECT
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.revocation import RevocationTarget
from answerable.flows.recording.record_entry import sealing_for
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.testing.clock import START
from tests.worlds.figures import cells_of, entry, folded, ready

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("STAT-11")]


def stops_of(entries) -> Cell:
    return folded(entries).within(0, START).get(UNSAID, Cell())


async def test_a_revocation_is_contained_when_the_last_action_that_it_came_too_late_for_has_ended():
    bench = await ready()
    await bench.act()
    begun, may_end = anyio.Event(), anyio.Event()

    async def hold_on(_effect):
        begun.set()
        await may_end.wait()

    bench.upstream.before = hold_on
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.act)
        await begun.wait()
        await revoke_authority(
            bench.recorder, bench.authority, bench.live, RevocationTarget("agent", "scout"), by="operator"
        )
        cell = (await cells_of(bench))[UNSAID]
        assert (cell.revoked, cell.containing.count) == (1, 0)
        bench.clock.advance(7)
        may_end.set()
    cell = (await cells_of(bench))[UNSAID]
    assert (cell.revoked, cell.containing.exact) == (1, [7_000])


async def test_what_came_too_late_for_nothing_took_no_time():
    bench = await ready()
    await revoke_authority(
        bench.recorder, bench.authority, bench.live, RevocationTarget("agent", "rover"), by="operator"
    )
    assert (await cells_of(bench))[UNSAID].containing.exact == [0]


def hold(index, in_flight, *, count=None, since=START, **more):
    count = len(in_flight) if count is None else count
    return entry(index, Tag.HOLD_PLACED, since=since, in_flight=in_flight, in_flight_count=count, **more)


def test_a_hold_is_contained_by_the_last_of_several_and_one_that_ended_before_its_entry_counts_till_there():
    intents = [entry(index, Tag.INTENT) for index in range(3)]
    ends = [
        entry(4 + index, Tag.OUTCOME, intent=index, status="succeeded", at=START + 1_000 * (index + 1))
        for index in range(3)
    ]
    cell = stops_of([*intents, hold(3, [0, 2, 1]), *ends])
    assert (cell.held, cell.containing.exact) == (1, [3_000])
    late = entry(4, Tag.HOLD_PLACED, since=START - 500, in_flight=[0], in_flight_count=1)
    cell = stops_of([intents[0], entry(1, Tag.OUTCOME, intent=0, status="failed"), late])
    assert cell.containing.exact == [500]


def test_where_not_all_that_it_came_too_late_for_are_named_no_time_is_told():
    one = [entry(0, Tag.INTENT), hold(1, [0], count=40), entry(2, Tag.OUTCOME, intent=0, status="failed")]
    cell = stops_of(one)
    assert (cell.held, cell.containing.count) == (1, 0)


def test_drills_and_lifts_that_lift_nothing_yet_are_no_stops():
    cell = stops_of(
        [
            hold(0, [], source="drill"),
            hold(1, [], source="person"),
            entry(2, Tag.HOLD_LIFTED, lifted_at=0),
            entry(3, Tag.HOLD_LIFTED, lifted_at=START),
        ]
    )
    assert (cell.held, cell.lifted, cell.containing.count) == (1, 1, 1)


def test_of_more_stops_than_are_kept_in_mind_the_oldest_are_given_up():
    stops = [hold(1 + number, [0]) for number in range(STOPS_MAX + 5)]
    end = entry(STOPS_MAX + 6, Tag.OUTCOME, intent=0, status="succeeded")
    cell = stops_of([entry(0, Tag.INTENT), *stops, end])
    assert (cell.held, cell.containing.count) == (STOPS_MAX + 5, STOPS_MAX)


def test_a_restart_between_a_stop_and_the_end_of_what_it_came_too_late_for_changes_nothing():
    entries = [entry(0, Tag.INTENT), entry(1, Tag.INTENT), hold(2, [0, 1])]
    entries.append(entry(3, Tag.OUTCOME, intent=1, status="succeeded", at=START + 1_000))
    figures, rows = Figures(), {}
    for one in entries:
        figures.fold(one, entries.__getitem__)
        rows |= figures.take_changed()
        figures = restored({name: row for name, row in rows.items() if row is not None}, figures.entries)
    figures.fold(entry(4, Tag.OUTCOME, intent=0, status="succeeded", at=START + 4_000), entries.__getitem__)
    assert figures.within(0, START)[UNSAID].containing.exact == [4_000]
    assert {name for name, row in figures.take_changed().items() if row is None} == {"#2", "+0"}


@pytest.mark.parametrize("kind", ["instance", "everything"])
async def test_the_longest_name_and_all_that_are_named_fit_into_one_entry(kind):
    bench = await ready()
    start = "spiffe://example.org/"
    longest = start + "/".join(["a" * 200] * 12)[: ID_BYTES_MAX - len(start)]
    placed = Hold(
        id=HoldId("hold_" + "x" * 22),
        what=holdable("instance", longest) if kind == "instance" else EVERYTHING,
        at=START,
        by="uid:1000",
    )
    flying = [INTEGER_MAX - one for one in range(IN_FLIGHT_NAMED_MAX + 50)]
    made = hold_placed(
        placed,
        at=START,
        sealing=sealing_for(bench.recorder, LOG_SUBJECT),
        by="p" * 22,
        person="",
        in_flight=flying,
    )
    assert len(made.leaf) <= LEAF_BYTES_MAX
    assert made.leaf.count(b"900719925474") == IN_FLIGHT_NAMED_MAX
