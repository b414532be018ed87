"""Join the answers of several shards, each about its own log, into one.

Laws: an entry of a shard is told with the name of the shard, since each log counts its own; what is joined does not
depend on the order of the answers; numbers are added, and what only one log can say of itself stays its own.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from msgspec.structs import replace

from answerable.api.search_answers import NameBeside, NameOf, StoryGist
from answerable.core.search.names import ENTRY
from answerable.core.search.scope import BY, OF_ALL, share_of
from answerable.flows.forensics.count_scope import EXAMPLES
from answerable.flows.forensics.describe_name import EVENTS, LISTED
from answerable.flows.forensics.join_accounts import joined_rows, reaches
from answerable.flows.forensics.tell_hits import address, millis

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from answerable.api.ledger_answers import TimelineLine
    from answerable.api.search_answers import (
        NameAnswer,
        Naming,
        ScopeAnswer,
        ScopeRow,
        StoryAnswer,
    )
    from answerable.ports.search_process import TotalsAnswer


def joined_story(own: str, answers: Mapping[str, StoryAnswer], unread: Mapping[str, str]) -> StoryAnswer:
    """Return one story, oldest first. own: the shard whose process
    answers. answers: by shard, that of `own` among them. unread: shards that could not be asked, with the reason."""
    lines = [_of(shard, line) for shard, answer in answers.items() for line in answer.lines]
    groups = [
        replace(group, line=_of(shard, group.line)) for shard, one in answers.items() for group in one.groups
    ]
    return replace(
        answers[own],
        kinds=union(one.kinds for one in answers.values()),
        also=_besides(answers.values()),
        accounts=joined_rows(own, {shard: one.accounts for shard, one in answers.items()}),
        gist=_gist({shard: one.gist for shard, one in answers.items()}),
        lines=tuple(sorted(lines, key=_when)),
        groups=tuple(sorted(groups, key=lambda one: _when(one.line))),
        is_cut=any(one.is_cut for one in answers.values()),
        happened=any(one.happened for one in answers.values()),
        sealed=union(one.sealed for one in answers.values()),
        shards=reaches(own, answers),
        elsewhere=dict(unread),
    )


def joined_name(own: str, answers: Mapping[str, NameAnswer], unread: Mapping[str, str]) -> NameAnswer:
    """Return what a name stands for: what it is in any shard. own, answers, unread: as for `joined_story`."""
    namings = (_naming(shard, naming) for shard, one in answers.items() for naming in one.may_be)
    may_be = {(naming.kind, naming.name): naming for naming in namings}
    known = {shard: one for shard, one in answers.items() if len(may_be) == 1 and len(one.may_be) == 1}
    events = [_of(shard, line) for shard, one in known.items() for line in one.events]
    newest = [replace(hit, shard=shard) for shard, one in known.items() for hit in one.newest]
    newest.sort(key=lambda one: (millis(one.at), one.shard, one.entry), reverse=True)
    firsts = [one.first_at for one in known.values() if one.first_at is not None]
    lasts = [one.last_at for one in known.values() if one.last_at is not None]
    return replace(
        answers[own],
        may_be=tuple(may_be.values()),
        also=_besides(known.values()),
        accounts=joined_rows(own, {shard: one.accounts for shard, one in answers.items()}),
        named=sum(one.named for one in known.values()),
        first_at=min(firsts, key=millis, default=None),
        last_at=max(lasts, key=millis, default=None),
        outcomes=_sum(one.outcomes for one in known.values()),
        belongs=_belongs(known.values()),
        events=tuple(sorted(events, key=_when)[-EVENTS:]),
        newest=tuple(newest[:LISTED]),
        happened=any(one.happened for one in answers.values()),
        sealed=union(one.sealed for one in answers.values()),
        shards=reaches(own, answers),
        elsewhere=dict(unread),
    )


def joined_scope(
    own: str,
    answers: Mapping[str, ScopeAnswer],
    unread: Mapping[str, str],
    totals: Mapping[str, TotalsAnswer],
    *,
    rows: int,
) -> ScopeAnswer:
    """Return one count. own, answers, unread: as for `joined_story`; each answer has all of its rows. totals: what
    shards said of `names_lacking`. rows: of each table but that of weeks, the highest."""
    each = [*answers.values()]
    actions, outside = sum(one.actions for one in each), sum(one.outside for one in each)
    return replace(
        answers[own],
        actions=actions,
        outside=outside,
        share=share_of(outside, actions),
        limits=_sum(one.limits for one in each),
        by_policy=sum(one.by_policy for one in each),
        other=sum(one.other for one in each),
        unrecorded=sum(one.unrecorded for one in each),
        rows=tuple(
            _with_totals(one, totals.values())
            for _, table in _tables(each, rows=rows, actions=actions)
            for one in table
        ),
        happened=any(one.happened for one in each),
        shards=reaches(own, answers),
        elsewhere=dict(unread),
    )


def names_lacking(answers: Mapping[str, ScopeAnswer], *, rows: int) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return by shard and table the names of joined rows of which it told nothing. Weeks are told whole, and rules and
    codes are told of all actions."""
    lacking: dict[str, dict[str, tuple[str, ...]]] = {}
    asked = [(by, table) for by, table in _tables(answers.values(), rows=rows) if by not in {*OF_ALL, "week"}]
    for shard, answer in answers.items():
        told = {(row.by, row.name) for row in answer.rows}
        for by, table in asked:
            names = tuple(row.name for row in table if (by, row.name) not in told)
            if names:
                lacking.setdefault(shard, {})[by] = names
    return lacking


def _tables(
    answers: Iterable[ScopeAnswer], *, rows: int, actions: int = 0
) -> Iterator[tuple[str, list[ScopeRow]]]:
    """Return the rows by table. actions: all of them."""
    tables: dict[str, dict[str, list[ScopeRow]]] = {}
    for row in chain.from_iterable(one.rows for one in answers):
        tables.setdefault(row.by, {}).setdefault(row.name, []).append(row)
    for by in (one for one in BY if one in tables):
        table = [_scope_row(one, whole=actions if by in OF_ALL else None) for one in tables[by].values()]
        if by == "week":
            yield by, sorted(table, key=lambda one: one.name)
        else:
            yield by, sorted(table, key=lambda one: (-one.outside, one.name))[:rows]


def _with_totals(row: ScopeRow, totals: Iterable[TotalsAnswer]) -> ScopeRow:
    """Add the actions of the shards that have no row of this name."""
    actions = row.actions + sum(one.actions.get(row.by, {}).get(row.name, 0) for one in totals)
    return replace(row, actions=actions, share=share_of(row.outside, actions))


def _scope_row(rows: Sequence[ScopeRow], *, whole: int | None) -> ScopeRow:
    """Return rows with one name as one. whole: all actions, where the share is of all."""
    outside = sum(one.outside for one in rows)
    actions = sum(one.actions for one in rows) if whole is None else whole
    examples = [one for each in zip_longest(*(row.examples for row in rows)) for one in each if one]
    return replace(
        rows[0],
        outside=outside,
        actions=actions,
        share=share_of(outside, actions),
        limits=_sum(one.limits for one in rows),
        examples=tuple(examples[:EXAMPLES]),
    )


def _gist(gists: Mapping[str, StoryGist]) -> StoryGist:
    each = [*gists.values()]
    return StoryGist(
        agents=union(one.agents for one in each),
        people=union(one.people for one in each),
        tasks=union(one.tasks for one in each),
        outcomes=_sum(one.outcomes for one in each),
        rules=union(one.rules for one in each),
        approvals=union(one.approvals for one in each),
        not_reversible=tuple(
            address(shard, entry) for shard, one in gists.items() for entry in one.not_reversible
        ),
        not_readable=sum(one.not_readable for one in each),
    )


def _besides(answers: Iterable[StoryAnswer | NameAnswer]) -> tuple[NameBeside, ...]:
    counts = Counter[tuple[str, str]]()
    for beside in chain.from_iterable(one.also for one in answers):
        counts[beside.kind, beside.ask] += beside.entries
    return tuple(NameBeside(kind=kind, ask=ask, entries=entries) for (kind, ask), entries in counts.items())


def _belongs(answers: Iterable[NameAnswer]) -> tuple[NameOf, ...]:
    """Return what belongs to a name: of each field the most frequent. The rest of a field has no name in an answer."""
    fields: dict[str, dict[str, NameOf]] = {}
    for one in chain.from_iterable(answer.belongs for answer in answers):
        names = fields.setdefault(one.field, {})
        known = names.get(one.name)
        # A person is named where an entry has the name readable.
        told = known.told if known is not None and known.told != known.name else one.told
        names[one.name] = replace(one, told=told, entries=one.entries + (known.entries if known else 0))
    return tuple(chain.from_iterable(map(_listed, fields.values())))


def _listed(names: Mapping[str, NameOf]) -> Iterator[NameOf]:
    listed = sorted((one for one in names.values() if one.name), key=lambda one: (-one.entries, one.name))
    yield from listed[:LISTED]
    rest = [*listed[LISTED:], *(one for one in names.values() if not one.name)]
    if rest:
        # How many names of one shard's rest are also in another's is not known.
        yield NameOf(field=rest[0].field, name="", told="others", entries=sum(one.entries for one in rest))


def _naming(shard: str, naming: Naming) -> Naming:
    if naming.kind != ENTRY:
        return naming
    name = address(shard, naming.name)
    return replace(naming, name=name, ask=f"{ENTRY}:{name}")


def _of(shard: str, line: TimelineLine) -> TimelineLine:
    return replace(line, shard=shard)


def _when(line: TimelineLine) -> tuple[int, str, int]:
    return millis(line.at), line.shard, line.index


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    return dict(sum(map(Counter, counts), Counter[str]()))


def union(texts: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return each text once."""
    return tuple(dict.fromkeys(chain.from_iterable(texts)))
