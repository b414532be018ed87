"""Store mandates in SQLite, with a mirror for reads and budgets in memory."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import behind, collector_at_rest, octets, text, whole
from answerable.core.canonical import encode, parse
from answerable.core.ledger.leaves import Reference
from answerable.core.mandate.budget import Spending
from answerable.core.mandate.mandate import Mandate, MandateId
from answerable.core.mandate.token import claims_of, is_of_token, signed, terms_of
from answerable.errors import Unavailable, shown
from answerable.errors.codes.mandate import BUDGET_AMOUNT, MANDATE_DUPLICATE, MANDATE_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.identity.names.principal import AgentId
    from answerable.core.mandate.budget import Account, Amounts, Lack
    from answerable.core.mandate.mandate import MandateState


ROWS_AT_A_TIME: Final = 10_000
"""Rows read at a time at a start, so that not all of their text is in memory at once."""

_RECEIVERS: Final = "SELECT receiver FROM receivers WHERE mandate = ? AND giver = ?"
_NEWER: Final = "SELECT number, id, claims, token FROM mandates WHERE number > ? ORDER BY number LIMIT ?"
_CLOSED: Final = "FROM mandates WHERE state = 'closed'"


class SqliteMandateRegister:
    """Port MandateRegister. Budgets are in this process's memory: one process reserves under one mandate.

    A mandate that cannot be read is not found, so its actions are refused. If a stored use cannot be read, none counts
    as stored, so that all uses are counted from the ledger again.
    """

    def __init__(self, store: SqliteStore) -> None:
        """Raises Unavailable (`register.unavailable`, `register.corrupt`)."""
        self._store, self._reader = store, store.lookup
        self._budgets = threading.Lock()
        self._mandates: dict[MandateId, Mandate] = {}
        self._closed: frozenset[MandateId] = frozenset()
        # Closed in this process, but not in the file.
        self._behind: frozenset[MandateId] = frozenset()
        # How many mandates were closed in the file at the last read, regardless of later ones closed in this process.
        self._closed_read = 0
        self._spending = Spending()
        self._read = 0
        store.mirror(self._reload, ends=True, register="mandates")

    def find(self, mandate: MandateId) -> Mandate | None:
        found = self._mandates.get(mandate)
        # Another process may have issued it since the last refresh, and whoever got it may use it here at once.
        if found is None and self._store.refresh():
            found = self._mandates.get(mandate)
        return found

    def state(self, mandate: MandateId) -> MandateState:
        return "open" if mandate in self._mandates and mandate not in self._closed else "closed"

    def calls_used(self, mandate: MandateId) -> int:
        return self._spending.calls(mandate)

    def used(self, account: str) -> Amounts:
        with self._budgets:
            return self._spending.used(account)

    def lack(self, accounts: Sequence[Account], amounts: Amounts) -> Lack | None:
        with self._budgets:
            return self._spending.lack(accounts, amounts)

    def reserve(self, accounts: Sequence[Account], amounts: Amounts) -> int | Lack | None:
        mandate = MandateId(accounts[0].id)
        with self._budgets:
            if mandate not in self._mandates or mandate in self._closed:
                return None
            return self._spending.reserve(accounts, amounts)

    def give_back(self, accounts: Iterable[str], amounts: Amounts) -> None:
        with self._budgets:
            self._spending.give_back(accounts, amounts)

    def take_more(self, accounts: Iterable[str], amounts: Amounts) -> None:
        with self._budgets:
            self._spending.take(accounts, amounts)

    def restore_used(self, account: str, amounts: Amounts) -> None:
        with self._budgets:
            self._spending.restore(account, amounts)

    def keep_used(self, origin: str, used: Mapping[str, Amounts], entries: int) -> None:
        # The next start looks for uses in the entries behind these alone.
        with self._store.uses.write() as connection:
            connection.executemany(
                "INSERT INTO budgets_used (origin, account, budget, amount) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (origin, account, budget) DO UPDATE SET amount = excluded.amount",
                [
                    (origin, account, budget, amount)
                    for account, amounts in used.items()
                    for budget, amount in amounts.items()
                ],
            )
            connection.execute(
                "INSERT INTO calls_counted (origin, entries) VALUES (?, ?) "
                "ON CONFLICT (origin) DO UPDATE SET entries = excluded.entries",
                (origin, entries),
            )

    def kept_used(self, origin: str) -> Mapping[str, Amounts]:
        return self._kept(origin) or {}

    def used_up_to(self, origin: str) -> int:
        rows = self._store.rows("SELECT entries FROM calls_counted WHERE origin = ?", (origin,))
        return whole(rows[0][0]) if rows and self._kept(origin) is not None else 0

    def _kept(self, origin: str) -> Mapping[str, Amounts] | None:
        """Return the stored uses; None if one cannot be read."""
        rows = self._store.rows(
            "SELECT account, budget, amount, origin FROM budgets_used WHERE origin = ?", (origin,)
        )
        read = [*self._store.unreadable.each("budget of", rows, _used, 0, 1, 3)]
        if len(read) < len(rows):
            return None
        found: dict[str, dict[str, int]] = {}
        for account, budget, amount in read:
            found.setdefault(account, {})[budget] = amount
        return found

    def add(self, mandate: Mandate, *, issued: Reference | None = None) -> None:
        """Add a mandate. Raises Malformed also for terms that could not be decoded again."""
        claims = claims_of(mandate, audience="")
        terms_of(claims)
        row = (mandate.id, encode(claims), mandate.token)
        with self._store.write() as connection:
            try:
                connection.execute(
                    "INSERT INTO mandates (id, claims, token, state) VALUES (?, ?, ?, 'open')", row
                )
            except sqlite3.IntegrityError:
                raise MANDATE_DUPLICATE(f"a mandate {shown(mandate.id)} is registered already") from None
            if issued is not None:
                connection.execute(
                    "INSERT INTO mandates_issued (mandate, origin, entry, leaf) VALUES (?, ?, ?, ?)",
                    (mandate.id, issued.log, issued.entry, issued.leaf),
                )
        self._mandates[mandate.id] = mandate

    def issued(self, mandate: MandateId) -> Reference | None:
        """Return the entry that issued a mandate. Read from the file, since only closing a mandate needs it."""
        query = "SELECT entry, leaf, origin FROM mandates_issued WHERE mandate = ?"
        rows = self._store.rows(query, (mandate,))
        if not rows:
            return None
        entry, leaf, origin = rows[0]
        return Reference(entry=whole(entry), leaf=text(leaf), log=text(origin))

    def close(self, mandate: MandateId) -> None:
        # Close it in memory first, so that it is closed even if the file cannot be written.
        self._closed |= {mandate}
        try:
            self._close(mandate)
        except Unavailable as failed:
            self._behind |= {mandate}
            self._store.tell_here()
            raise behind(failed) from failed

    def behind(self) -> Sequence[MandateId]:
        """Return the mandates that are closed in this process but not in the file. No I/O."""
        return tuple(self._behind)

    def catch_up(self) -> None:
        """Write the closed mandates that are not in the file yet. Raises Unavailable."""
        for mandate in self._behind:
            self._close(mandate)
            self._behind -= {mandate}

    def _close(self, mandate: MandateId) -> None:
        with self._store.write() as connection:
            connection.execute("UPDATE mandates SET state = 'closed' WHERE id = ?", (mandate,))

    def admit(self, mandate: MandateId, giver: AgentId, receiver: AgentId, *, width_max: int) -> bool:
        """Admit a receiver. A known receiver is found without a write."""
        place = mandate, giver
        known = {text(row[0]) for row in self._reader.few(_RECEIVERS, place)}
        if receiver in known or len(known) >= width_max:
            return receiver in known
        with self._store.write() as connection:
            known = {text(row[0]) for row in connection.execute(_RECEIVERS, place)}
            if receiver not in known and len(known) >= width_max:
                return False
            connection.execute("INSERT OR IGNORE INTO receivers VALUES (?, ?, ?)", (*place, receiver))
        return True

    def all(self) -> Iterable[Mandate]:
        return tuple(reversed(tuple(self._mandates.values())))

    def _reload(self) -> None:
        """Read new mandates only, since stored terms never change."""
        fresh: dict[MandateId, Mandate] = {}
        last = self._read
        with collector_at_rest():
            while rows := self._store.rows(_NEWER, (last, ROWS_AT_A_TIME)):
                fresh |= {one.id: one for one in self._store.unreadable.each("mandate", rows, _mandate, 1)}
                last = whole(rows[-1][0])
        if fresh:
            # Mandates added by this process meanwhile are among these, so reinsert them in the order of all.
            self._mandates = {
                **{key: one for key, one in self._mandates.items() if key not in fresh},
                **fresh,
            }
        self._read = last
        # A closed mandate never reopens, so an equal count means the same set.
        if whole(self._store.rows(f"SELECT count(*) {_CLOSED}")[0][0]) != self._closed_read:
            closed = self._store.rows(f"SELECT id {_CLOSED}")
            self._closed = self._behind.union(MandateId(text(row[0])) for row in closed)
            self._closed_read = len(closed)


def _mandate(row: tuple[object, ...]) -> Mandate:
    claims = parse(octets(row[2]))
    mandate = signed(terms_of(claims if isinstance(claims, dict) else {}), text(row[3]))
    if mandate.id != text(row[1]):
        raise MANDATE_MALFORMED("it is of another id")
    # Another program can edit the claims and remove the triggers' mark of it, but it cannot sign a token.
    if not is_of_token(octets(row[2]), mandate.token):
        raise MANDATE_MALFORMED("its claims are not those of its signed token")
    return mandate


def _used(row: tuple[object, ...]) -> tuple[str, str, int]:
    if whole(row[2]) < 0:
        raise BUDGET_AMOUNT("the used amount is negative")
    return text(row[0]), text(row[1]), whole(row[2])
