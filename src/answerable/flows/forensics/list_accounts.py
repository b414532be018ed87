"""List the accounts at targets: from leases and findings, by the index, from what the broker declares, and from
targets' logs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from answerable.core.attribution.seen_account import found_in, joined
from answerable.core.ledger.tags import Tag
from answerable.core.search.accounts import ALL_LEASES, Account, AccountUse, inventory
from answerable.core.search.facts import PREVIEW, kind_of, kinds_of
from answerable.core.search.query import Query, Term
from answerable.flows.forensics.describe_name import person_told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.core.attribution.seen_account import SeenAccount
    from answerable.core.lease.own_account import DeclaredTarget
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.search_index import Reach, SearchIndex

LISTED: Final = 5
"""Agents and people that are named of one account."""
USERS_MAX: Final = 1_000
"""The same where answers of several logs are joined."""
ACCOUNTS_MAX: Final = 10_000
"""Accounts in one answer."""
FINDINGS_MAX: Final = 2_000
"""Findings in logs that are read for one answer: the newest."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of accounts beside the ledger. declared: by the broker; None where it was not asked. seen: in
    targets' logs. fault: why the accounts seen there could not be read; empty where they were."""

    declared: tuple[DeclaredTarget, ...] | None = None
    seen: tuple[SeenAccount, ...] = ()
    fault: str = ""


NOTHING: Final = Known()


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Who used an account, those with the most actions first: names with numbers, and how many others there are."""

    names: tuple[tuple[str, int], ...]
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAccount:
    """An account with the names of its users."""

    account: Account
    agents: Users
    people: Users


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """The accounts, those first that need somebody. more: how many others there are. reach: up to where the ledger was
    read."""

    listed: tuple[ListedAccount, ...]
    more: int
    reach: Reach


def list_accounts(teller: StoryTeller, known: Known, *, target: str = "", users: int = LISTED) -> Accounts:
    """Return the accounts at all targets, or at one. users: how many are named of each. Raises Unavailable and Broken
    as the index and the log do."""
    reach = teller.index.reach()
    uses = [*teller.index.account_uses(target=target)]
    uses += _nameless(teller.index, target, {one.target for one in uses})
    found = _joined(
        teller,
        uses,
        [one for one in known.declared or () if target in ("", one.name)],
        (one for one in with_findings(teller, known).seen if target in ("", one.target)),
    )
    return Accounts(
        listed=tuple(_listed(teller, one, users) for one in found[:ACCOUNTS_MAX]),
        more=max(0, len(found) - ACCOUNTS_MAX),
        reach=reach,
    )


def accounts_named(
    teller: StoryTeller, known: Known, name: str, *, users: int = LISTED
) -> tuple[ListedAccount, ...]:
    """Return the accounts of this name, at any target; of `ALL_LEASES`, those of leases too. known: with the findings.
    Raises as `list_accounts`."""
    if not name:
        return ()
    uses = [*teller.index.account_uses(name=name)]
    if name == ALL_LEASES:
        uses += (one for one in teller.index.account_uses() if not one.name)
    at = {one.target for one in uses}
    found = _joined(
        teller,
        uses,
        [one for one in known.declared or () if one.name in at or any(own.name == name for own in one.own)],
        (one for one in known.seen if (one.name or ALL_LEASES) == name),
    )
    # Beside the secret behind the leases of a target, the target may have others.
    return tuple(_listed(teller, one, users) for one in found if one.name == name or one.actions or one.lines)


def with_findings(teller: StoryTeller, known: Known) -> Known:
    """Add the accounts of findings in the ledger to those that were kept of logs, which may have them and then count
    once. Raises as `list_accounts`."""
    wanted = Query(terms=(Term("kind", (kind_of(Tag.LOG_FINDING),)),))
    entries = islice(teller.index.candidates(wanted, None), FINDINGS_MAX)
    moments = [teller.opened(one.entry) for one in entries]
    found = found_in(
        (str({**(one.payload or {}), **one.leaf}.get("account", "")), one.leaf) for one in moments
    )
    return replace(known, seen=tuple(joined(known.seen, found)[0])) if found else known


def _joined(
    teller: StoryTeller,
    uses: Iterable[AccountUse],
    declared: list[DeclaredTarget],
    seen: Iterable[SeenAccount],
) -> list[Account]:
    def is_of_lease(lease: str) -> bool:
        asked = Query(terms=(Term("lease", (lease,)),))
        return next(iter(teller.index.candidates(asked, None)), None) is not None

    return inventory(uses, declared, seen, is_of_lease)


def _nameless(index: SearchIndex, target: str, named: set[str]) -> Iterator[AccountUse]:
    """Yield the use of targets whose leases have no account with a name."""
    at_targets = Query(terms=(Term("kind", (kind_of(Tag.LEASE),)),))
    of_leases = {one.values[0] for one in index.tallies(at_targets, ("target",))} - named - {""}
    wanted = sorted(one for one in of_leases if target in ("", one))
    if not wanted:
        return
    query = Query(terms=(Term("kind", kinds_of((Tag.INTENT,))), Term("target", tuple(wanted))))
    for one in index.tallies(query, ("kind", "target", "agent", "person")):
        kind, where, agent, person = one.values
        yield AccountUse(
            target=where,
            name="",
            is_of_action=False,
            agent=agent,
            person=person,
            actions=0 if kind == PREVIEW else one.entries,
            accounts=0,
            first_at=one.first_at,
            last_at=one.last_at,
            newest=one.newest,
        )


def _listed(teller: StoryTeller, account: Account, users: int) -> ListedAccount:
    # Who had previews alone used nothing.
    agents = sorted((+account.agents).items(), key=lambda one: (-one[1], one[0]))
    used = ((person, use) for person, use in account.people.items() if use[0])
    people = sorted(used, key=lambda one: (-one[1][0], one[0]))
    named = [(person_told(teller, name, newest), count) for name, (count, newest) in people[:users] if name]
    return ListedAccount(
        account=account,
        agents=Users(names=tuple(agents[:users]), others=max(0, len(agents) - users)),
        people=Users(names=tuple(named), others=max(0, len(people) - users)),
    )
