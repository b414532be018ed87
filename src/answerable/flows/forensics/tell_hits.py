"""Write the hits of a search, and stories, as every endpoint gives them out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from answerable.api.ledger_answers import TimelineLine
from answerable.api.search_answers import (
    NameAnswer,
    NameBeside,
    NameOf,
    Naming,
    ScopeAnswer,
    ScopeRow,
    SearchAnswer,
    SearchHit,
    StoryAnswer,
    StoryGist,
    StoryGroup,
)
from answerable.core.incident.timeline import told
from answerable.core.search.narrative import gist_of, grouped
from answerable.core.search.scope import share_of
from answerable.flows.forensics.opened_moment import hops_among

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.api.search_answers import TargetAccount
    from answerable.core.incident.timeline import Line
    from answerable.core.search.hit import Hit
    from answerable.core.search.names import Beside
    from answerable.flows.forensics.count_scope import Scope, ScopeLine
    from answerable.flows.forensics.describe_name import Candidate, Described
    from answerable.flows.forensics.search_ledger import HitPage
    from answerable.flows.forensics.tell_story import Story
    from answerable.ports.search_index import Reach


def answer_of(page: HitPage, *, durable: int = 0, sealed: tuple[str, ...] = ()) -> SearchAnswer:
    """Return a page of hits as an answer. durable: entries of the log, where it may have more than the index.
    sealed: fields that could not be compared."""
    return SearchAnswer(
        items=tuple(hit_answer(one) for one in page.hits),
        next=page.next,
        log=page.log,
        missing=max(0, durable - page.entries),
        shards=(),
        elsewhere={},
        entries=page.entries,
        complete_at=instant(page.at) if page.entries else None,
        happened=page.happened,
        sealed=sealed,
    )


def story_answer(
    name: str,
    story: Story,
    *,
    accounts: tuple[TargetAccount, ...] = (),
    unknown: tuple[str, ...] = (),
    durable: int = 0,
    sealed: tuple[str, ...] = (),
) -> StoryAnswer:
    """Return a story as an answer. name: what was asked. accounts: of that name. unknown: names that no entry
    has. durable, sealed: as for `answer_of`."""
    moments = {one.facts.entry: one.moment for one in story.hits} | story.ends
    hops = hops_among(moments.values())
    gist = gist_of(story.hits)
    return StoryAnswer(
        name=name,
        kinds=story.kinds,
        also=tuple(map(_beside, story.beside)),
        accounts=accounts,
        unknown=unknown,
        gist=StoryGist(
            agents=gist.agents,
            people=gist.people,
            tasks=gist.tasks,
            outcomes=dict(gist.outcomes),
            rules=gist.rules,
            approvals=gist.approvals,
            not_reversible=tuple(map(str, gist.not_reversible)),
            not_readable=gist.not_readable,
        ),
        lines=tuple(_line(told(moments[index], hops)) for index in sorted(moments)),
        groups=tuple(
            StoryGroup(line=_line(one.line), until=instant(one.until), entries=one.entries)
            for one in grouped(story.hits)
        ),
        is_cut=story.is_cut,
        missing=max(0, durable - story.reach.entries),
        shards=(),
        elsewhere={},
        entries=story.reach.entries,
        complete_at=instant(story.reach.at) if story.reach.entries else None,
        happened=story.reach.happened,
        sealed=sealed,
    )


def scope_answer(scope: Scope, *, durable: int = 0) -> ScopeAnswer:
    """Return counts of attempts outside of scope as an answer. durable: as for `answer_of`."""
    count = scope.count
    return ScopeAnswer(
        actions=count.actions,
        outside=count.outside,
        share=share_of(count.outside, count.actions),
        limits=dict(count.limits_told()),
        by_policy=count.by_policy,
        other=count.other,
        unrecorded=scope.unrecorded,
        rows=tuple(_scope_row(one) for lines in scope.lines.values() for one in lines),
        missing=max(0, durable - scope.reach.entries),
        shards=(),
        elsewhere={},
        entries=scope.reach.entries,
        complete_at=instant(scope.reach.at) if scope.reach.entries else None,
        happened=scope.reach.happened,
    )


def name_answer(
    candidates: Sequence[Candidate],
    found: Described | None,
    reach: Reach,
    *,
    accounts: tuple[TargetAccount, ...] = (),
    durable: int = 0,
    sealed: tuple[str, ...] = (),
) -> NameAnswer:
    """Return what a name stands for as an answer. found: None unless it is one thing. accounts: of that name. durable,
    sealed: as for `answer_of`."""
    return NameAnswer(
        may_be=tuple(
            Naming(kind=one.kind, name=one.name, ask=one.written(), same=one.same) for one in candidates
        ),
        also=tuple(map(_beside, found.beside)) if found is not None else (),
        accounts=accounts,
        named=found.entries if found is not None else 0,
        first_at=instant(found.first_at) if found is not None else None,
        last_at=instant(found.last_at) if found is not None else None,
        outcomes=dict(found.outcomes) if found is not None else {},
        belongs=tuple(
            NameOf(field=one.field, name=one.name, told=one.told, entries=one.entries)
            for one in (found.belongs if found is not None else ())
        ),
        events=tuple(_line(one.line) for one in (found.events if found is not None else ())),
        newest=tuple(hit_answer(one) for one in (found.newest if found is not None else ())),
        missing=max(0, durable - reach.entries),
        shards=(),
        elsewhere={},
        entries=reach.entries,
        complete_at=instant(reach.at) if reach.entries else None,
        happened=reach.happened,
        sealed=sealed,
    )


def _beside(one: Beside) -> NameBeside:
    return NameBeside(kind=one.kind, ask=one.written(), entries=one.entries)


def _scope_row(line: ScopeLine) -> ScopeRow:
    row = line.row
    return ScopeRow(
        by=row.by,
        name=instant(int(row.name))[:10] if row.by == "week" else row.name,
        outside=row.outside,
        actions=row.actions,
        share=row.share,
        limits=dict(row.limits),
        examples=line.examples,
    )


def _line(line: Line) -> TimelineLine:
    return TimelineLine(
        shard="",
        index=line.index,
        at=line.when(),
        kind=line.kind,
        text=line.text,
        details=tuple(line.details),
    )


def hit_answer(hit: Hit) -> SearchHit:
    """Return one hit as an answer."""
    facts, ended, line = hit.facts, hit.ended, hit.line
    return SearchHit(
        shard="",
        entry=facts.entry,
        at=instant(facts.at),
        kind=facts.one("kind"),
        text=line.text,
        outcome=hit.outcome,
        ended=ended.entry if ended is not None else None,
        ended_at=instant(ended.at) if ended is not None else None,
        action=facts.one("action"),
        agent=facts.one("agent"),
        instance=facts.one("instance"),
        person=facts.person,
        mandate=facts.one("mandate"),
        use_case=facts.one("use-case"),
        capability=facts.one("capability"),
        server=facts.one("server"),
        target=facts.one("target"),
        resource=facts.sealed.get("resource", ("",))[0],
        destinations=facts.sealed.get("destination", ()),
        amount=facts.amount,
        currency=facts.money.currency,
        rules=facts.names.get("rule", ()),
        code=facts.one("code"),
        approval=facts.one("approval"),
        lease=facts.one("lease"),
        hold=facts.one("hold") or facts.sealed.get("hold", ("",))[0],
        session=dict(ended.session) if ended is not None else {},
    )


def instant(at: int) -> str:
    """Return a time as RFC 3339 in UTC with milliseconds."""
    when = datetime.fromtimestamp(at / 1000, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def millis(at: str) -> int:
    """Return a time that `instant` wrote, in Unix milliseconds."""
    return round(datetime.fromisoformat(at).timestamp() * 1_000)


def address(shard: str, entry: int | str) -> str:
    """Return the address of an entry, as every question takes it."""
    return f"{shard}/{entry}" if shard else str(entry)
