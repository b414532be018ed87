"""Write accounts at targets as every endpoint gives them out, each with what to do next."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from answerable.api.search_answers import AccountsAnswer, AccountUser, TargetAccount
from answerable.core.incident.wording import plain
from answerable.flows.forensics.tell_hits import instant

if TYPE_CHECKING:
    from answerable.core.search.accounts import Account
    from answerable.flows.forensics.list_accounts import Accounts, Known, ListedAccount, Users

ADVICE: Final[dict[str, str]] = {
    "unknown": "find out whose it is, and remove it, or let only the broker use it: {attribute} tells each use past "
    "the broker",
    "static": "see when it is due, and what could take its place: `answerable credential inventory`",
    "shared": "see whether the broker can make an account for each action at this target: `answerable lease targets`; "
    "until then {attribute} tells each use past the broker",
    "task": "let each action have its own, where accounts are made fast enough: `window: action` in the capabilities "
    "that `answerable lease boundaries` lists",
    "action": "nothing: each ends with its action, and `answerable lease list --target {target}` lists those that are "
    "live",
}
"""What to do next, by class."""
PAST: Final = "find out who used it past the broker: {attribute} tells each line"
"""What to do first, of whatever class."""


def accounts_answer(found: Accounts, known: Known, *, durable: int = 0) -> AccountsAnswer:
    """Return accounts as an answer. durable: as for `answer_of`."""
    return AccountsAnswer(
        items=tuple(map(account_told, found.listed)),
        more=found.more,
        broker=known.declared is not None,
        fault=known.fault,
        missing=max(0, durable - found.reach.entries),
        shards=(),
        elsewhere={},
        entries=found.reach.entries,
        complete_at=instant(found.reach.at) if found.reach.entries else None,
        happened=found.reach.happened,
    )


def account_told(one: ListedAccount) -> TargetAccount:
    """Return one account as an answer."""
    account = one.account
    return TargetAccount(
        target=account.target,
        name=account.name,
        kind=account.kind,
        accounts=account.accounts,
        actions=account.actions,
        first_at=_instant(account.first_at),
        last_at=_instant(account.last_at),
        agents=_users(one.agents),
        more_agents=one.agents.others,
        people=_users(one.people),
        more_people=one.people.others,
        kept=account.kept,
        lines=account.lines,
        past=account.past,
        seen_first_at=_instant(account.seen_first),
        seen_last_at=_instant(account.seen_last),
        advice=advice_for(account),
    )


def advice_for(account: Account) -> str:
    """Return what to do next with an account, in one sentence with a command."""
    told = PAST if account.past and account.kind != "unknown" else ADVICE[account.kind]
    target = shlex.quote(plain(account.target))
    # A name that is not told as it is spelled is one that nobody can copy.
    name = shlex.quote(account.name) if plain(account.name) == account.name else "NAME"
    named = f" --account {name}" if account.kind in ("unknown", "shared") else ""
    attribute = (
        f"`answerable attribute FILE --kind {account.log_kind or 'KIND'} --ledger DIR --target {target}"
        f"{named if account.name else ''}`"
    )
    return told.format(attribute=attribute, target=target)


def advice_of_leases(kind: str, target: str) -> str:
    """Return what to do next with accounts of leases that nobody used past the broker. kind: `task` or `action`."""
    return ADVICE[kind].format(target=shlex.quote(plain(target)))


def _users(users: Users) -> tuple[AccountUser, ...]:
    return tuple(AccountUser(name=name, actions=actions) for name, actions in users.names)


def _instant(at: int) -> str | None:
    return instant(at) if at else None
