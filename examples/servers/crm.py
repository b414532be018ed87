"""A small customer-relationship system as an MCP server: support cases, their customers, their notes.

Run it with `python examples/servers/crm.py --database crm.db`, or add `--http PORT`. It answers any
caller about any case, as many real systems do; which agent may see which case is not decided here.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError, ToolError
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)
from pydantic import Field, TypeAdapter
from serving import ADDS, READS, flags, prepare, serve, transaction

COMPLETIONS_MAX = 100

SCHEMA = """
CREATE TABLE customers (
    customer_id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, plan TEXT NOT NULL
) STRICT;
CREATE TABLE cases (
    case_id TEXT PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers, subject TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'waiting', 'closed')), opened_on TEXT NOT NULL
) STRICT;
CREATE TABLE notes (
    note_id INTEGER PRIMARY KEY, case_id TEXT NOT NULL REFERENCES cases, text TEXT NOT NULL,
    written_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT
"""
CUSTOMERS = [
    ("C-1001", "Amara Okafor", "amara.okafor@lindenbakery.example", "Business"),
    ("C-1002", "Jonas Lindqvist", "jonas@lindqvist-print.example", "Starter"),
    ("C-1003", "Mei-Ling Zhou", "ml.zhou@harbourlogistics.example", "Enterprise"),
    ("C-1004", "Tomás Herrera", "tomas.herrera@casaverde.example", "Business"),
    ("C-1005", "Priya Raman", "priya@ramandental.example", "Starter"),
]
CASES = [
    ("4711", "C-1001", "Invoice for October was charged twice", "open", "2026-11-19"),
    ("4712", "C-1002", "Cannot sign in since the password change", "open", "2026-11-19"),
    ("4713", "C-1003", "Export of delivery notes stops at 10,000 rows", "waiting", "2026-11-20"),
    ("4714", "C-1004", "Wants to move from monthly to yearly billing", "open", "2026-11-20"),
    ("4715", "C-1001", "New colleague has no access to the reports", "closed", "2026-11-21"),
    ("4716", "C-1005", "Appointment reminders arrive a day late", "open", "2026-11-23"),
]
NOTES = [
    ("4711", "Customer sent both receipts: 129.00 EUR on 3 and 4 October.", "2026-11-19T09:12:00Z"),
    ("4711", "Payment provider confirms the second charge. Refund to be prepared.", "2026-11-20T14:40:00Z"),
    ("4712", "Reset link sent to the address on file, no answer yet.", "2026-11-19T10:05:00Z"),
    ("4713", "Engineering has reproduced it. A fix is planned for the next release.", "2026-11-21T08:30:00Z"),
    ("4715", "Access granted by the account owner.", "2026-11-21T16:02:00Z"),
    ("4716", "The time zone of the practice is set to UTC-11.", "2026-11-23T11:20:00Z"),
]


# Results are dataclasses without slots: SDK 2.3 derives no output schema from slotted ones.
@dataclass(frozen=True, kw_only=True)
class CaseCustomer:
    """One support case with the customer behind it; notes are oldest first."""

    case_id: str
    subject: str
    status: str
    name: str
    email: str
    plan: str
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class CaseSummary:
    """One line of the case list; it holds nothing about the customer."""

    case_id: str
    subject: str
    status: str
    opened_on: str


@dataclass(frozen=True, kw_only=True)
class CaseList:
    """All cases, by number."""

    cases: list[CaseSummary]


@dataclass(frozen=True, kw_only=True)
class NoteAdded:
    """The receipt for one added note."""

    case_id: str
    note_id: int


CaseId = Annotated[str, Field(min_length=1, max_length=32, description="number of the support case")]
Reference = PromptReference | ResourceTemplateReference
NoteText = Annotated[str, Field(min_length=1, max_length=4000, description="the note, plain text")]


def seed(connection: sqlite3.Connection) -> None:
    """Write the first customers, cases and notes."""
    connection.executemany("INSERT INTO customers VALUES (?, ?, ?, ?)", CUSTOMERS)
    connection.executemany("INSERT INTO cases VALUES (?, ?, ?, ?, ?)", CASES)
    connection.executemany("INSERT INTO notes (case_id, text, written_at) VALUES (?, ?, ?)", NOTES)


@dataclass(frozen=True, slots=True)
class CRM:
    """The tools, the resource, the prompt and the completion over one prepared database."""

    database: Path

    def customer_read(self, case_id: CaseId) -> CaseCustomer:
        """Return the customer of one support case: name, e-mail address, plan and the notes of the case."""
        return self._find(case_id, ToolError)

    def case_list(self) -> CaseList:
        """Return number, subject, status and opening day of every support case."""
        with transaction(self.database) as connection:
            rows = connection.execute(
                "SELECT case_id, subject, status, opened_on FROM cases ORDER BY case_id"
            )
            return CaseList(cases=[CaseSummary(**dict(row)) for row in rows])

    def note_add(self, case_id: CaseId, text: NoteText) -> NoteAdded:
        """Add a note to one support case. Notes are never changed or removed."""
        with transaction(self.database) as connection:
            if connection.execute("SELECT 1 FROM cases WHERE case_id = ?", (case_id,)).fetchone() is None:
                raise ToolError(f"no case `{case_id}`")
            insert = "INSERT INTO notes (case_id, text) VALUES (?, ?) RETURNING note_id"
            row = connection.execute(insert, (case_id, text)).fetchone()
            return NoteAdded(case_id=case_id, note_id=row["note_id"])

    def case(self, case_id: str) -> str:
        """One support case with its customer, as JSON."""
        return TypeAdapter(CaseCustomer).dump_json(self._find(case_id, ResourceNotFoundError)).decode()

    def summarise_case(self, case_id: str) -> str:
        """Ask for a short summary of one support case."""
        return (
            f"Read the customer of support case {case_id} with the tool `customer_read`. Summarise in three"
            " sentences what the customer wants, what was done so far, and what is the next step."
        )

    async def complete(
        self, ref: Reference, argument: CompletionArgument, context: CompletionContext | None
    ) -> Completion | None:
        """Complete a case number, for the prompt and for the resource alike."""
        if argument.name != "case_id":
            return None
        with transaction(self.database) as connection:
            select = "SELECT case_id FROM cases WHERE substr(case_id, 1, length(?1)) = ?1 ORDER BY case_id"
            values = [row["case_id"] for row in connection.execute(select, (argument.value,))]
        page = values[:COMPLETIONS_MAX]
        return Completion(values=page, total=len(values), has_more=len(page) < len(values))

    def _find(self, case_id: str, missing: type[ToolError] | type[ResourceNotFoundError]) -> CaseCustomer:
        with transaction(self.database) as connection:
            row = connection.execute(
                "SELECT case_id, subject, status, name, email, plan"
                " FROM cases JOIN customers USING (customer_id) WHERE case_id = ?",
                (case_id,),
            ).fetchone()
            if row is None:
                raise missing(f"no case `{case_id[:32]}`")
            notes = connection.execute(
                "SELECT text FROM notes WHERE case_id = ? ORDER BY note_id", (case_id,)
            )
            return CaseCustomer(**dict(row), notes=[note["text"] for note in notes])


def build(database: Path) -> MCPServer:
    """Return the server over a prepared database."""
    crm = CRM(database)
    server = MCPServer(
        "crm", version="1.0.0", instructions="Support cases and their customers.", log_level="WARNING"
    )
    server.add_tool(crm.customer_read, title="Read customer", annotations=READS)
    server.add_tool(crm.case_list, title="List cases", annotations=READS)
    server.add_tool(crm.note_add, title="Add note", annotations=ADDS)
    server.resource("crm://case/{case_id}", title="Support case", mime_type="application/json")(crm.case)
    server.prompt(title="Summarise case")(crm.summarise_case)
    completion: Callable[[], Callable[[object], object]] = server.completion  # untyped in the SDK
    completion()(crm.complete)
    return server


if __name__ == "__main__":
    arguments = flags("support cases and customers, over MCP").parse_args()
    prepare(arguments.database, SCHEMA, seed)
    serve(build(arguments.database), arguments.http)
