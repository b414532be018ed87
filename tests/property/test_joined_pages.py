"""Pages of several shards, joined: nothing is left out, told twice or out of order, wherever a shard stops looking."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.api.search_answers import SearchAnswer, SearchHit
from answerable.core.search.query import Cursor, parsed_cursor
from answerable.errors.codes.search import SEARCH_UNREACHABLE
from answerable.ports.search_process import SEARCH, Question
from answerable.wiring.joined_index import JoinedIndex
from answerable.wiring.log_index import LogIndex

# Times of entries by shard: few of them, so that many are alike.
LOGS = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), st.lists(st.integers(1, 12), max_size=12).map(sorted), min_size=1
)


def hit(at: int, entry: int) -> SearchHit:
    instant = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    texts = dict.fromkeys([name for name, kind in SearchHit.__annotations__.items() if kind == "str"], "")
    rest = dict.fromkeys(set(SearchHit.__struct_fields__) - texts.keys(), None)
    return SearchHit(**(rest | texts | {"at": instant, "entry": entry}))


def page(times: list[int], cursor: str, *, limit: int, looks: int) -> SearchAnswer:
    """What one log answers. looks: how many entries it opens at most, of which every second one matches."""
    after = parsed_cursor(cursor) if cursor else Cursor(10**9, 0)
    every = sorted(((at, entry) for entry, at in enumerate(times)), reverse=True)
    left = [one for one in every if one < after]
    seen = left[:looks]
    found = [one for one in seen if one[1] % 2 == 0][:limit]
    if len(found) == limit and any(one[1] % 2 == 0 for one in seen if one < found[-1]):
        following = Cursor(*found[-1]).formatted()
    else:
        following = Cursor(*seen[-1]).formatted() if len(left) > looks else ""
    return SearchAnswer(
        items=tuple(hit(*one) for one in found),
        next=following,
        log="",
        entries=len(times),
        missing=0,
        shards=(),
        elsewhere={},
        complete_at=None,
        happened=bool(times),
        sealed=(),
    )


class Log:
    """A shard that answers searches alone."""

    def __init__(self, times: list[int], looks: int) -> None:
        self._times, self._looks = times, looks
        self.asked: list[int] = []

    def ask(self, _kind: object, question: Question) -> SearchAnswer:
        self.asked.append(question.entries)
        return page(self._times, question.cursor, limit=question.limit, looks=self._looks)


@pytest.mark.requirement("SEARCH-14")
@given(LOGS, st.sampled_from(["a", "b", "c"]), st.integers(1, 5), st.integers(1, 5))
def test_all_pages_together_are_every_hit_once_and_newest_first(
    logs: dict[str, list[int]], own: str, limit: int, looks: int
) -> None:
    made = {shard: cast("LogIndex", Log(times, looks)) for shard, times in ({own: []} | logs).items()}
    index = JoinedIndex(made.pop(own), own, lambda: made)
    told: list[tuple[str, str, int]] = []
    cursor, pages = "", 0
    while pages == 0 or cursor:
        answer = index.ask(SEARCH, Question(words=(), limit=limit, cursor=cursor, entries=0))
        told += [(one.at, one.shard if made else own, one.entry) for one in answer.items]
        assert len(answer.items) <= limit
        cursor, pages = answer.next, pages + 1
        assert pages <= 100
    every = [
        (hit(at, entry).at, shard, entry)
        for shard, times in logs.items()
        for entry, at in enumerate(times)
        if entry % 2 == 0
    ]
    assert sorted(told) == sorted(every)
    assert [at for at, _, _ in told] == sorted((at for at, _, _ in told), reverse=True)


class Gone(Log):
    """One that gives no answer."""

    def ask(self, _kind: object, question: Question) -> SearchAnswer:
        raise SEARCH_UNREACHABLE()


@pytest.mark.requirement("SEARCH-14")
def test_a_shard_is_asked_for_the_entries_of_its_own_log_and_one_that_is_gone_ends_no_last_page() -> None:
    own, other = Log([1, 2, 3], 9), Log([1], 9)
    index = JoinedIndex(cast("LogIndex", own), "a", lambda: {"b": cast("LogIndex", other)})
    first = index.ask(SEARCH, Question(words=(), limit=1, cursor="", entries=3))
    assert (own.asked, other.asked) == ([3], [0])
    assert first.next
    away = JoinedIndex(cast("LogIndex", own), "a", lambda: {"b": cast("LogIndex", Gone([], 9))})
    last = away.ask(SEARCH, Question(words=(), limit=9, cursor=first.next, entries=3))
    assert [*last.elsewhere] == ["b"]
    assert last.next == ""
