"""Contract suite of the Epochs port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.ports.worlds import ANYTHING, SCOPES_KEPT_MAX, ChangeScope, Epoch
from answerable.testing.contracts.claims import claim

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.worlds import Epochs

SCOUT = ChangeScope("agent/scout")
ROVER = ChangeScope("agent/rover")


class EpochsContract:
    """Contract cases for any epochs. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> Epochs:
        """Open epochs of registers stored in that directory; opening again is another process."""
        raise NotImplementedError

    def test_the_number_stays_while_nothing_changes_and_each_change_makes_it_another(
        self, tmp_path: Path
    ) -> None:
        epochs = self.opened(tmp_path)
        seen = [epochs.epoch()]
        claim(epochs.epoch() == seen[0], "it stays")
        claim(epochs.reread() == seen[0], "also where the registers are read again")
        for _ in range(3):
            epochs.change(frozenset({SCOUT}))
            seen.append(epochs.epoch())
        claim(len({*seen}) == len(seen), "no two are the same")

    def test_what_was_hit_since_is_told(self, tmp_path: Path) -> None:
        epochs = self.opened(tmp_path)
        first = epochs.epoch()
        epochs.change(frozenset({SCOUT}))
        second = epochs.epoch()
        epochs.change(frozenset({ROVER}))
        third = epochs.epoch()
        claim(epochs.changed(first) == frozenset({SCOUT, ROVER}), "by both changes")
        claim(epochs.changed(second) == frozenset({ROVER}), "by the later one")
        claim(epochs.changed(third) == frozenset(), "by none")

    def test_where_it_is_not_known_what_was_hit_anything_was(self, tmp_path: Path) -> None:
        epochs = self.opened(tmp_path)
        first = epochs.epoch()
        epochs.change(frozenset({SCOUT, ANYTHING}))
        claim(epochs.changed(first) is None, "one of them may hit anything")
        for _ in range(SCOPES_KEPT_MAX):
            epochs.change(frozenset({ROVER}))
        claim(epochs.changed(first) is None, "and so may one that is not kept any more")
        claim(epochs.changed(Epoch(epochs.epoch() + 1)) is None, "and one that was never given")
