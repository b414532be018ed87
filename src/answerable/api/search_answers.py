"""What a search answers."""

from __future__ import annotations

from typing import Annotated

from answerable.api.ledger_answers import TimelineLine
from answerable.api.members import Component, Count, Instant, Part, Texts, words


class ShardReach(Part, frozen=True, kw_only=True):
    """Up to where the answer of another shard is complete. entries, complete_at, missing: of its log, as of one log."""

    shard: str
    entries: Count
    complete_at: Instant | None
    missing: Count


class SearchHit(Part, frozen=True, kw_only=True):
    """One entry that matches: an action with its outcome, a refusal, or anything else. Members that do not apply are
    empty or None; person: the name where it can be decrypted, else the pseudonym. currency: of the amount, which then
    is in its minor units; empty where none is declared. shard: whose log has the entry; empty for a ledger of one
    log."""

    shard: str
    entry: Count
    at: Instant
    kind: str
    text: str
    outcome: str
    ended: Count | None
    ended_at: Instant | None
    action: str
    agent: str
    instance: str
    person: str
    mandate: str
    use_case: str
    capability: str
    server: str
    target: str
    resource: str
    destinations: Texts
    amount: int | None
    currency: str
    rules: Texts
    code: str
    approval: str
    lease: str
    hold: str
    session: dict[str, str]


class SearchAnswer(Component, frozen=True, kw_only=True):
    """The hits of a search, newest first. next: cursor of the page after this; empty for none.

    log: the origin of the log whose process answered. entries, complete_at: the answer is complete up to this number of
    its entries, and the time of the last of them; None for an empty ledger. missing: how many later entries it has that
    could not be searched yet. shards: the same of each other shard whose log was searched. elsewhere: shards whose logs
    could not be searched, and why. happened: False where nothing has been recorded yet that could be found. sealed:
    fields that were asked for and are sealed where no keys are at hand: no items then does not mean that nothing
    matches.
    """

    items: tuple[SearchHit, ...]
    next: str
    log: str
    entries: Count
    missing: Count
    shards: tuple[ShardReach, ...]
    elsewhere: dict[str, str]
    complete_at: Instant | None
    happened: bool
    sealed: Texts


class StoryGroup(Part, frozen=True, kw_only=True):
    """Actions of a story that are alike. line: what is said of all of them, with the index and time of the first.
    until: time of the last."""

    line: TimelineLine
    until: Instant
    entries: tuple[Count, ...]


class StoryGist(Part, frozen=True, kw_only=True):
    """A story in a few lines. outcomes: number of actions by outcome. not_reversible: entries of what cannot be undone,
    of a shard as `SHARD/ENTRY`. not_readable: number of actions of which that is sealed."""

    agents: Texts
    people: Texts
    tasks: Texts
    outcomes: dict[str, int]
    rules: Texts
    approvals: Texts
    not_reversible: Texts
    not_readable: Count


class NameBeside(Part, frozen=True, kw_only=True):
    """What is spelled like a name and is something else, such as a resource that a caller wrote. ask: as it is asked
    for alone. entries: how many have it and do not belong to the name."""

    kind: str
    ask: str
    entries: Count


class AccountUser(Part, frozen=True, kw_only=True):
    """An agent or a person that used an account. name: of a person, where it can be decrypted, else the pseudonym."""

    name: str
    actions: Count


class TargetAccount(Part, frozen=True, kw_only=True):
    """An account at a target, or all of one target that were made for leases of one kind.

    kind: `unknown`: a log names it, and nobody declared it; `static`: a secret of the broker's own; `shared`: several
    leases have it; `task`, `action`: made for one task or one action. name: `ans_*` for all accounts of leases; empty
    where the target has no name for what leases have. accounts: how many accounts these are. actions, first_at,
    last_at, agents, people: who used it by the ledger, those with the most actions first; more_agents, more_people: how
    many others. kept: where the broker has its secret; empty where it has none. lines, past, seen_first_at,
    seen_last_at: lines of the target's log, as `answerable attribute` found them, and those that no step explains.
    advice: what to do next.
    """

    target: str
    name: str
    kind: Annotated[str, words("unknown", "static", "shared", "task", "action")]
    accounts: Count
    actions: Count
    first_at: Instant | None
    last_at: Instant | None
    agents: tuple[AccountUser, ...]
    more_agents: Count
    people: tuple[AccountUser, ...]
    more_people: Count
    kept: str
    lines: Count
    past: Count
    seen_first_at: Instant | None
    seen_last_at: Instant | None
    advice: str


class AccountsAnswer(Component, frozen=True, kw_only=True):
    """Accounts at targets, those first that need somebody. more: how many others there are. broker: whether the broker
    was asked; where not, its own accounts are missing, and a key behind leases is told as their accounts. fault: why
    accounts seen in logs are missing; empty where they are not.

    entries, complete_at, missing, shards, elsewhere, happened: as in an answer to a search.
    """

    items: tuple[TargetAccount, ...]
    more: Count
    broker: bool
    fault: str
    entries: Count
    missing: Count
    shards: tuple[ShardReach, ...]
    elsewhere: dict[str, str]
    complete_at: Instant | None
    happened: bool


class StoryAnswer(Component, frozen=True, kw_only=True):
    """The story of a name, or of what meets a search. name: what was asked. kinds: what the name is. also: what is
    spelled like it, and is not in the story. accounts: those at targets that have the name. unknown: names that
    no entry has, at any time. lines: every entry, oldest first. is_cut: whether older entries that were asked about are
    left out.

    entries, complete_at, missing, shards, elsewhere, happened, sealed: as in an answer to a search; sealed has what the
    name was not tried as.
    """

    name: str
    kinds: Texts
    also: tuple[NameBeside, ...]
    accounts: tuple[TargetAccount, ...]
    unknown: Texts
    gist: StoryGist
    lines: tuple[TimelineLine, ...]
    groups: tuple[StoryGroup, ...]
    is_cut: bool
    entries: Count
    missing: Count
    shards: tuple[ShardReach, ...]
    elsewhere: dict[str, str]
    complete_at: Instant | None
    happened: bool
    sealed: Texts


class ScopeRow(Part, frozen=True, kw_only=True):
    """Attempts outside of scope with one name. by: agent, capability, use case, rule, code or week. name: empty for
    attempts that have none; of a week, its Monday. share: of all decided actions with this name, for rules and codes of
    all; from 0 to 1. limits: attempts by what they were outside of. examples: ids of the newest."""

    by: str
    name: str
    outside: Count
    actions: Count
    share: float
    limits: dict[str, int]
    examples: Texts


class ScopeAnswer(Component, frozen=True, kw_only=True):
    """Attempts outside of scope. actions: all decided actions. by_policy: refusals by an organisation's own policies,
    which are not counted as outside. other: refusals for another reason. unrecorded: refusals past a quota, which have
    no entry of their own and are in no other number.

    entries, complete_at, missing, shards, elsewhere, happened: as in an answer to a search.
    """

    actions: Count
    outside: Count
    share: float
    limits: dict[str, int]
    by_policy: Count
    other: Count
    unrecorded: Count
    rows: tuple[ScopeRow, ...]
    entries: Count
    missing: Count
    shards: tuple[ShardReach, ...]
    elsewhere: dict[str, str]
    complete_at: Instant | None
    happened: bool


class NameOf(Part, frozen=True, kw_only=True):
    """A name that belongs to another one. name: empty for the rest, which `told` counts. told: of a person the name,
    where it can be decrypted. entries: how many have both."""

    field: str
    name: str
    told: str
    entries: Count


class Naming(Part, frozen=True, kw_only=True):
    """What a name may be. ask: as it is asked for alone. same: other kinds that have the same entries."""

    kind: str
    name: str
    ask: str
    same: Texts


class NameAnswer(Component, frozen=True, kw_only=True):
    """What a name stands for. may_be: all that it may be; the other members are empty unless this is one thing. also:
    what is spelled like it. accounts: those at targets that have the name, also where no entry has it. named: how many
    entries name it. outcomes: number of its actions by outcome. events: its newest entries about no action, oldest
    first. newest: its newest actions.

    entries, complete_at, missing, shards, elsewhere, happened, sealed: as in an answer to a search; sealed has what the
    name was not tried as.
    """

    may_be: tuple[Naming, ...]
    also: tuple[NameBeside, ...]
    accounts: tuple[TargetAccount, ...]
    named: Count
    first_at: Instant | None
    last_at: Instant | None
    outcomes: dict[str, int]
    belongs: tuple[NameOf, ...]
    events: tuple[TimelineLine, ...]
    newest: tuple[SearchHit, ...]
    entries: Count
    missing: Count
    shards: tuple[ShardReach, ...]
    elsewhere: dict[str, str]
    complete_at: Instant | None
    happened: bool
    sealed: Texts
