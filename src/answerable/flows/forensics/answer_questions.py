"""Answer questions of a search, for a story, a name, accounts, an incident and what was out of scope: in the process
that keeps the index, and in commands that read the ledger's files themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.under_manifest import wanted_manifest
from answerable.core.search.names import parsed_names
from answerable.core.search.query import Query, checked_limit, parsed_cursor, parsed_query
from answerable.core.search.scope import ScopeCount
from answerable.errors import shown
from answerable.errors.codes.incidents import INCIDENT_AMBIGUOUS, INCIDENT_UNKNOWN
from answerable.flows.forensics.count_scope import check_conditions, count_scope, decided
from answerable.flows.forensics.describe_name import completed_names, describe_name, is_known, may_be
from answerable.flows.forensics.find_under import check_known, find_under, manifests_of
from answerable.flows.forensics.gather_incident import gathered, incidents, incidents_named
from answerable.flows.forensics.list_accounts import (
    LISTED,
    NOTHING,
    USERS_MAX,
    accounts_named,
    list_accounts,
    with_findings,
)
from answerable.flows.forensics.tell_accounts import account_told, accounts_answer
from answerable.flows.forensics.tell_hits import answer_of, name_answer, scope_answer, story_answer
from answerable.flows.forensics.tell_incident import incident_answer, incident_part, incidents_answer
from answerable.flows.forensics.trace_to_person import traced
from answerable.ports.search_process import (
    IncidentOpened,
    PartQuestion,
    TotalsAnswer,
    TraceAnswer,
    UnderAnswer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from answerable.api.incident_answers import IncidentAnswer, IncidentsAnswer
    from answerable.api.search_answers import (
        AccountsAnswer,
        NameAnswer,
        ScopeAnswer,
        SearchAnswer,
        StoryAnswer,
        TargetAccount,
    )
    from answerable.core.incident.incident import Incident
    from answerable.core.incident.under_manifest import WantedManifest
    from answerable.core.search.names import Asked
    from answerable.flows.forensics.list_accounts import Known
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.search_process import (
        AccountsQuestion,
        AskedOfAccounts,
        IncidentPart,
        IncidentQuestion,
        IncidentsQuestion,
        MadeAnswer,
        NameQuestion,
        Question,
        ScopeQuestion,
        StoryQuestion,
        TotalsQuestion,
        TraceQuestion,
        UnderQuestion,
    )

    Sealed = Callable[[Query, Sequence[str]], tuple[str, ...]]
    """Returns the fields of a question, and of its bare names, that cannot be compared here."""


def nothing_sealed(query: Query, names: Sequence[str]) -> tuple[str, ...]:
    """Return that all of it can be compared."""
    return ()


def answered_search(
    teller: StoryTeller, question: Question, *, now: int, sealed: Sealed = nothing_sealed
) -> SearchAnswer:
    """Return a page of hits. now: as for `answered_story`. Raises as that."""
    query = parsed_query(question.words, now=now)
    after = parsed_cursor(question.cursor) if question.cursor else None
    page = teller.search(query, limit=checked_limit(question.limit), after=after)
    return answer_of(page, durable=question.entries, sealed=sealed(query, ()))


def answered_story(
    teller: StoryTeller,
    question: StoryQuestion,
    *,
    now: int,
    known: Known = NOTHING,
    sealed: Sealed = nothing_sealed,
) -> StoryAnswer:
    """Return the story of names, narrowed by words of a search.

    now: for times that are said as long ago. known: of accounts, beside the ledger. Raises Malformed (`search.*`),
    Unavailable, and Broken as the index and the log do.
    """
    wanted, limit = parsed_names(question.words, now=now), checked_limit(question.limit)
    story = teller.story(wanted, limit=limit)
    whole = wanted if story.hits else completed_names(teller, wanted)
    if whole != wanted:
        story = teller.story(whole, limit=limit)

    def is_unknown(name: str) -> bool:
        return not (is_known(teller, name) or _accounts(teller, question, (name,), known))

    return story_answer(
        " ".join(question.words),
        story,
        accounts=_accounts(teller, question, _account_names(whole), known),
        # The only name of a story is known.
        unknown=tuple(filter(is_unknown, whole.names)) if len(whole.names) > 1 or not story.hits else (),
        durable=question.entries,
        sealed=sealed(whole.query, whole.names),
    )


def answered_name(
    teller: StoryTeller,
    question: NameQuestion,
    *,
    known: Known = NOTHING,
    sealed: Sealed = nothing_sealed,
) -> NameAnswer:
    """Return what a name stands for. known: as for `answered_story`. Raises as that."""
    asked = parsed_names([question.name], now=0)
    candidates = may_be(teller, question.name)
    found = describe_name(teller, candidates[0]) if len(candidates) == 1 else None
    names = (*_account_names(asked), *(one.name for one in candidates if found is not None))
    return name_answer(
        candidates,
        found,
        teller.index.reach(),
        accounts=_accounts(teller, question, names, known),
        durable=question.entries,
        sealed=sealed(asked.query, asked.names),
    )


def answered_accounts(
    teller: StoryTeller, question: AccountsQuestion, *, known: Known = NOTHING
) -> AccountsAnswer:
    """Return the accounts at all targets, or at one. Raises Unavailable, and Broken as the index and the log do."""
    found = list_accounts(teller, known, target=question.target, users=_users_listed(question))
    return accounts_answer(found, known, durable=question.entries)


def _account_names(asked: Asked) -> tuple[str, ...]:
    """Return the names that may be those of accounts: bare ones, and those that are asked for as accounts."""
    of_kind = (value for one in asked.query.terms if one.field == "account" for value in one.values)
    return (*asked.names, *of_kind)


def _accounts(
    teller: StoryTeller, question: AskedOfAccounts, names: Sequence[str], known: Known
) -> tuple[TargetAccount, ...]:
    """Return the accounts that have one of the names."""
    if not names:
        return ()
    users, known = _users_listed(question), with_findings(teller, known)
    named = (accounts_named(teller, known, name, users=users) for name in dict.fromkeys(names))
    return tuple(account_told(one) for some in named for one in some)


def _users_listed(question: AskedOfAccounts) -> int:
    """Return how many users are named of one account: more where the answers of several logs are joined."""
    return LISTED if question.within == "all" else USERS_MAX


def answered_scope(teller: StoryTeller, question: ScopeQuestion, *, now: int) -> ScopeAnswer:
    """Return the count of what was out of scope. Raises as `answered_story`, and Malformed (`scope.field`)."""
    query = parsed_query(question.words, now=now)
    check_conditions(query)
    counted = count_scope(teller, query, rows=checked_limit(question.rows))
    return scope_answer(counted, durable=question.entries)


def answered_totals(teller: StoryTeller, question: TotalsQuestion, *, now: int) -> TotalsAnswer:
    """Return how many actions were decided with these names, in or out of scope. Raises as `answered_scope`."""
    query = parsed_query(question.words, now=now)
    check_conditions(query)
    count = decided(teller, query) if question.names else ScopeCount()
    return TotalsAnswer(
        actions={
            by: {name: count.actions_of(by, name) for name in names} for by, names in question.names.items()
        }
    )


def answered_under(teller: StoryTeller, question: UnderQuestion) -> UnderAnswer:
    """Return a page of actions under a manifest. Raises as `answered_story`, Malformed (`timeline.*`), and Refused
    (`timeline.manifest_unknown`)."""
    wanted, after = _wanted(question), parsed_cursor(question.cursor) if question.cursor else None
    found = find_under(
        teller,
        wanted,
        limit=checked_limit(question.limit),
        after=after,
        named=question.named,
        made=question.made,
        is_alone=question.within == "all",
    )
    return UnderAnswer(items=found.actions, next=found.next)


def answered_made(teller: StoryTeller, question: UnderQuestion) -> MadeAnswer:
    """Return the manifests of this log that match. Raises as `answered_under`."""
    return manifests_of(teller, _wanted(question))


def check_wanted(question: UnderQuestion, *, is_known: bool, unread: int) -> None:
    """As `check_known`, for a question about several logs."""
    check_known(_wanted(question), is_known=is_known, unread=unread)


def _wanted(question: UnderQuestion) -> WantedManifest:
    return wanted_manifest(manifest=question.manifest, prompt=question.prompt, model=question.model)


def answered_trace(
    teller: StoryTeller, question: TraceQuestion, *, monotonic: Callable[[], float]
) -> TraceAnswer:
    """Return whether effects can be traced to people. monotonic: returns seconds. Raises as `answered_story`."""
    found = (traced(teller.log, teller.find, one, monotonic=monotonic) for one in question.ends)
    return TraceAnswer(items=tuple(found))


def answered_incidents(teller: StoryTeller, question: IncidentsQuestion) -> IncidentsAnswer:
    """Return a page of incidents. Raises as `answered_story`."""
    after = parsed_cursor(question.cursor) if question.cursor else None
    return incidents_answer(
        incidents(teller, limit=checked_limit(question.limit), after=after), durable=question.entries
    )


def answered_opened(teller: StoryTeller, question: IncidentQuestion) -> IncidentOpened:
    """Return what people said in this log of an incident, by its id or the beginning of it. Raises Unavailable, and
    Broken as the index and the log do."""
    found = incidents_named(teller, question.name)
    return IncidentOpened(
        incident=found[0] if len(found) == 1 else None,
        log=teller.log.origin,
        names=tuple(one.id for one in found),
    )


def answered_part(
    teller: StoryTeller, question: PartQuestion, *, sealed: Sealed = nothing_sealed
) -> IncidentPart:
    """Return what this log has of an incident. Raises as `answered_opened`."""
    incident = question.incident
    found = gathered(teller, incident, is_home=question.is_home)
    return incident_part(incident.id, found, durable=question.entries, sealed=sealed(Query(), (incident.id,)))


def answered_incident(
    teller: StoryTeller, question: IncidentQuestion, *, sealed: Sealed = nothing_sealed
) -> IncidentAnswer:
    """Return one incident, of this log alone. Raises as `answered_opened` and `one_incident`."""
    said = answered_opened(teller, question)
    _, incident = one_incident(question.name, {"": said})
    asked = PartQuestion(incident=incident, is_home=True, entries=question.entries)
    part = answered_part(teller, asked, sealed=sealed)
    return incident_answer(incident, {"": part}, part.story, log=said.log)


def one_incident(name: str, said: Mapping[str, IncidentOpened], more: str = "") -> tuple[str, Incident]:
    """Return the shard and the incident that a name stands for. said: by shard. more: where it was looked for, if not
    here alone. Raises Malformed (`incident.unknown`, `incident.ambiguous`)."""
    names = {one for answer in said.values() for one in answer.names}
    names = names & {name} or names
    if len(names) > 1:
        raise INCIDENT_AMBIGUOUS(
            f"{shown(name)} may be {len(names)} incidents: {', '.join(sorted(names))}: give more of its id"
        )
    for shard, answer in said.items():
        if answer.incident is not None and answer.incident.id in names:
            return shard, answer.incident
    raise INCIDENT_UNKNOWN(f"there is no incident {shown(name)}: see `answerable incident list`{more}")
