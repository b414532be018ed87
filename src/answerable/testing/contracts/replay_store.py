"""Contract suite of the ReplayStore port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from answerable.errors import Malformed
from answerable.testing.contracts.claims import claim, raises

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.replay_store import ReplayAnswer, ReplayStore

RACERS = 64
PARTITIONS_MAX = 4
USES_MAX = 8
"""Limits of the store in these tests."""
START = 1_000.0


def partition(number: int) -> bytes:
    """Return the partition of a numbered owner."""
    return number.to_bytes(32, "big")


def digest(number: int) -> bytes:
    """Return a numbered digest. All of them overlap with their neighbours, to detect a search that matches across
    entries."""
    return b"\1" * 14 + number.to_bytes(2, "big")


def used(
    store: ReplayStore, number: int = 1, *, by: int = 1, until: float = START + 60, at: float = START
) -> ReplayAnswer:
    """Accept one use."""
    return store.accept(partition(by), digest(number), until=until, at=at)


class ReplayStoreContract:
    """Contract cases for any store. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> ReplayStore:
        """Open a store of PARTITIONS_MAX partitions with USES_MAX uses each."""
        raise NotImplementedError

    def test_a_use_is_new_once_until_its_time_has_passed(self, tmp_path: Path) -> None:
        store = self.opened(tmp_path)
        claim(used(store) == "new", "the first is new")
        for at in (START, START + 30, START + 59.999):
            claim(
                used(store, until=START + 200, at=at) == "seen",
                "every other is seen, until whenever it would be",
            )
        claim(
            used(store, until=START + 200, at=START + 60) == "new",
            "once its time has passed it may come back",
        )

    def test_uses_of_others_and_other_uses_are_no_obstacle(self, tmp_path: Path) -> None:
        store = self.opened(tmp_path)
        for by in (1, 2):
            for number in (1, 256, 257, 65_535):
                claim(used(store, number, by=by) == "new", "each is a use of its own")
                claim(used(store, number, by=by) == "seen", "which is remembered")

    def test_who_fills_its_own_room_is_refused_alone_and_only_for_a_time(self, tmp_path: Path) -> None:
        store = self.opened(tmp_path)
        for number in range(USES_MAX):
            claim(used(store, number, until=START + 60 + number) == "new", "there is room")
        claim(used(store, USES_MAX) == "full", "now there is none")
        claim(used(store, 0) == "seen", "what was used stays so")
        claim(used(store, USES_MAX, by=2) == "new", "another has room of its own")
        at = START + 61
        claim(used(store, 100, until=at + 60, at=at) == "new", "what has passed makes room")
        claim(used(store, 101, until=at + 60, at=at) == "new", "for as many as have passed")
        claim(used(store, 102, until=at + 60, at=at) == "full", "and no more")

    def test_a_room_goes_round_many_times_and_forgets_nothing_before_its_time(self, tmp_path: Path) -> None:
        store = self.opened(tmp_path)
        for number in range(20 * USES_MAX):
            at = START + number
            claim(used(store, number, until=at + USES_MAX, at=at) == "new", "each is new")
            for earlier in range(max(0, number - USES_MAX + 1), number + 1):
                claim(used(store, earlier, until=at + USES_MAX, at=at) == "seen", "those before it are seen")

    def test_who_comes_late_finds_nothing_forgotten(self, tmp_path: Path) -> None:
        store = self.opened(tmp_path)
        claim(used(store, 1, until=START + 5, at=START) == "new", "accepted")
        for number in range(2, USES_MAX + 4):
            claim(
                used(store, number, until=START + 99, at=START + 6) in ("new", "full"),
                "time goes on, room is made",
            )
        claim(
            used(store, 1, until=START + 5, at=START) == "seen",
            "one that read its clock before and asks only now is not told that it is the first",
        )
        claim(used(store, 50, until=START + 6, at=START + 6) == "seen", "what has ended already is never new")

    def test_partitions_are_bounded_until_one_stands_empty(self, tmp_path: Path) -> None:
        store = self.opened(tmp_path)
        for by in range(1, PARTITIONS_MAX + 1):
            claim(used(store, by=by, until=START + 50 + by) == "new", "there is room")
        claim(used(store, by=PARTITIONS_MAX + 1) == "full", "there is none for one more")
        for by in range(1, PARTITIONS_MAX + 1):
            claim(used(store, 2, by=by, until=START + 50 + by) == "new", "those that are there go on")
        at = START + 52
        claim(used(store, by=9, until=at + 60, at=at) == "new", "the first has passed and makes room")
        claim(used(store, by=10, until=at + 60, at=at) == "new", "the second, too")
        claim(used(store, by=11, until=at + 60, at=at) == "full", "the third has not")
        claim(used(store, 3, by=3, until=at + 60, at=at) == "new", "and has its room")
        claim(used(store, 2, by=3, until=at + 60, at=at) == "seen", "with all that was in it")
        at = START + 120
        claim(used(store, 4, by=1, until=at + 9, at=at) == "new", "who lost its room gets another")
        claim(
            used(store, 1, by=1, until=START + 51, at=START) == "seen",
            "and what it had used is not new there",
        )

    def test_who_lost_its_room_and_comes_late_finds_nothing_forgotten(self, tmp_path: Path) -> None:
        store = self.opened(tmp_path)
        claim(used(store, by=1, until=START + 50) == "new", "accepted")
        for by in range(2, PARTITIONS_MAX + 1):
            claim(used(store, by=by, until=START + 10) == "new", "and all others have their rooms")
        at = START + 51
        claim(used(store, by=9, until=at + 99, at=at) == "new", "another gets the room")
        claim(
            used(store, by=1, until=START + 50, at=START + 11) == "seen",
            "in the next room it is not new either",
        )

    def test_bytes_of_another_length_are_refused(self, tmp_path: Path) -> None:
        store = self.opened(tmp_path)
        for whose, which in (
            (b"", digest(1)),
            (partition(1) + b"\0", digest(1)),
            (partition(1), digest(1)[1:]),
        ):
            with raises(Malformed, "replay.limits", "a digest is whole"):
                store.accept(whose, which, until=START + 60, at=START)

    def test_the_epoch_is_secret_bytes_that_another_store_has_not(self, tmp_path: Path) -> None:
        first, second = self.opened(tmp_path / "a"), self.opened(tmp_path / "b")
        claim(len(first.epoch) == len(second.epoch) == 32, "32 bytes")
        claim(first.epoch != second.epoch, "of its own")
        claim(first.epoch == first.epoch, "which stay while it is open")

    def test_a_store_says_since_when_it_remembers(self, tmp_path: Path) -> None:
        """The store is opened at START."""
        store = self.opened(tmp_path)
        claim(store.since == START, "since it was made")
        used(store)
        claim(store.since == START, "whatever it accepts")

    def test_of_64_racing_threads_one_is_the_first(self, tmp_path: Path) -> None:
        store = self.opened(tmp_path)
        told: list[str] = []
        barrier = threading.Barrier(RACERS)

        def race() -> None:
            barrier.wait()
            told.append(used(store))

        racers = [threading.Thread(target=race) for _ in range(RACERS)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        claim(sorted(told) == ["new"] + ["seen"] * (RACERS - 1), "exactly one")


class SharedReplayStoreContract(ReplayStoreContract):
    """Contract cases for stores that processes share: opening again in the same directory is another process."""

    def test_what_one_process_accepted_the_other_has_seen(self, tmp_path: Path) -> None:
        ours, theirs = self.opened(tmp_path), self.opened(tmp_path)
        claim(ours.epoch == theirs.epoch, "they make the same nonces")
        for number in range(USES_MAX):
            one, other = (ours, theirs) if number % 2 else (theirs, ours)
            claim(used(one, number) == "new", "accepted by one")
            claim(used(other, number) == "seen", "is seen by the other")
        claim(used(ours, 99) == used(theirs, 99) == "full", "the room is one room")

    def test_a_room_that_was_given_away_is_not_written_to_by_who_had_it(self, tmp_path: Path) -> None:
        ours, theirs = self.opened(tmp_path), self.opened(tmp_path)
        for by in range(1, PARTITIONS_MAX + 1):
            claim(used(ours, by=by, until=START + 5) == "new", "all rooms are given out")
        at = START + 6
        claim(used(theirs, by=9, until=at + 60, at=at) == "new", "another process gives one of them away")
        claim(used(ours, 7, by=1, until=at + 60, at=at) == "new", "its owner gets another")
        claim(used(theirs, 7, by=1, until=at + 60, at=at) == "seen", "which all find")
        claim(used(theirs, 7, by=9, until=at + 60, at=at) == "new", "and no use of it is another's")
