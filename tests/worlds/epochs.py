"""Other epochs in the place of those of a bench, where a test says what happens at a look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.flows.walk.known_worlds import KnownWorlds

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.ports.worlds import ChangeScope, Epoch, Epochs
    from answerable.wiring.walk import Walk


class LookedAround:
    """Port Epochs. Those of the registers; others act right `before` each look at them, or right `after` it."""

    def __init__(self, real: Epochs) -> None:
        self._real = real
        self.before: Callable[[], object] = lambda: None
        self.after: Callable[[Epoch], object] = lambda _epoch: None

    def epoch(self) -> Epoch:
        self.before()
        found = self._real.epoch()
        self.after(found)
        return found

    def reread(self) -> Epoch:
        return self._real.reread()

    def changed(self, since: Epoch) -> frozenset[ChangeScope] | None:
        return self._real.changed(since)

    def change(self, scopes: frozenset[ChangeScope]) -> None:
        self._real.change(scopes)


class Still:
    """Port Epochs. Broken: they stay what they were, whatever changes."""

    def __init__(self, epoch: Epoch) -> None:
        self._epoch = epoch

    def epoch(self) -> Epoch:
        return self._epoch

    def reread(self) -> Epoch:
        return self._epoch

    def changed(self, since: Epoch) -> frozenset[ChangeScope] | None:
        return frozenset()

    def change(self, scopes: frozenset[ChangeScope]) -> None:
        pass


def put_epochs(walk: Walk, epochs: Epochs) -> None:
    """From now on the worlds of this walk are those of these epochs. For them everything is new, as at a start."""
    verification = walk.verification
    verification.epochs = epochs
    verification.worlds = KnownWorlds(walk.recorder, walk.authority, walk.deciding, verification)


def look_around(walk: Walk) -> LookedAround:
    """Put such epochs into a walk; before it makes the plans that it is to keep."""
    epochs = LookedAround(walk.verification.epochs)
    put_epochs(walk, epochs)
    return epochs
