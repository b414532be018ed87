"""Join pages of several shards, each about its own log, into one in the order of time.

Laws: all pages together are every item once, in order, wherever a shard stops looking; a shard that could not be asked
keeps its place, and does not hold up the last page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from msgspec.structs import replace

from answerable.core.search.log_cursors import DONE, formatted
from answerable.core.search.query import Cursor, parsed_cursor
from answerable.flows.forensics.join_accounts import reaches
from answerable.flows.forensics.join_answers import union
from answerable.flows.forensics.tell_hits import millis
from answerable.ports.search_process import UnderAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from answerable.api.incident_answers import IncidentsAnswer
    from answerable.api.search_answers import SearchAnswer

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Paged(Protocol[T_co]):
    """A page of one log."""

    @property
    def items(self) -> Sequence[T_co]:
        """What is on it, in order."""
        ...

    @property
    def next(self) -> str:
        """The cursor of the page after this; empty for none."""
        ...


def joined_search(
    own: str,
    answers: Mapping[str, SearchAnswer],
    unread: Mapping[str, str],
    *,
    before: Mapping[str, str],
    limit: int,
) -> SearchAnswer:
    """Return one page, newest first.

    own: the shard whose process answers. answers: by shard, each from its cursor in `before` on; that of `own` is among
    them. unread: shards that could not be searched, with the reason.
    """
    taken, following = _page(answers, before, limit, lambda one: Cursor(millis(one.at), one.entry))
    return replace(
        answers[own],
        items=tuple(replace(one, shard=shard) for shard, one in taken),
        next=following,
        happened=any(one.happened for one in answers.values()),
        sealed=union(one.sealed for one in answers.values()),
        shards=reaches(own, answers),
        elsewhere=dict(unread),
    )


def joined_incidents(
    own: str,
    answers: Mapping[str, IncidentsAnswer],
    unread: Mapping[str, str],
    *,
    before: Mapping[str, str],
    limit: int,
) -> IncidentsAnswer:
    """Return one page, newest first. own, answers, unread, before: as for `joined_search`."""
    taken, following = _page(answers, before, limit, lambda one: Cursor(millis(one.opened_at), one.entry))
    return replace(
        answers[own],
        items=tuple(replace(one, shard=shard) for shard, one in taken),
        next=following,
        shards=reaches(own, answers),
        elsewhere=dict(unread),
    )


def joined_under(answers: Mapping[str, UnderAnswer], *, before: Mapping[str, str], limit: int) -> UnderAnswer:
    """Return one page, oldest first. answers, before: as for `joined_search`."""
    taken, following = _page(
        answers, before, limit, lambda one: Cursor(millis(one.at), one.index), oldest_first=True
    )
    return UnderAnswer(items=tuple(replace(one, shard=shard) for shard, one in taken), next=following)


def _page(
    answers: Mapping[str, Paged[T]],
    before: Mapping[str, str],
    limit: int,
    place: Callable[[T], Cursor],
    *,
    oldest_first: bool = False,
) -> tuple[list[tuple[str, T]], str]:
    """Return what is on one page, with its shards, and the cursor of the page after this.

    A page ends where a shard has looked no further, so that no later page has an item that belongs before.
    """
    sign = 1 if oldest_first else -1
    found = [(place(one), shard, one) for shard, answer in answers.items() for one in answer.items]
    found.sort(key=lambda one: (one[0].at, one[1], one[0].entry), reverse=not oldest_first)
    bounds = [sign * parsed_cursor(one.next).at for one in answers.values() if one.next]
    bound = min(bounds) if bounds else None
    whole = [one for one in found if bound is None or sign * one[0].at <= bound]
    taken = whole[:limit]
    last = sign * taken[-1][0].at if len(taken) < len(whole) else bound
    cursors = dict(before)
    for shard, answer in answers.items():
        told = [at for at, name, _ in taken if name == shard]
        if len(told) == len(answer.items):
            cursors[shard] = answer.next or DONE
        elif told:
            cursors[shard] = told[-1].formatted()
        elif last is not None:
            # What belongs before the end of the page would be told by none of the next ones.
            cursors.setdefault(shard, Cursor(max(0, sign * (last - 1)), 0).formatted())
    is_done = all(cursors[shard] == DONE for shard in answers)
    return [(shard, one) for _, shard, one in taken], "" if is_done else formatted(cursors)
