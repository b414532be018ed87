"""Port: the process that alone reads the ledger for questions and writes the search index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, Literal, Protocol, TypeVar

import msgspec

from answerable.api.decision_answers import Possible, Replayed
from answerable.api.incident_answers import IncidentAction, IncidentAnswer, IncidentReading, IncidentsAnswer
from answerable.api.ledger_answers import ActionUnder
from answerable.api.log_answers import LogsAnswer
from answerable.api.members import AnyObject, Part
from answerable.api.search_answers import AccountsAnswer, NameAnswer, ScopeAnswer, SearchAnswer, StoryAnswer
from answerable.api.tree_answers import ActionCounts
from answerable.core.attribution.finding import Finding
from answerable.core.attribution.followed import AccountSeen
from answerable.core.incident.incident import Incident
from answerable.core.lease.own_account import DeclaredTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.api.log_answers import FollowedLog

REACH_PATH: Final = "/v1/reach"
HOST: Final = "search"
QUESTION_SECONDS_MAX: Final = 15.0
"""How long a question waits at most, whoever asks: with the start of the process, and what that has to read first."""
QUESTION_BYTES_MAX: Final = 262_144
TOTALS_BYTES_MAX: Final = 4_194_304
"""The names of three tables, of as many rows as a question may ask for."""


Within = Literal["all", "log", "names"]
"""What is asked: every shard, this log alone, or this log alone with numbers that name no entry of it."""


class Asked(Part, frozen=True, kw_only=True):
    """What every question has. entries: how many entries of the log are durable: the answer covers them, if they can be
    read in time. within: which logs are asked."""

    entries: int = 0
    within: Within = "log"


class AskedOfOne(Asked, frozen=True, kw_only=True):
    """A question that is answered of one log alone. log: name of another shard, whose log is asked; empty for this
    one."""

    log: str = ""
    within: Within = "all"


class OfOne(Part, frozen=True, kw_only=True):
    """An answer to it. others: names of the other shards, each to be asked as well."""

    others: tuple[str, ...] = ()


class AskedOfAccounts(Asked, frozen=True, kw_only=True):
    """A question whose answer tells accounts at targets. declared: what the broker declares of its targets; None where
    it could not be asked."""

    declared: tuple[DeclaredTarget, ...] | None = None
    within: Within = "all"


Q = TypeVar("Q", bound=Asked)
A = TypeVar("A")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionKind(Generic[Q, A]):
    """One kind of question. path: where it is asked. question, answer: their types. bytes_max: of a question."""

    path: str
    question: type[Q]
    answer: type[A]
    bytes_max: int = QUESTION_BYTES_MAX

    def read_question(self, body: bytes) -> Q:
        """Read a question. Raises as msgspec does."""
        return msgspec.json.decode(body, type=self.question)

    def read_answer(self, body: bytes) -> A:
        """Read an answer. Raises as msgspec does."""
        return msgspec.json.decode(body, type=self.answer)


class Question(Asked, frozen=True, kw_only=True):
    """One search. words: `field:value` each. cursor: empty for the first page."""

    words: tuple[str, ...]
    limit: int
    cursor: str
    within: Within = "all"


class StoryQuestion(AskedOfAccounts, frozen=True, kw_only=True):
    """One question for a story. words: names, and `field:value`. limit: of entries that are asked about."""

    words: tuple[str, ...]
    limit: int


class NameQuestion(AskedOfAccounts, frozen=True, kw_only=True):
    """One question what a name stands for."""

    name: str


class AccountsQuestion(AskedOfAccounts, frozen=True, kw_only=True):
    """One question for accounts. target: at one alone; empty for all."""

    target: str


class ScopeQuestion(Asked, frozen=True, kw_only=True):
    """One question what was out of scope. words: `field:value` each. rows: of each table."""

    words: tuple[str, ...]
    rows: int
    within: Within = "all"


class TotalsQuestion(Asked, frozen=True, kw_only=True):
    """One question how many actions were decided with each of these names. words: as for the count. names: by table."""

    words: tuple[str, ...]
    names: dict[str, tuple[str, ...]]


class TotalsAnswer(Part, frozen=True, kw_only=True):
    """actions: all decided actions by table and name, of those that were asked about."""

    actions: dict[str, dict[str, int]]


class LogsQuestion(Asked, frozen=True, kw_only=True):
    """One question how far the logs of targets were read, and what they show. What is recorded up to `entries` is not
    told again. findings: at most so many."""

    findings: int


class LogsTold(Part, frozen=True, kw_only=True):
    """How far logs were read, and findings that no entry has. accounts: governed accounts that they have lines of."""

    logs: LogsAnswer
    findings: tuple[Finding, ...]
    accounts: tuple[AccountSeen, ...]


class ManifestTold(Part, frozen=True, kw_only=True):
    """A manifest as its entry records it. payload: None where it cannot be decrypted."""

    digest: str
    leaf: AnyObject
    payload: AnyObject | None


class UnderQuestion(Asked, frozen=True, kw_only=True):
    """One question for actions under a manifest, prompt or model, as `wanted_manifest` takes them. cursor: as for a
    search. named: digests of manifests that match and that logs of other shards have, and made: what these say, of as
    many as there is room for."""

    manifest: str
    prompt: str
    model: str
    limit: int
    cursor: str
    named: tuple[str, ...] = ()
    made: tuple[ManifestTold, ...] = ()
    within: Within = "all"


class MadeAnswer(Part, frozen=True, kw_only=True):
    """Manifests that a log has and that match a question. unread: others, whose content cannot be read."""

    manifests: tuple[ManifestTold, ...]
    unread: int


class UnderAnswer(Part, frozen=True, kw_only=True):
    """One page of actions under a manifest, oldest first. next: cursor of the page after this; empty for none."""

    items: tuple[ActionUnder, ...]
    next: str


class TreeQuestion(Asked, frozen=True, kw_only=True):
    """One question what was handed on below a mandate. log: which it is for; empty for the log that is asked."""

    mandate: str
    log: str = ""
    within: Within = "all"


class HopTold(Part, frozen=True, kw_only=True):
    """One hop as its entry records it. leaf: of that entry. token: empty where it cannot be decrypted. above: place of
    its parent in the answer; -1 for none that the log has."""

    leaf: AnyObject
    token: str
    above: int
    actions: ActionCounts


class TreeAnswer(Part, frozen=True, kw_only=True):
    """What was handed on below a mandate. actions: under the mandate itself. hops: each after its parent. hops_count:
    of all, of which not all may be listed."""

    actions: ActionCounts
    hops: tuple[HopTold, ...]
    hops_count: int


class TraceQuestion(Asked, frozen=True, kw_only=True):
    """One question whether effects can be traced to people. ends: the entries that record them."""

    ends: tuple[int, ...]


class Traced(Part, frozen=True, kw_only=True):
    """Whether a person was found behind an effect, and how long that took."""

    found: bool
    micros: int


class TraceAnswer(Part, frozen=True, kw_only=True):
    """One for each effect that was asked about, in that order."""

    items: tuple[Traced, ...]


class PossibleQuestion(Asked, frozen=True, kw_only=True):
    """One question what agents could do at a time. action: name of a capability. agent, resource: empty for all, and
    for any. at: Unix milliseconds."""

    action: str
    agent: str
    resource: str
    at: int
    within: Within = "all"


class SelectionQuestion(Asked, frozen=True, kw_only=True):
    """One question which entries an evidence bundle has: these, all about an action or a mandate, and what belongs to
    them; `replay` as for a `Selection`."""

    indexes: tuple[int, ...]
    action: str
    mandate: str
    replay: bool


class SelectionAnswer(Part, frozen=True, kw_only=True):
    """The entries, in order; none where nothing was selected."""

    items: tuple[int, ...]


class ReplayQuestion(AskedOfOne, frozen=True, kw_only=True):
    """One question whether the decisions from an entry on come out as they are recorded. stop: the first entry that is
    not asked about; None for none. limit: of entries."""

    start: int
    stop: int | None
    limit: int


class IncidentsQuestion(Asked, frozen=True, kw_only=True):
    """One question which incidents there are. cursor: empty for the first page."""

    limit: int
    cursor: str
    within: Within = "all"


class IncidentQuestion(Asked, frozen=True, kw_only=True):
    """One question about an incident. name: its id."""

    name: str
    within: Within = "all"


class IncidentOpened(Part, frozen=True, kw_only=True):
    """What people said of an incident. incident: None where this log has none of that name, or several. log: its
    origin. names: ids of those that it may be: that one, or those that begin so."""

    incident: Incident | None
    log: str
    names: tuple[str, ...] = ()


class PartQuestion(Asked, frozen=True, kw_only=True):
    """One question what a log has of an incident. is_home: whether it was opened in this log."""

    incident: Incident
    is_home: bool


class StopTold(Part, frozen=True, kw_only=True):
    """What stopped what an incident is about. at: from when on. hold: id of a hold; empty for another stop."""

    entry: int
    at: int
    kind: str
    name: str
    hold: str


class IncidentPart(Part, frozen=True, kw_only=True):
    """What one log has of an incident, oldest first. names: of each action, by field, those by which it can be
    stopped. noticed: time and entry of what was noticed in it."""

    actions: tuple[IncidentAction, ...]
    names: tuple[dict[str, tuple[str, ...]], ...]
    data: tuple[IncidentReading, ...]
    stops: tuple[StopTold, ...]
    noticed: tuple[tuple[int, int], ...]
    story: StoryAnswer


class IndexReach(Part, frozen=True, kw_only=True):
    """Up to how many entries the index is complete."""

    entries: int


SEARCH: Final = QuestionKind(path="/v1/search", question=Question, answer=SearchAnswer)
STORY: Final = QuestionKind(path="/v1/story", question=StoryQuestion, answer=StoryAnswer)
NAME: Final = QuestionKind(path="/v1/name", question=NameQuestion, answer=NameAnswer)
SCOPE: Final = QuestionKind(path="/v1/scope", question=ScopeQuestion, answer=ScopeAnswer)
TOTALS: Final = QuestionKind(
    path="/v1/scope-totals", question=TotalsQuestion, answer=TotalsAnswer, bytes_max=TOTALS_BYTES_MAX
)
ACCOUNTS: Final = QuestionKind(path="/v1/accounts", question=AccountsQuestion, answer=AccountsAnswer)
LOGS: Final = QuestionKind(path="/v1/logs", question=LogsQuestion, answer=LogsTold)
UNDER: Final = QuestionKind(path="/v1/under", question=UnderQuestion, answer=UnderAnswer)
MADE: Final = QuestionKind(path="/v1/made", question=UnderQuestion, answer=MadeAnswer)
TREE: Final = QuestionKind(path="/v1/tree", question=TreeQuestion, answer=TreeAnswer)
TRACE: Final = QuestionKind(path="/v1/trace", question=TraceQuestion, answer=TraceAnswer)
POSSIBLE: Final = QuestionKind(path="/v1/possible", question=PossibleQuestion, answer=Possible)
SELECTION: Final = QuestionKind(path="/v1/selection", question=SelectionQuestion, answer=SelectionAnswer)
REPLAY: Final = QuestionKind(path="/v1/replay", question=ReplayQuestion, answer=Replayed)
INCIDENTS: Final = QuestionKind(path="/v1/incidents", question=IncidentsQuestion, answer=IncidentsAnswer)
INCIDENT: Final = QuestionKind(path="/v1/incident", question=IncidentQuestion, answer=IncidentAnswer)
OPENED: Final = QuestionKind(path="/v1/incident-opened", question=IncidentQuestion, answer=IncidentOpened)
PART: Final = QuestionKind(path="/v1/incident-part", question=PartQuestion, answer=IncidentPart)


class SearchProcess(Protocol):
    """Promises: each question is answered within a limited time, and stops nothing where it is not."""

    async def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
        """Return the answer: of a story without lines where there is none; all that a name may be; incidents newest
        first.

        Raises Malformed as `parsed_query`, `parsed_cursor`, `wanted_manifest`, `tell_then` and `select_evidence`,
        `scope.field` and `incident.unknown`; Refused (`timeline.manifest_unknown`); Unavailable: `search.*`, where
        those that are answered of all entries or not at all (`wiring.answers`) raise `search.behind`.
        """
        ...

    async def reach(self) -> IndexReach:
        """Return up to where the index is complete."""
        ...


class Searches(Protocol):
    """The index that answers questions, as the server asks it: by the process above, which is started where it does not
    run. Raises as that, and Unavailable (`search.off`) where none is kept."""

    async def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
        """Return the answer, of all entries that are durable."""
        ...

    async def logs(self, *, findings: int = 0) -> LogsTold:
        """Return how far the logs of targets were read, and at most so many findings that no entry has."""
        ...

    def told_of_logs(self) -> tuple[FollowedLog, ...]:
        """Return what was told last of the logs of targets."""
        ...

    async def trace(self, ends: Sequence[int]) -> TraceAnswer:
        """Return whether effects can be traced to people. Raises Unavailable (`search.off`) also where the process was
        not started yet: it is not started for this."""
        ...

    async def told(self) -> tuple[str, int, str]:
        """Return its state, up to how many entries it is complete, and the reason of an alarm."""
        ...
