"""The story of a name, by an index that is made for it, of any log that is at hand."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from answerable.adapters.sqlite.search_index import SqliteSearchIndex
from answerable.core.search.blind import BlindKey
from answerable.core.search.names import parsed_names
from answerable.flows.forensics.search_ledger import catch_up
from answerable.flows.forensics.tell_hits import story_answer
from answerable.flows.forensics.tell_story import StoryTeller
from tests.worlds.searched import ROOT

if TYPE_CHECKING:
    from answerable.api.search_answers import StoryAnswer
    from answerable.flows.state.parts import Recorder

Told = Callable[..., "StoryAnswer"]


@contextmanager
def teller_of(recorder: Recorder) -> Iterator[StoryTeller]:
    """What tells stories of this log, as far as it is now."""
    with tempfile.TemporaryDirectory() as place:
        find = recorder.subject_keys.find
        index = SqliteSearchIndex.open(
            Path(place), origin=recorder.ledger.origin, blind=BlindKey(ROOT), stretch_entries=16
        )
        catch_up(index, recorder.ledger, find)
        yield StoryTeller(index, recorder.ledger, find)
        index.close()


@contextmanager
def told_of(recorder: Recorder) -> Iterator[Told]:
    """What `answerable timeline` answers to words, of this log as far as it is now."""
    with teller_of(recorder) as teller:

        def told(*words: str, limit: int = 1_000) -> StoryAnswer:
            return story_answer(" ".join(words), teller.story(parsed_names(words, now=0), limit=limit))

        yield told


def texts(answer: StoryAnswer) -> str:
    """All that is said of entries."""
    return "\n".join(text for one in answer.lines for text in (one.text, *one.details))
