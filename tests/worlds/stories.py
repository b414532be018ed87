"""The story of a name, by an index that is made for it, of any log that is at hand."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from answerable.adapters.sqlite.search_index import SqliteSearchIndex
from answerable.core.search.blind import BlindKey
from answerable.core.search.names import parsed_names
from answerable.errors import Refused
from answerable.flows.forensics.search_ledger import catch_up
from answerable.flows.forensics.tell_hits import story_answer
from answerable.flows.forensics.tell_story import StoryTeller
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.testing.builders import Bench
from tests.worlds.searched import ROOT

if TYPE_CHECKING:
    from answerable.api.ledger_answers import TimelineLine
    from answerable.api.search_answers import StoryAnswer
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.flows.state.parts import Recorder
    from answerable.ports.stored_log import LogSnapshot

Told = Callable[..., "StoryAnswer"]


async def told_bench() -> Bench:
    """One approved refund, one read, one refusal, another mandate's read, and the end of the first mandate."""
    bench = await Bench().registered()
    await bench.issue("m-1")
    await bench.issue("m-2", agent="rover")
    asked = (await bench.refund(6000)).approval
    assert asked is not None
    await bench.answer(asked, comment="the customer is right")
    await bench.refund(6000)
    await bench.act()
    await bench.act(mandate="m-2", agent="rover")
    with pytest.raises(Refused):
        await bench.refund(2_000_000)
    await close_mandate(bench.recorder, bench.authority, bench.live, "m-1", by="alice")
    return bench


@contextmanager
def teller_of(
    recorder: Recorder, *, with_keys: bool = True, entries: Sequence[StoredEntry] | None = None
) -> Iterator[StoryTeller]:
    """What tells stories of this log, as far as it is now. entries: in the place of those that it has."""
    log: LogSnapshot = recorder.ledger if entries is None else Entries(recorder.ledger.origin, entries)
    with teller_over(log, recorder.subject_keys.find if with_keys else None) as teller:
        yield teller


@contextmanager
def teller_over(log: LogSnapshot, find: FindKey | None = None) -> Iterator[StoryTeller]:
    """What tells stories of a log. find: None for its leaves alone."""
    with tempfile.TemporaryDirectory() as place:
        blind = BlindKey(ROOT) if find is not None else None
        index = SqliteSearchIndex.open(Path(place), origin=log.origin, blind=blind, stretch_entries=16)
        catch_up(index, log, find or _nothing)
        yield StoryTeller(index, log, find or _nothing)
        index.close()


@dataclass(frozen=True)
class Entries:
    """A log of these entries, of which some may be missing. Implements ports.stored_log.LogSnapshot."""

    origin: str
    entries: Sequence[StoredEntry]

    @property
    def size(self) -> int:
        return self.entries[-1].index + 1

    def replay(self, start: int = 0) -> Iterator[StoredEntry]:
        return (one for one in self.entries if one.index >= start)

    def entry(self, index: int) -> StoredEntry:
        return next(self.replay(index))


@contextmanager
def told_of(recorder: Recorder, *, with_keys: bool = True) -> Iterator[Told]:
    """What `answerable timeline` answers to words, of this log as far as it is now."""
    with teller_of(recorder, with_keys=with_keys) as teller:

        def told(*words: str, limit: int = 1_000) -> StoryAnswer:
            return story_answer(" ".join(words), teller.story(parsed_names(words, now=0), limit=limit))

        yield told


def lines_of(recorder: Recorder, *words: str) -> tuple[TimelineLine, ...]:
    """The entries of one story."""
    with told_of(recorder) as told:
        return told(*words).lines


def _nothing(key_id: bytes) -> None:
    return None


def texts(answer: StoryAnswer) -> str:
    """All that is said of entries."""
    return "\n".join(text for one in answer.lines for text in (one.text, *one.details))
