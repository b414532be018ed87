"""Port: the process that alone reads the ledger for questions and writes the search index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol

from answerable.api.ledger_answers import ActionUnder
from answerable.api.log_answers import LogsAnswer
from answerable.api.members import AnyObject, Part
from answerable.api.tree_answers import ActionCounts
from answerable.core.attribution.finding import Finding
from answerable.core.attribution.followed import AccountSeen
from answerable.core.lease.own_account import DeclaredTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.api.incident_answers import IncidentAnswer, IncidentsAnswer
    from answerable.api.log_answers import FollowedLog
    from answerable.api.search_answers import (
        AccountsAnswer,
        NameAnswer,
        ScopeAnswer,
        SearchAnswer,
        StoryAnswer,
    )

SEARCH_PATH: Final = "/v1/search"
STORY_PATH: Final = "/v1/story"
NAME_PATH: Final = "/v1/name"
SCOPE_PATH: Final = "/v1/scope"
ACCOUNTS_PATH: Final = "/v1/accounts"
LOGS_PATH: Final = "/v1/logs"
UNDER_PATH: Final = "/v1/under"
TREE_PATH: Final = "/v1/tree"
TRACE_PATH: Final = "/v1/trace"
INCIDENTS_PATH: Final = "/v1/incidents"
INCIDENT_PATH: Final = "/v1/incident"
REACH_PATH: Final = "/v1/reach"
HOST: Final = "search"
QUESTION_SECONDS_MAX: Final = 15.0
"""How long a question waits at most, whoever asks: with the start of the process, and what that has to read first."""


Within = Literal["all", "log", "names"]
"""What is asked: every shard, this log alone, or this log alone with numbers that name no entry of it."""


class Question(Part, frozen=True, kw_only=True):
    """One search. words: `field:value` each. cursor: empty for the first page. entries: how many entries of the log are
    durable: the answer covers them, if they can be read in time."""

    words: tuple[str, ...]
    limit: int
    cursor: str
    entries: int
    within: Within = "all"


class StoryQuestion(Part, frozen=True, kw_only=True):
    """One question for a story. words: names, and `field:value`. limit: of entries that are asked about. declared: what
    the broker declares of its targets; None where it could not be asked."""

    words: tuple[str, ...]
    limit: int
    entries: int
    declared: tuple[DeclaredTarget, ...] | None = None
    within: Within = "all"


class NameQuestion(Part, frozen=True, kw_only=True):
    """One question what a name stands for. declared: as of a story."""

    name: str
    entries: int
    declared: tuple[DeclaredTarget, ...] | None = None
    within: Within = "all"


class AccountsQuestion(Part, frozen=True, kw_only=True):
    """One question for accounts. target: at one alone; empty for all. declared: as of a story."""

    target: str
    entries: int
    declared: tuple[DeclaredTarget, ...] | None = None
    within: Within = "all"


class ScopeQuestion(Part, frozen=True, kw_only=True):
    """One question what was out of scope. words: `field:value` each. rows: of each table."""

    words: tuple[str, ...]
    rows: int
    entries: int
    within: Within = "all"


class LogsQuestion(Part, frozen=True, kw_only=True):
    """One question how far the logs of targets were read, and what they show. entries: as in `Question`: what is
    recorded up to there is not told again. findings: at most so many."""

    entries: int
    findings: int
    within: Within = "log"


class LogsTold(Part, frozen=True, kw_only=True):
    """How far logs were read, and findings that no entry has. accounts: governed accounts that they have lines of."""

    logs: LogsAnswer
    findings: tuple[Finding, ...]
    accounts: tuple[AccountSeen, ...]


class UnderQuestion(Part, frozen=True, kw_only=True):
    """One question for actions under a manifest, prompt or model, as `wanted_manifest` takes them. cursor: as for a
    search."""

    manifest: str
    prompt: str
    model: str
    limit: int
    cursor: str
    entries: int
    within: Within = "log"


class UnderAnswer(Part, frozen=True, kw_only=True):
    """One page of actions under a manifest, oldest first. next: cursor of the page after this; empty for none."""

    items: tuple[ActionUnder, ...]
    next: str


class TreeQuestion(Part, frozen=True, kw_only=True):
    """One question what was handed on below a mandate."""

    mandate: str
    entries: int
    within: Within = "log"


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


class TraceQuestion(Part, frozen=True, kw_only=True):
    """One question whether effects can be traced to people. ends: the entries that record them."""

    ends: tuple[int, ...]
    entries: int
    within: Within = "log"


class Traced(Part, frozen=True, kw_only=True):
    """Whether a person was found behind an effect, and how long that took."""

    found: bool
    micros: int


class TraceAnswer(Part, frozen=True, kw_only=True):
    """One for each effect that was asked about, in that order."""

    items: tuple[Traced, ...]


class IncidentsQuestion(Part, frozen=True, kw_only=True):
    """One question which incidents there are."""

    entries: int
    within: Within = "log"


class IncidentQuestion(Part, frozen=True, kw_only=True):
    """One question about an incident. name: its id."""

    name: str
    entries: int
    within: Within = "log"


class IndexReach(Part, frozen=True, kw_only=True):
    """Up to how many entries the index is complete."""

    entries: int


class SearchProcess(Protocol):
    """Promises: each question is answered within a limited time, and stops nothing where it is not.

    Raises Malformed as `parsed_query`, `parsed_cursor` and `wanted_manifest`, and `scope.field`; Refused
    (`timeline.manifest_unknown`); Unavailable: `search.*`.
    """

    async def search(self, question: Question) -> SearchAnswer:
        """Return one page of hits."""
        ...

    async def story(self, question: StoryQuestion) -> StoryAnswer:
        """Return the story of names; without lines where there is none."""
        ...

    async def name(self, question: NameQuestion) -> NameAnswer:
        """Return what a name stands for, or may be."""
        ...

    async def scope(self, question: ScopeQuestion) -> ScopeAnswer:
        """Return how much was out of scope."""
        ...

    async def accounts(self, question: AccountsQuestion) -> AccountsAnswer:
        """Return the accounts at targets."""
        ...

    async def logs(self, question: LogsQuestion) -> LogsTold:
        """Return how far the logs of targets were read, and what they show."""
        ...

    async def under(self, question: UnderQuestion) -> UnderAnswer:
        """Return the actions under a manifest. Raises Unavailable (`search.behind`) rather than leave any out."""
        ...

    async def tree(self, question: TreeQuestion) -> TreeAnswer:
        """Return what was handed on below a mandate. Raises as `under`."""
        ...

    async def trace(self, question: TraceQuestion) -> TraceAnswer:
        """Return whether effects can be traced to people. Raises as `under`."""
        ...

    async def incidents(self, question: IncidentsQuestion) -> IncidentsAnswer:
        """Return all incidents, newest first."""
        ...

    async def incident(self, question: IncidentQuestion) -> IncidentAnswer:
        """Return one incident. Raises Malformed (`incident.unknown`)."""
        ...

    async def reach(self) -> IndexReach:
        """Return up to where the index is complete."""
        ...


class Searches(Protocol):
    """The index that answers questions, as the server asks it: by the process above, which is started where it does not
    run. Raises as that, and Unavailable (`search.off`) where none is kept."""

    async def search(self, words: Sequence[str], *, limit: int, cursor: str) -> SearchAnswer:
        """Return a page of hits."""
        ...

    async def story(self, words: Sequence[str], *, limit: int) -> StoryAnswer:
        """Return the story of names."""
        ...

    async def name(self, name: str) -> NameAnswer:
        """Return what a name stands for."""
        ...

    async def scope(self, words: Sequence[str], *, rows: int) -> ScopeAnswer:
        """Return how much was out of scope."""
        ...

    async def accounts(self, target: str) -> AccountsAnswer:
        """Return the accounts at all targets, or at one."""
        ...

    async def logs(self, *, findings: int = 0) -> LogsTold:
        """Return how far the logs of targets were read, and at most so many findings that no entry has."""
        ...

    def told_of_logs(self) -> tuple[FollowedLog, ...]:
        """Return what was told last of the logs of targets."""
        ...

    async def under(self, *, manifest: str, prompt: str, model: str, limit: int, cursor: str) -> UnderAnswer:
        """Return a page of actions under a manifest."""
        ...

    async def tree(self, mandate: str) -> TreeAnswer:
        """Return what was handed on below a mandate."""
        ...

    async def trace(self, ends: Sequence[int]) -> TraceAnswer:
        """Return whether effects can be traced to people. Raises Unavailable (`search.off`) also where the process was
        not started yet: it is not started for this."""
        ...

    async def incidents(self) -> IncidentsAnswer:
        """Return all incidents, newest first."""
        ...

    async def incident(self, name: str) -> IncidentAnswer:
        """Return one incident. Raises Malformed (`incident.unknown`)."""
        ...

    async def told(self) -> tuple[str, int, str]:
        """Return its state, up to how many entries it is complete, and the reason of an alarm."""
        ...
