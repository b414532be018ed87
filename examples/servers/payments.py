"""A small payments ledger as an MCP server: a batch is prepared first and submitted, that is paid, later.

Run it with `python examples/servers/payments.py --database payments.db`, or add `--http PORT`. Money
is an integer of minor units (cents). Every payment is two postings that sum to zero, and the
database itself refuses a second payment of the same batch. No bank is connected: the ledger is the bank.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field
from serving import ADDS, READS, flags, prepare, serve, transaction

SCHEMA = """
CREATE TABLE payees (payee TEXT PRIMARY KEY, iban TEXT NOT NULL) STRICT;
CREATE TABLE batches (
    number INTEGER PRIMARY KEY, payee TEXT NOT NULL, iban TEXT NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0), currency TEXT NOT NULL, reference TEXT NOT NULL,
    prepared_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT;
CREATE TABLE postings (
    posting_id INTEGER PRIMARY KEY, transfer TEXT NOT NULL, account TEXT NOT NULL,
    amount_minor INTEGER NOT NULL, currency TEXT NOT NULL,
    booked_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    UNIQUE (transfer, account)
) STRICT
"""
PAYS = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True
)
OPERATING = "operating"
FIRST_BATCH_NUMBER = 1001
PAYEES = [
    ("Linden Bakery", "DE89370400440532013000"),
    ("Lindqvist Print", "SE4550000000058398257466"),
    ("Harbour Logistics", "GB29NWBK60161331926819"),
    ("Casa Verde", "ES9121000418450200051332"),
]
OPENING = [("opening-EUR", "EUR", 2_500_000_00), ("opening-USD", "USD", 400_000_00)]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One payment batch; `paid_at` is empty until it was submitted. Amounts are minor units."""

    batch_id: str
    payee: str
    iban: str
    amount_minor: int
    currency: str
    reference: str
    status: Literal["prepared", "paid"]
    paid_at: str


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What is left on the operating account in one currency, in minor units."""

    currency: str
    amount_minor: int


BatchId = Annotated[str, Field(pattern="^PB-[1-9][0-9]{3,11}$", description="as returned by batch_prepare")]
Payee = Annotated[str, Field(min_length=1, max_length=140, description="name of the payee")]
# Strict, because 4200.0, "4200" and true must never become an amount.
Amount = Annotated[int, Field(strict=True, gt=0, le=10**12, description="in minor units, such as cents")]
Currency = Annotated[Literal["EUR", "USD"], Field(description="ISO 4217 code")]
# Paid is in euros alone, so that who registers `batch_submit` can say what currency its amount is in.
Paid = Annotated[Literal["EUR"], Field(description="ISO 4217 code")]
Reference = Annotated[str, Field(min_length=1, max_length=140, description="text on the payee's statement")]
Iban = Annotated[
    str, Field(pattern="^([A-Z]{2}[0-9]{2}[A-Z0-9]{11,30})?$", description="empty for a payee on file")
]


def is_valid_iban(iban: str) -> bool:
    """Tell whether the check digits fit (ISO 13616: the rearranged number is 1 modulo 97)."""
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def seed(connection: sqlite3.Connection) -> None:
    """Write the known payees and the opening balances."""
    connection.executemany("INSERT INTO payees VALUES (?, ?)", PAYEES)
    for transfer, currency, amount_minor in OPENING:
        book(connection, transfer, "equity", OPERATING, amount_minor, currency)


def book(
    connection: sqlite3.Connection, transfer: str, source: str, target: str, amount_minor: int, currency: str
) -> None:
    """Move an amount from `source` to `target`; raises IntegrityError if this transfer was booked before."""
    connection.executemany(
        "INSERT INTO postings (transfer, account, amount_minor, currency) VALUES (?, ?, ?, ?)",
        [(transfer, source, -amount_minor, currency), (transfer, target, amount_minor, currency)],
    )


def find_batch(connection: sqlite3.Connection, batch_id: str) -> Batch:
    """Return one batch; raises ToolError when there is none."""
    row = connection.execute(
        "SELECT payee, iban, b.amount_minor, b.currency, reference, coalesce(booked_at, '') AS paid_at"
        " FROM batches AS b LEFT JOIN postings ON transfer = ?1 AND account = ?2 WHERE number = ?3",
        (batch_id, OPERATING, int(batch_id.removeprefix("PB-"))),
    ).fetchone()
    if row is None:
        raise ToolError(f"no batch `{batch_id}`")
    return Batch(batch_id=batch_id, status="paid" if row["paid_at"] else "prepared", **dict(row))


def operating_balance(connection: sqlite3.Connection, currency: str) -> int:
    """Return the sum of the operating account's postings in one currency, in minor units."""
    select = "SELECT coalesce(sum(amount_minor), 0) FROM postings WHERE account = ? AND currency = ?"
    return int(connection.execute(select, (OPERATING, currency)).fetchone()[0])


def payee_iban(connection: sqlite3.Connection, payee: str, iban: str) -> str:
    """Return the account to pay; raises ToolError when it is unknown, ill-formed or not the one on file."""
    row = connection.execute("SELECT iban FROM payees WHERE payee = ?", (payee,)).fetchone()
    if row is not None:
        if iban not in ("", row["iban"]):
            raise ToolError(f"payee `{payee}` is on file with another account")
        return str(row["iban"])
    if not iban:
        raise ToolError(f"payee `{payee}` is not on file: give its iban")
    if not is_valid_iban(iban):
        raise ToolError(f"`{iban}` is not a valid iban: the check digits do not fit")
    return iban


@dataclass(frozen=True, slots=True)
class Payments:
    """The tools over one prepared database."""

    database: Path

    def batch_prepare(
        self, payee: Payee, amount_minor: Amount, currency: Paid, reference: Reference, iban: Iban = ""
    ) -> Batch:
        """Prepare a payment batch. No money moves."""
        with transaction(self.database) as connection:
            account = payee_iban(connection, payee, iban)
            row = connection.execute(
                "INSERT INTO batches (number, payee, iban, amount_minor, currency, reference)"
                " SELECT coalesce(max(number) + 1, ?), ?, ?, ?, ?, ? FROM batches RETURNING number",
                (FIRST_BATCH_NUMBER, payee, account, amount_minor, currency, reference),
            ).fetchone()
            return find_batch(connection, f"PB-{row['number']}")

    def batch_submit(self, batch_id: BatchId, amount_minor: Amount, payee: Payee) -> Batch:
        """Pay a prepared batch, once. Amount and payee are repeated and must be the prepared ones."""
        with transaction(self.database) as connection:
            batch = find_batch(connection, batch_id)
            if payee != batch.payee:
                raise ToolError(f"batch `{batch_id}` was prepared for another payee")
            if amount_minor != batch.amount_minor:
                raise ToolError(f"batch `{batch_id}` was prepared for another amount: {batch.amount_minor}")
            try:
                book(connection, batch_id, OPERATING, batch.iban, amount_minor, batch.currency)
            except sqlite3.IntegrityError as error:
                raise ToolError(f"batch `{batch_id}` was paid before: nothing was moved now") from error
            # The exception rolls the postings back.
            if operating_balance(connection, batch.currency) < 0:
                raise ToolError(f"the operating account does not cover {amount_minor} {batch.currency}")
            return find_batch(connection, batch_id)

    def batch_show(self, batch_id: BatchId) -> Batch:
        """Return one payment batch and whether it was paid."""
        with transaction(self.database) as connection:
            return find_batch(connection, batch_id)

    def balance(self, currency: Currency) -> Balance:
        """Return the balance of the operating account in one currency."""
        with transaction(self.database) as connection:
            return Balance(currency=currency, amount_minor=operating_balance(connection, currency))


def build(database: Path) -> MCPServer:
    """Return the server over a prepared database."""
    payments = Payments(database)
    server = MCPServer(
        "payments", version="1.0.0", instructions="Prepare and submit payments.", log_level="WARNING"
    )
    server.add_tool(payments.batch_prepare, title="Prepare batch", annotations=ADDS)
    server.add_tool(payments.batch_submit, title="Submit batch", annotations=PAYS)
    server.add_tool(payments.batch_show, title="Show batch", annotations=READS)
    server.add_tool(payments.balance, title="Balance", annotations=READS)
    return server


if __name__ == "__main__":
    arguments = flags("a payments ledger, over MCP").parse_args()
    prepare(arguments.database, SCHEMA, seed)
    serve(build(arguments.database), arguments.http)
