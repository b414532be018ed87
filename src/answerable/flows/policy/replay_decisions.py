"""Replay the ledger's decisions and compare them: one entry range per call, in short turns beside actions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel
from anyio import from_thread, to_thread

from answerable.verify.citation_index import StatedBefore
from answerable.verify.decision_replay import DECIDED, Replay, replay_all
from answerable.verify.ledger_replay import WHOLE_EVERY, decision_entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.flows.state.parts import Recorder
    from answerable.flows.state.policy_desk import AskedAgain
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger
    from answerable.verify.citation_index import StatedPlaces
    from answerable.verify.replayed import Replayed, Verdict

ENTRIES_MAX: Final = 20_000
"""Entries of one range."""
STRETCH_SECONDS_MAX: Final = 0.5
AT_ONCE: Final = 24
"""Decisions evaluated in one turn, in a thread: about 3 ms."""
REST_SECONDS: Final = 0.001
"""Pause between two turns for other tasks of this process."""
READ_AT_ONCE: Final = 256
"""Entries read in one turn without decisions."""
TOLD_MAX: Final = 200
"""Decisions of one range that are listed: those that are not the same."""
TOLD: Final[tuple[Verdict, ...]] = ("differs", "cannot_tell")


@dataclass(slots=True, kw_only=True)
class Stretch:
    """The result for one entry range.

    `start`, `end`: first entry evaluated, and first entry not evaluated. `size`: of the ledger. `reading`: earlier
    entries are still being read and nothing was evaluated; call again from `end`. `counts`: by verdict.
    """

    start: int
    end: int
    size: int
    reading: bool = False
    counts: Counter[Verdict] = field(default_factory=Counter)
    told: list[Replayed] = field(default_factory=list)

    def take(self, found: Sequence[Replayed]) -> None:
        """Count replayed decisions, and list those that are not the same."""
        self.counts.update(one.verdict for one in found)
        self.told += [one for one in found if one.verdict in TOLD][: TOLD_MAX - len(self.told)]


async def replay_decisions(
    recorder: Recorder,
    asked: AskedAgain,
    *,
    start: int = 0,
    stop: int | None = None,
    entries: int = ENTRIES_MAX,
) -> Stretch:
    """Replay the decisions from entry `start` on, for at most `STRETCH_SECONDS_MAX` seconds and `entries` entries.

    `stop`: first entry not replayed. `asked`: state of the replay of this log, the same for every call. Raises
    Unavailable, and Broken (`ledger.*`).
    """
    size = recorder.ledger.size
    stop = min(size, size if stop is None else stop, start + min(entries, ENTRIES_MAX))
    stretch = Stretch(start=start, end=start, size=size)
    ends_at = recorder.clock.monotonic() + STRETCH_SECONDS_MAX
    async with asked.turn:
        # 1. Read everything before `start`, once in the life of a process.
        stretch.reading = not await _read_to(
            recorder.ledger, recorder.clock, asked.places, min(start, size), ends_at
        )
        if stretch.reading:
            return stretch
        # 2. From there on, statements that decisions refer to come before the decisions.
        before = StatedBefore(
            asked.places,
            lambda index: from_thread.run_sync(recorder.ledger.entry, index),
            recorder.subject_keys.find,
        )
        for decisions, end in _turns(recorder.ledger, asked.places, start, stop):
            if decisions:
                found = await to_thread.run_sync(
                    partial(_asked_again, decisions, before, recorder.subject_keys.find, asked.count)
                )
                asked.count += len(found)
                stretch.take(found)
            stretch.end = end
            await anyio.sleep(REST_SECONDS)
            if recorder.clock.monotonic() >= ends_at:
                break
    return stretch


async def _read_to(ledger: Ledger, clock: Clock, places: StatedPlaces, start: int, ends_at: float) -> bool:
    """Read entries up to `start` until the time is up. Return whether all are read."""
    if places.read_to >= start:
        return True
    for stored in ledger.replay(places.read_to):
        places.note(stored)
        if places.read_to >= start:
            return True
        if stored.index % READ_AT_ONCE == 0:
            await anyio.lowlevel.checkpoint()
            if clock.monotonic() >= ends_at:
                break
    return places.read_to >= start


def _turns(
    ledger: Ledger, places: StatedPlaces, start: int, stop: int
) -> Iterator[tuple[list[StoredEntry], int]]:
    """Yield the decisions of each turn, and the first entry after the turn."""
    decisions: list[StoredEntry] = []
    if start >= stop:
        return
    for stored in ledger.replay(start):
        places.note(stored)
        if stored.tag in DECIDED:
            decisions.append(stored)
        end = stored.index + 1
        if len(decisions) >= AT_ONCE or end % READ_AT_ONCE == 0 or end >= stop:
            yield decisions, end
            decisions = []
        if end >= stop:
            return


def _asked_again(
    decisions: Sequence[StoredEntry], before: StatedBefore, find: FindKey, count: int
) -> list[Replayed]:
    replays = []
    for number, stored in enumerate(decisions, count):
        entry = decision_entry(stored, find)
        leaf, index = entry.leaf, stored.index
        under = before.policy_set(leaf, index), before.mandate(leaf, index), before.hops(leaf, index)
        replays.append(Replay(entry, *under, whole=number % WHOLE_EVERY == 0))
    return replay_all(replays)
