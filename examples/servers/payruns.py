"""Payment runs as an MCP server whose work is split in two: one tool prepares a run, the other pays exactly that.

Run it with `python examples/servers/payruns.py --database payruns.db`, or add `--http PORT`. `run_prepare` writes
nothing; `run_execute` takes the prepared run as text and the digest of that text, and pays what the text says in one
transaction, once. Amounts are minor units (cents). No bank is connected: the ledger is the bank.
"""

import hashlib
import json
import sqlite3
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from serving import READS, flags, prepare, serve, transaction

SCHEMA = """
CREATE TABLE payees (payee TEXT PRIMARY KEY, iban TEXT NOT NULL) STRICT;
CREATE TABLE due (invoice TEXT PRIMARY KEY, payee TEXT NOT NULL, amount INTEGER NOT NULL, run TEXT) STRICT;
CREATE TABLE payments (
    run TEXT NOT NULL, line INTEGER NOT NULL, payee TEXT NOT NULL, iban TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0), currency TEXT NOT NULL, invoice TEXT NOT NULL UNIQUE,
    PRIMARY KEY (run, line)
) STRICT
"""
PAYS = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=True
)
PAYEES = [
    ("Linden Bakery", "DE89370400440532013000"),
    ("Lindqvist Print", "SE4550000000058398257466"),
    ("Casa Verde", "ES9121000418450200051332"),
]
DUE = [
    ("INV-7001", "Linden Bakery", 120_000),
    ("INV-7002", "Lindqvist Print", 34_050),
    ("INV-7003", "Casa Verde", 9_900),
]
LINES_MAX = 100


class Line(BaseModel):
    """One payment of a run, in minor units."""

    model_config = ConfigDict(extra="forbid", strict=True)
    payee: str
    iban: str
    amount: int = Field(gt=0, le=10**12)
    invoice: str


class Run(BaseModel):
    """What is paid, and nothing else. run: makes each run another text, even over the same invoices."""

    model_config = ConfigDict(extra="forbid", strict=True)
    run: str
    currency: Literal["EUR"]
    lines: list[Line] = Field(min_length=1, max_length=LINES_MAX)


class Paid(BaseModel):
    """What was paid, in minor units."""

    run: str
    payments: int
    total: int


Invoices = Annotated[
    list[str],
    Field(min_length=1, max_length=LINES_MAX, description="invoices that are due, such as INV-7001"),
]
RunText = Annotated[str, Field(max_length=262_144, description="a prepared run, word for word")]
Digest = Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$", description="of the bytes of the run")]


def seed(connection: sqlite3.Connection) -> None:
    """Write the known payees and what is due."""
    connection.executemany("INSERT INTO payees VALUES (?, ?)", PAYEES)
    connection.executemany("INSERT INTO due (invoice, payee, amount) VALUES (?, ?, ?)", DUE)


@dataclass(frozen=True, slots=True)
class Payruns:
    """The tools over one prepared database."""

    database: Path

    def run_prepare(self, invoices: Invoices) -> Run:
        """Prepare a payment run for invoices that are due. Nothing is written and no money moves."""
        lines = []
        with transaction(self.database) as connection:
            for invoice in dict.fromkeys(invoices):
                row = connection.execute(
                    "SELECT payee, iban, amount, run FROM due JOIN payees USING (payee) WHERE invoice = ?",
                    (invoice,),
                ).fetchone()
                if row is None or row["run"] is not None:
                    raise ToolError(f"invoice `{invoice}` is not due")
                lines.append(
                    Line(payee=row["payee"], iban=row["iban"], amount=row["amount"], invoice=invoice)
                )
        return Run(run=uuid.uuid4().hex, currency="EUR", lines=lines)

    def run_execute(self, run: RunText, digest: Digest) -> Paid:
        """Pay a prepared run, once. What is paid is what the text says; another digest than its own pays nothing."""
        if digest != f"sha256:{hashlib.sha256(run.encode()).hexdigest()}":
            raise ToolError("the digest is not that of the run: nothing was paid")
        try:
            what = Run.model_validate(json.loads(run))
        except (ValueError, ValidationError) as error:
            raise ToolError("the text is no payment run: nothing was paid") from error
        with transaction(self.database) as connection:
            for number, line in enumerate(what.lines, start=1):
                row = (what.run, number, line.payee, line.iban, line.amount, what.currency, line.invoice)
                try:
                    connection.execute("INSERT INTO payments VALUES (?, ?, ?, ?, ?, ?, ?)", row)
                except sqlite3.IntegrityError as error:
                    # The exception rolls back what went before.
                    raise ToolError(f"invoice `{line.invoice}` was paid before: nothing was paid") from error
                connection.execute("UPDATE due SET run = ? WHERE invoice = ?", (what.run, line.invoice))
        return Paid(run=what.run, payments=len(what.lines), total=sum(line.amount for line in what.lines))


def build(database: Path) -> MCPServer:
    """Return the server over a prepared database."""
    payruns = Payruns(database)
    server = MCPServer(
        "payruns", version="1.0.0", instructions="Prepare payment runs and pay them.", log_level="WARNING"
    )
    server.add_tool(payruns.run_prepare, title="Prepare a payment run", annotations=READS)
    server.add_tool(payruns.run_execute, title="Pay a prepared run", annotations=PAYS)
    return server


if __name__ == "__main__":
    arguments = flags("payment runs, over MCP").parse_args()
    prepare(arguments.database, SCHEMA, seed)
    serve(build(arguments.database), arguments.http)
