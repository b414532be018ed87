"""Pieces of a window, and what a history gives out to be kept."""

from __future__ import annotations

import pytest

from answerable.core.canonical import INTEGER_MAX
from answerable.core.decision.counter import Event
from answerable.core.decision.history import UNKEPT_ENTRIES_MAX, History, UnknownHistory
from answerable.core.decision.tally import NEVER, PIECES, Blind, Steps, Tally, oldest_inside, piece_of
from answerable.core.registry.documents.policy_parts import EventMatch, Tracker

MINUTE = 60_000
FAILED = EventMatch(event="failed")
TRACKER = Tracker(name="t", over="agent", matches=(FAILED,), within_seconds=60)
OTHER = Tracker(name="other", over="agent", matches=(EventMatch(event="denied"),), within_seconds=60)


def event(at, **more):
    said = {
        "event": "failed",
        "at": at,
        "agent": "scout",
        "mandate": "m-1",
        "capability": "crm.read",
        "server": "crm",
        "nature": ("read", "production", "public"),
        "resource": "ab",
        "arguments": {},
    }
    return Event(**said | more)


def value(history, now):
    found = history.values(agent="scout", mandate="m-1", resource="ab", now=now)
    return found if isinstance(found, UnknownHistory) else found["t"]


@pytest.mark.requirement("HIST-01")
def test_the_oldest_piece_counts_while_any_of_it_is_inside_and_no_longer():
    history = History([TRACKER])
    history.happened(event(10 * MINUTE))
    # In a window of a minute a piece is a second.
    assert value(history, 11 * MINUTE) == 1
    assert value(history, 11 * MINUTE + 999) == 1
    assert value(history, 11 * MINUTE + 1_000) == 0
    history.happened(event(11 * MINUTE + 999))
    assert value(history, 11 * MINUTE + 999) == 2
    history.happened(event(11 * MINUTE + 1_000))
    assert value(history, 11 * MINUTE + 1_000) == 2


@pytest.mark.requirement("HIST-01", "HIST-09")
def test_a_window_has_sixty_pieces_and_one_that_is_leaving():
    tally = Tally((0,), (1,), 1)
    for piece in range(1, 500):
        tally = tally.more(piece, 1)
        assert tally.total == sum(tally.amounts) == min(piece, PIECES) + 1
    assert len(tally.pieces) == PIECES + 1
    assert (piece_of(5_999, 6_000), piece_of(6_000, 6_000), piece_of(10**15, 0)) == (59, 60, 0)
    assert (oldest_inside(5_000, 6_000), oldest_inside(12_000, 6_000), oldest_inside(9, 0)) == (0, 60, 0)


@pytest.mark.requirement("HIST-01")
def test_numbers_end_where_json_readers_do_and_come_back_when_the_large_ones_leave():
    tally = Tally((1,), (INTEGER_MAX,), INTEGER_MAX).more(1, 5).more(2, 7)
    assert tally.value(0) == INTEGER_MAX
    assert tally.value(2) == 7
    assert tally.value(0, [INTEGER_MAX]) == INTEGER_MAX
    assert tally.value(2, [1, 2]) == 10


@pytest.mark.requirement("HIST-02")
def test_what_happens_while_the_clock_is_behind_leaves_no_earlier_than_what_happened_before():
    assert Tally((70,), (1,), 1).more(9, 1).value(70) == 2
    steps = Steps((NEVER, NEVER), 70).more(9, (0,)).more(10, (1,))
    assert steps.value(70) == 2
    assert steps.value(71) == 0
    assert steps.newest == 70


@pytest.mark.requirement("HIST-02")
def test_at_a_start_nothing_is_later_than_now():
    assert Tally((3, 7, 9), (1, 2, 4), 7).until(7) == Tally((3, 7), (1, 6), 7)
    assert Tally((3, 7, 9), (1, 2, 4), 7).until(5) == Tally((3, 5), (1, 6), 7)
    assert Tally((3, 7), (1, INTEGER_MAX), INTEGER_MAX + 1).until(2) == Tally(
        (2,), (INTEGER_MAX,), INTEGER_MAX
    )
    assert Steps((9, 3, NEVER), 9).until(7) == Steps((7, 3, NEVER), 7)
    assert Blind(9, "fields").until(7) == Blind(7, "fields")
    for kept in (Tally((3,), (1,), 1), Steps((3,), 3), Blind(3, "resources")):
        assert kept.until(3) is kept


@pytest.mark.requirement("HIST-06")
def test_what_was_to_be_kept_when_trackers_changed_is_due_again_and_takes_the_place_of_all_that_was():
    history = History([TRACKER])
    history.placed(event(MINUTE), 4)
    state = history.due(5)
    assert state is not None
    assert state.fresh == state.trackers
    reading = history.read_back([OTHER])
    history.adopt([TRACKER, OTHER], reading)
    again = history.due(5)
    assert again is not None
    assert again.places == state.places
    assert again.fresh == again.trackers
    assert again.trackers > state.trackers
    # That the first one was kept after all is no reason to leave the second one out.
    history.kept(state)
    assert history.due(5) is again
    history.kept(again)
    history.placed(event(MINUTE), 5)
    after = history.due(6)
    assert after is not None
    assert not after.fresh


@pytest.mark.requirement("HIST-06")
def test_entries_that_nobody_counts_move_on_from_where_a_start_reads():
    history = History([TRACKER])
    history.placed(event(MINUTE), 4)
    state = history.due(9)
    assert state is not None
    assert state.entries == 9
    history.kept(state)
    assert history.due(8 + UNKEPT_ENTRIES_MAX) is None
    moved = history.due(9 + UNKEPT_ENTRIES_MAX)
    assert moved is not None
    assert (moved.entries, moved.places) == (9 + UNKEPT_ENTRIES_MAX, {})
    assert History().due(10 * UNKEPT_ENTRIES_MAX) is None


@pytest.mark.requirement("HIST-05")
def test_what_may_be_missing_is_named_and_ends_when_it_would_be_out_of_the_window():
    history = History(
        [TRACKER, Tracker(name="sum", over="agent", matches=(FAILED,), sum="n", within_seconds=60)]
    )
    history.happened(event(MINUTE, arguments=None))
    found = value(history, MINUTE)
    assert isinstance(found, UnknownHistory)
    assert "tracker `sum` has no value: entries that count for it can no longer be read" in found.text()
    assert value(history, 2 * MINUTE + 1_000) == 0
