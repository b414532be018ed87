"""The accounts at targets: joined from what the ledger says of leases, the broker of itself, and targets of their logs.

Laws: an account has one class, and what is not known of it is `unknown`, never guessed; what several leases used is
shared, whatever its name; where nobody but the broker keeps a credential to its task, the accounts of leases exist at
the broker alone, and what the target knows is the one key behind them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, get_args

from answerable.core.attribution.seen_account import OF_LEASES
from answerable.core.lease.name import ACCOUNT_PREFIX, lease_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from answerable.core.attribution.seen_account import SeenAccount
    from answerable.core.lease.own_account import DeclaredTarget

AccountClass = Literal["unknown", "static", "shared", "task", "action"]
"""unknown: a log names it, and nobody declared it. static: a secret of the broker's own, which works without a lease.
shared: several leases have it. task, action: made for one task, or for one action."""
ACCOUNT_CLASSES: Final[tuple[AccountClass, ...]] = get_args(AccountClass)
"""All classes, those first that need somebody."""
LEASE_CLASSES: Final[tuple[AccountClass, ...]] = ("action", "task")
"""Classes of accounts that were made for leases, which are one row for each target."""
ALL_LEASES: Final = f"{ACCOUNT_PREFIX}*"
"""Name of such a row. An account at a target may be called so, too: it is of another class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUse:
    """Actions of one agent, for one person, by accounts of one name. target: as the broker calls it. name: empty for
    accounts that were made for leases, of which there are `accounts`; 0 where leases have no account with a name.
    is_of_action: whether each was made for one action. person: pseudonym. newest: the entry of the last action."""

    target: str
    name: str
    is_of_action: bool
    agent: str
    person: str
    actions: int
    accounts: int
    first_at: int
    last_at: int
    newest: int


@dataclass(slots=True, kw_only=True)
class Account:
    """An account, or all accounts at a target that were made for leases of one window. accounts: how many those are.
    agents: actions of each. people: actions for each, and the entry of the last of them, by pseudonym. kept: where its
    secret is; empty for one that the broker does not keep. lines, past, seen_first, seen_last: as in the target's
    log."""

    target: str
    name: str
    kind: AccountClass
    accounts: int = 0
    actions: int = 0
    first_at: int = 0
    last_at: int = 0
    agents: Counter[str] = field(default_factory=Counter)
    people: dict[str, tuple[int, int]] = field(default_factory=dict)
    kept: str = ""
    log_kind: str = ""
    lines: int = 0
    past: int = 0
    seen_first: int = 0
    seen_last: int = 0

    def add_use(self, use: AccountUse) -> None:
        """Add actions."""
        self.actions += use.actions
        self.first_at = min(self.first_at or use.first_at, use.first_at)
        self.last_at = max(self.last_at, use.last_at)
        self.agents[use.agent] += use.actions
        actions, newest = self.people.get(use.person, (0, 0))
        self.people[use.person] = (actions + use.actions, max(newest, use.newest))

    def add_lines(self, seen: SeenAccount) -> None:
        """Add lines of the target's log."""
        self.log_kind = seen.kind
        self.lines += seen.lines
        self.past += seen.past
        self.seen_first = min(self.seen_first or seen.first, seen.first or self.seen_first)
        self.seen_last = max(self.seen_last, seen.last)


def inventory(
    uses: Iterable[AccountUse],
    declared: Sequence[DeclaredTarget],
    seen: Iterable[SeenAccount],
    is_of_lease: Callable[[str], bool],
) -> list[Account]:
    """Return the accounts, those first that need somebody. is_of_lease: whether the ledger has the lease that an
    account is named after."""
    found = _Rows(declared)
    for use in uses:
        found.of_use(use).add_use(use)
    for one in seen:
        found.of_line(one, is_of_lease).add_lines(one)
    rank = {kind: number for number, kind in enumerate(ACCOUNT_CLASSES)}
    return sorted(found.all.values(), key=lambda one: (rank[one.kind], one.target, one.name))


class _Rows:
    """Accounts by target, name and, for those of leases, the class."""

    def __init__(self, declared: Sequence[DeclaredTarget]) -> None:
        self.all: dict[tuple[str, str, str], Account] = {}
        self._keyed: dict[str, str] = {}
        self._known = {one.name for one in declared}
        for target in declared:
            for own in target.own:
                # Without an account the setting tells which secret it is.
                row = self._row(target.name, own.name or own.setting, "static")
                row.accounts, row.kept = 1, own.kept
            if target.boundary != "target":
                names = {own.name or own.setting for own in target.own}
                self._keyed[target.name] = names.pop() if len(names) == 1 else ""

    def of_use(self, use: AccountUse) -> Account:
        if use.target in self._keyed:
            row = self._row(use.target, self._keyed[use.target], "static")
        elif use.name:
            row = self._row(use.target, use.name, "shared")
            # The broker's own account, by which it obtains tokens for leases, is told once.
            row.kind = "shared"
        elif not use.accounts:
            row = self._row(use.target, "", "shared" if use.target in self._known else "unknown")
        else:
            row = self._of_leases(use.target, "action" if use.is_of_action else "task")
            row.accounts += use.accounts
            return row
        row.accounts = 1
        return row

    def of_line(self, seen: SeenAccount, is_of_lease: Callable[[str], bool]) -> Account:
        lease = lease_of(seen.name)
        if seen.name == OF_LEASES or (lease is not None and is_of_lease(lease)):
            known = (self.all.get((seen.target, ALL_LEASES, one)) for one in LEASE_CLASSES)
            row = next((one for one in known if one is not None), None)
            return row if row is not None else self._of_leases(seen.target, "action")
        row = self._row(seen.target, seen.name, "unknown")
        row.accounts = 1
        return row

    def _of_leases(self, target: str, kind: AccountClass) -> Account:
        return self.all.setdefault(
            (target, ALL_LEASES, kind), Account(target=target, name=ALL_LEASES, kind=kind)
        )

    def _row(self, target: str, name: str, kind: AccountClass) -> Account:
        return self.all.setdefault((target, name, ""), Account(target=target, name=name, kind=kind))
