"""Answer questions for a story, a name, accounts, an incident and what was out of scope: in the process that keeps the
index, and in commands that read the ledger's files themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.core.incident.under_manifest import wanted_manifest
from answerable.core.search.names import parsed_names
from answerable.core.search.query import checked_limit, parsed_cursor, parsed_query
from answerable.flows.forensics.count_scope import check_conditions, count_scope
from answerable.flows.forensics.describe_name import completed_names, describe_name, may_be
from answerable.flows.forensics.find_under import find_under
from answerable.flows.forensics.gather_incident import gathered, incidents
from answerable.flows.forensics.list_accounts import LISTED, NOTHING, accounts_named, list_accounts
from answerable.flows.forensics.tell_accounts import account_told, accounts_answer
from answerable.flows.forensics.tell_hits import name_answer, scope_answer, story_answer
from answerable.flows.forensics.tell_incident import incident_answer, incidents_answer
from answerable.flows.forensics.trace_to_person import traced
from answerable.ports.search_process import TraceAnswer, UnderAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from answerable.api.incident_answers import IncidentAnswer, IncidentsAnswer
    from answerable.api.search_answers import (
        AccountsAnswer,
        NameAnswer,
        ScopeAnswer,
        StoryAnswer,
        TargetAccount,
    )
    from answerable.core.search.query import Query
    from answerable.flows.forensics.list_accounts import Known
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.search_process import TraceQuestion, UnderQuestion


def _nothing_sealed(query: Query, names: Sequence[str]) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an answer says of itself. durable: entries of the log, where it may have more than the index.
    elsewhere: shards that are left out, where all are not asked. known: of accounts, beside the ledger. users: how many
    are named of one account. sealed: returns the fields of a question that cannot be compared here."""

    durable: int = 0
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    known: Known = NOTHING
    users: int = LISTED
    sealed: Callable[[Query, Sequence[str]], tuple[str, ...]] = _nothing_sealed


WHOLE: Final = Standing()
"""Of an index that has the whole log, with keys."""


def answered_story(
    teller: StoryTeller, words: Sequence[str], *, now: int, limit: int, standing: Standing = WHOLE
) -> StoryAnswer:
    """Return the story of names, narrowed by words of a search.

    now: for times that are said as long ago. limit: as for `StoryTeller.story`. Raises Malformed (`search.*`),
    Unavailable, and Broken as the index and the log do.
    """
    wanted = parsed_names(words, now=now)
    story = teller.story(wanted, limit=limit)
    whole = wanted if story.hits else completed_names(teller, wanted)
    if whole != wanted:
        story = teller.story(whole, limit=limit)
    return story_answer(
        " ".join(words),
        story,
        accounts=tuple(one for name in wanted.names for one in _accounts(teller, standing, name)),
        durable=standing.durable,
        sealed=standing.sealed(whole.query, whole.names),
    )


def answered_name(teller: StoryTeller, name: str, *, standing: Standing = WHOLE) -> NameAnswer:
    """Return what a name stands for. Raises as `answered_story`."""
    asked = parsed_names([name], now=0)
    candidates = may_be(teller, name)
    found = describe_name(teller, candidates[0]) if len(candidates) == 1 else None
    return name_answer(
        candidates,
        found,
        teller.index.reach(),
        accounts=_accounts(teller, standing, candidates[0].name if len(candidates) == 1 else name),
        durable=standing.durable,
        sealed=standing.sealed(asked.query, asked.names),
    )


def answered_accounts(teller: StoryTeller, target: str, *, standing: Standing = WHOLE) -> AccountsAnswer:
    """Return the accounts at all targets, or at one. Raises Unavailable and Broken as the index and the log do."""
    found = list_accounts(teller, standing.known, target=target, users=standing.users)
    return accounts_answer(found, standing.known, durable=standing.durable)


def _accounts(teller: StoryTeller, standing: Standing, name: str) -> tuple[TargetAccount, ...]:
    """Return the accounts that have a name."""
    found = accounts_named(teller, standing.known, name.removeprefix("account:"), users=standing.users)
    return tuple(map(account_told, found))


def answered_scope(
    teller: StoryTeller, words: Sequence[str], *, now: int, rows: int, standing: Standing = WHOLE
) -> ScopeAnswer:
    """Return the count of what was out of scope. rows: of each table, the highest. Raises as `answered_story`, and
    Malformed (`scope.field`)."""
    query = parsed_query(words, now=now)
    check_conditions(query)
    counted = count_scope(teller, query, rows=rows)
    return scope_answer(counted, durable=standing.durable)


def answered_under(teller: StoryTeller, question: UnderQuestion) -> UnderAnswer:
    """Return a page of actions under a manifest. Raises as `answered_story`, Malformed (`timeline.*`), and Refused
    (`timeline.manifest_unknown`)."""
    wanted = wanted_manifest(manifest=question.manifest, prompt=question.prompt, model=question.model)
    after = parsed_cursor(question.cursor) if question.cursor else None
    found = find_under(teller, wanted, limit=checked_limit(question.limit), after=after)
    return UnderAnswer(items=found.actions, next=found.next)


def answered_trace(
    teller: StoryTeller, question: TraceQuestion, *, monotonic: Callable[[], float]
) -> TraceAnswer:
    """Return whether effects can be traced to people. monotonic: returns seconds. Raises as `answered_story`."""
    found = (traced(teller.log, teller.find, one, monotonic=monotonic) for one in question.ends)
    return TraceAnswer(items=tuple(found))


def answered_incidents(teller: StoryTeller, *, standing: Standing = WHOLE) -> IncidentsAnswer:
    """Return all incidents. Raises Unavailable, and Broken as the index and the log do."""
    found, is_cut, reach = incidents(teller)
    return incidents_answer(
        found, reach, is_cut=is_cut, durable=standing.durable, elsewhere=standing.elsewhere
    )


def answered_incident(teller: StoryTeller, name: str, *, standing: Standing = WHOLE) -> IncidentAnswer:
    """Return one incident with what it is about. Raises as `answered_incidents`, and Malformed (`incident.unknown`)."""
    return incident_answer(
        gathered(teller, name),
        log=teller.log.origin,
        durable=standing.durable,
        elsewhere=standing.elsewhere,
    )
