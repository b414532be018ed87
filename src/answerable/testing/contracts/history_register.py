"""Contract suite of the HistoryRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.decision.history import HistoryState
from answerable.core.decision.tally import Blind, Steps, Tally, decoded
from answerable.testing.contracts.claims import claim

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from answerable.core.decision.history import Place
    from answerable.core.decision.tally import Kept
    from answerable.ports.history_register import HistoryRegister

HERE, THERE = "log.example/a", "log.example/b"
REFUNDS, READS = "aa" * 32, "bb" * 32
TALLY: Final = Tally((7, 9), (1, 2**53 - 1), 2**53)
STEPS: Final = Steps((4, 4, -1), 9)
BLIND: Final = Blind(11, "fields")


def state(
    entries: int,
    places: Mapping[Place, Kept | None],
    *,
    trackers: Iterable[str] = (REFUNDS, READS),
    fresh: Iterable[str] = (),
) -> HistoryState:
    """Return the changes up to an entry."""
    return HistoryState(entries=entries, trackers=frozenset(trackers), fresh=frozenset(fresh), places=places)


class HistoryRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> HistoryRegister:
        """Open a register that stores its state, if at all, in that directory; opening again is a restart."""
        raise NotImplementedError

    def test_what_was_kept_is_found_by_log_and_as_it_was(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(not register.kept(HERE).entries, "nothing was kept at first")
        claim(not register.kept(HERE).places, "no state either")
        places: dict[Place, Kept] = {
            (REFUNDS, "scout", ""): TALLY,
            (READS, "m-1", "0f" * 16): STEPS,
            (READS, "m-1", "?"): BLIND,
        }
        register.keep(HERE, state(12, places))
        found = register.kept(HERE)
        claim(found.entries == {REFUNDS: 12, READS: 12}, "each tracker is kept up to the same entry")
        claim(
            {place: decoded(text) for place, text in found.places.items()} == places, "every state is itself"
        )
        claim(not register.kept(THERE).entries, "another log has a history of its own")
        claim(not register.kept(THERE).places, "and none of this one's states")

    def test_what_is_kept_again_takes_the_place_of_what_was(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        here, there = (REFUNDS, "scout", ""), (REFUNDS, "rover", "")
        register.keep(HERE, state(12, {here: TALLY, there: TALLY}))
        later = TALLY.more(10, 5)
        register.keep(HERE, state(20, {here: later, there: None, (READS, "nobody", ""): None}))
        found = register.kept(HERE)
        claim(found.entries == {REFUNDS: 20, READS: 20}, "the later entry counts")
        claim(
            {place: decoded(text) for place, text in found.places.items()} == {here: later},
            "one state is later and the other is gone",
        )

    def test_of_a_tracker_that_is_no_more_or_counts_anew_nothing_is_left(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        refunds, reads = (REFUNDS, "scout", ""), (READS, "scout", "")
        register.keep(HERE, state(5, {refunds: TALLY, reads: TALLY}))
        register.keep(HERE, state(6, {}, trackers=(READS,)))
        found = register.kept(HERE)
        claim((found.entries, list(found.places)) == ({READS: 6}, [reads]), "only what is there is kept")
        register.keep(HERE, state(7, {(READS, "rover", ""): TALLY}, trackers=(READS,), fresh=(READS,)))
        found = register.kept(HERE)
        claim(list(found.places) == [(READS, "rover", "")], "what counts anew has nothing of before")
        register.keep(THERE, state(3, {reads: TALLY}))
        register.keep(HERE, state(8, {}, trackers=()))
        claim(not register.kept(HERE).entries, "no tracker, nothing kept")
        claim(len(register.kept(THERE).places) == 1, "and the other log is as it was")


class DurableHistoryRegisterContract(HistoryRegisterContract):
    """Contract cases for registers that persist their state."""

    def test_what_was_kept_is_there_after_a_restart(self, tmp_path: Path) -> None:
        place = (REFUNDS, "scout", "")
        self.opened(tmp_path).keep(HERE, state(12, {place: TALLY}))
        found = self.opened(tmp_path).kept(HERE)
        claim(found.entries[REFUNDS] == 12, "up to the same entry")
        claim(decoded(found.places[place]) == TALLY, "in the same state")
