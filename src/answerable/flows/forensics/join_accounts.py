"""Join the accounts that several shards know, each by its own log, into one list.

Laws: what the ledger says is added; lines of targets' logs count once, of the shard that knows most of them; an account
that is named after a lease is unknown only if no shard has the lease; what is joined does not depend on the order of
the answers.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Final, Protocol

from msgspec.structs import replace

from answerable.api.search_answers import AccountUser, ShardReach
from answerable.core.lease.name import lease_of
from answerable.core.search.accounts import ACCOUNT_CLASSES, ALL_LEASES, LEASE_CLASSES
from answerable.flows.forensics.list_accounts import ACCOUNTS_MAX, LISTED
from answerable.flows.forensics.tell_accounts import advice_of_leases
from answerable.flows.forensics.tell_hits import millis

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from answerable.api.search_answers import AccountsAnswer, TargetAccount

    Key = tuple[str, str, str]

_RANK: Final[dict[str, int]] = {kind: number for number, kind in enumerate(ACCOUNT_CLASSES)}


class Reached(Protocol):
    """What every answer says of the log that it is about."""

    @property
    def entries(self) -> int:
        """Entries up to which it is complete."""
        ...

    @property
    def missing(self) -> int:
        """Later entries."""
        ...

    @property
    def complete_at(self) -> str | None:
        """Time of the last entry."""
        ...


def joined_accounts(
    own: str, answers: Mapping[str, AccountsAnswer], unread: Mapping[str, str]
) -> AccountsAnswer:
    """Return one list, those first that need somebody.

    own: the shard whose process answers. answers: by shard; that of `own` is among them. unread: shards that could not
    be asked, with the reason.
    """
    rows = joined_rows(own, {shard: one.items for shard, one in answers.items()})
    return replace(
        answers[own],
        items=rows[:ACCOUNTS_MAX],
        more=max(0, len(rows) - ACCOUNTS_MAX) + max(one.more for one in answers.values()),
        happened=any(one.happened for one in answers.values()),
        shards=reaches(own, answers),
        elsewhere=dict(unread),
    )


def joined_rows(own: str, tables: Mapping[str, Sequence[TargetAccount]]) -> tuple[TargetAccount, ...]:
    """Return the accounts of all tables, each once. own: as for `joined_accounts`."""
    found: dict[Key, list[TargetAccount]] = {}
    lines: dict[Key, list[TargetAccount]] = {}
    sources = _sources(own, tables)
    for shard, table in tables.items():
        # A story of several names may have an account twice.
        for one in dict.fromkeys(table):
            found.setdefault(_key(one), []).append(one)
            if shard == sources[one.target]:
                lines.setdefault(_key(one), []).append(one)
    for key, rows in found.items():
        if key not in lines and not key[2] and lease_of(key[1]) is None and any(one.lines for one in rows):
            lines[key] = [max(rows, key=lambda one: (one.past, one.lines))]
    of_leases: dict[str, list[TargetAccount]] = {}
    for key in [*lines]:
        if key[2] or _is_explained(found[key], len(tables)):
            of_leases.setdefault(key[0], []).extend(lines.pop(key))
    found = {key: rows for key, rows in found.items() if not _is_explained(rows, len(tables))}
    for target, some in of_leases.items():
        action, task = ((target, ALL_LEASES, kind) for kind in ("action", "task"))
        if task in found and not any(one.accounts for one in found.get(action, ())):
            # No lease of an action is known there: such a row has lines alone.
            found.pop(action, None)
            lines[task] = some
        else:
            lines[action] = some
    past = {one.target: one.advice for rows in found.values() for one in rows if _is_past(one)}
    joined = (_advised(_joined(rows, lines.get(key, ())), past) for key, rows in found.items())
    return tuple(sorted(joined, key=lambda one: (_RANK[one.kind], one.target, one.name)))


def _sources(own: str, tables: Mapping[str, Sequence[TargetAccount]]) -> dict[str, str]:
    """Return the shard whose lines of a target's log count: the one that knows most of them, as all know what was kept
    of a log, and each its own findings."""
    known: dict[str, dict[str, tuple[int, int, bool]]] = {}
    for shard, table in tables.items():
        for one in dict.fromkeys(table):
            past, lines, is_own = known.setdefault(one.target, {}).get(shard, (0, 0, shard == own))
            known[one.target][shard] = (past + one.past, lines + one.lines, is_own)
    return {target: max(shards, key=shards.__getitem__) for target, shards in known.items()}


def _key(one: TargetAccount) -> Key:
    return one.target, one.name, one.kind if one.kind in LEASE_CLASSES else ""


def _is_past(one: TargetAccount) -> bool:
    return one.kind in LEASE_CLASSES and one.past > 0


def _advised(one: TargetAccount, past: Mapping[str, str]) -> TargetAccount:
    """Return an account with the advice for its lines, which another row of accounts of leases may have had. past: what
    shards advise of such rows, by target."""
    if one.kind not in LEASE_CLASSES:
        return one
    return replace(one, advice=past[one.target] if one.past else advice_of_leases(one.kind, one.target))


def _is_explained(rows: Sequence[TargetAccount], tables: int) -> bool:
    """Return whether a log names an account after a lease that another shard has."""
    return len(rows) < tables and all(
        one.kind == "unknown" and lease_of(one.name) is not None for one in rows
    )


def _joined(rows: Sequence[TargetAccount], lines: Sequence[TargetAccount]) -> TargetAccount:
    """Return one account. rows: of each shard that knows it. lines: those whose lines of the target's log count."""
    told = max(rows, key=lambda one: (_RANK[one.kind], one.past, one.lines))
    agents, more_agents = _users([one.agents for one in rows], [one.more_agents for one in rows])
    people, more_people = _users([one.people for one in rows], [one.more_people for one in rows])
    accounts = [one.accounts for one in rows]
    return replace(
        told,
        accounts=sum(accounts) if told.kind in LEASE_CLASSES else max(accounts),
        actions=sum(one.actions for one in rows),
        first_at=_first(one.first_at for one in rows),
        last_at=_last(one.last_at for one in rows),
        agents=agents,
        more_agents=more_agents,
        people=people,
        more_people=more_people,
        kept=max(one.kept for one in rows),
        lines=sum(one.lines for one in lines),
        past=sum(one.past for one in lines),
        seen_first_at=_first(one.seen_first_at for one in lines),
        seen_last_at=_last(one.seen_last_at for one in lines),
    )


def _users(
    named: Sequence[Sequence[AccountUser]], others: Sequence[int]
) -> tuple[tuple[AccountUser, ...], int]:
    """Return those with the most actions, and how many others there are at least."""
    counts = Counter[str]()
    for one in chain.from_iterable(named):
        counts[one.name] += one.actions
    users = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    listed = tuple(AccountUser(name=name, actions=actions) for name, actions in users[:LISTED])
    return listed, max(0, len(users) - LISTED) + max(others)


def _first(times: Iterable[str | None]) -> str | None:
    return min((one for one in times if one is not None), key=millis, default=None)


def _last(times: Iterable[str | None]) -> str | None:
    return max((one for one in times if one is not None), key=millis, default=None)


def reaches(own: str, answers: Mapping[str, Reached]) -> tuple[ShardReach, ...]:
    """Return up to where the answers of other shards than `own` are complete."""
    return tuple(
        ShardReach(shard=shard, entries=one.entries, complete_at=one.complete_at, missing=one.missing)
        for shard, one in answers.items()
        if shard != own
    )
