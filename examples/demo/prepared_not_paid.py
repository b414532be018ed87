"""Story 3: the agent prepares a payment, a person of finance approves it, and exactly that is paid, once.

Whether money moved is asked of the payments database, past the gateway and past the agent.
"""

from __future__ import annotations

import ast
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import anyio
from agent import Agent, Reply, agent
from company import INVOICES, PAYEE
from mandates import issue
from narrator import UnexpectedError
from product import Product, command_line
from story import Story

TITLE: Final = "Story 3 · Prepared, not paid"
QUERY: Final = (
    f"SELECT number, amount_minor, currency FROM invoices WHERE supplier = '{PAYEE}' AND status = 'open'"
)
REASON: Final = "two invoices are due"
APPROVER: Final = "chen"
POLL_SECONDS: Final = 0.5
OPERATING: Final = "operating"


async def tell(product: Product, *, interactive: bool) -> Story:
    """Tell the story and check each claim. interactive: wait for a person in another terminal.

    Raises UnexpectedError.
    """
    narrator, payments = product.narrator, product.home.payments
    narrator.title(TITLE)
    narrator.say(f"Dora, head of finance, lets the finance agent pay what is due to {PAYEE}.")
    mandate = await issue(product, "pay-supplier", by="dora", payee=PAYEE)
    await product.upstreams_up(["payments", "sqlite"])
    story = Story(title=TITLE, mandate=mandate)
    async with (
        agent(product, "finance-agent", "sqlite", mandate) as reports,
        agent(product, "finance-agent", "payments", mandate) as bank,
    ):
        amount = await due(reports)
        batch = await prepared(bank, amount)
        submit: dict[str, object] = {"batch_id": batch, "amount_minor": amount, "payee": PAYEE}
        asked = await bank.call("batch_submit", submit, reason=REASON)
        narrator.expect(
            asked.approval != "" and transfers(payments, batch) == [],
            "paying waits for a person, and no money has moved",
            happened=(asked.text, transfers(payments, batch)),
        )
        await shown_beforehand(product, asked.approval)
        if not await answered(product, asked.approval, interactive=interactive):
            await check_denied(bank, submit, payments)
            return story
        paid = await bank.call("batch_submit", submit, reason=REASON, show=False)
        if paid.kind == "allowed":
            narrator.answer("allowed", f"batch {paid.fields.get('batch_id')} is {paid.fields.get('status')}")
        narrator.expect(
            paid.kind == "allowed" and transfers(payments, batch) == [-amount],
            f"exactly what was approved is paid: one transfer of {money(amount)}",
            happened=(paid.text, transfers(payments, batch)),
        )
        await check_once(bank, submit, asked, payments)
    await check_ledger(product, mandate)
    return story


async def due(reports: Agent) -> int:
    """Read the open invoices from the real database; returns their sum in minor units."""
    found = await reports.call("read_query", {"query": QUERY}, reason=REASON, show=False)
    if found.kind != "allowed":
        raise UnexpectedError("the open invoices", found.text)
    rows = ast.literal_eval(found.text)
    reports.narrator.answer(
        "allowed", "; ".join(f"{row['number']}: {money(row['amount_minor'])}" for row in rows)
    )
    total = sum(row["amount_minor"] for row in rows)
    expected = sum(
        amount for _, supplier, amount, _, _, state in INVOICES if (supplier, state) == (PAYEE, "open")
    )
    reports.narrator.expect(
        total == expected,
        f"mcp-server-sqlite answered from the real database: {money(total)} are due",
        happened=rows,
    )
    return int(total)


async def prepared(bank: Agent, amount: int) -> str:
    """Prepare the batch; returns its id."""
    arguments: dict[str, object] = {
        "payee": PAYEE,
        "amount_minor": amount,
        "currency": "EUR",
        "reference": "INV-2041 INV-2055",
    }
    reply = await bank.call("batch_prepare", arguments, reason=REASON, show=False)
    batch = str(reply.fields.get("batch_id", ""))
    if reply.kind == "allowed":
        bank.narrator.answer("allowed", f"batch {batch} is {reply.fields.get('status')}")
    bank.narrator.expect(
        reply.kind == "allowed" and reply.fields.get("status") == "prepared",
        "preparing is allowed: it moves no money",
        happened=reply.text,
    )
    return batch


async def shown_beforehand(product: Product, approval: str) -> None:
    """Before anybody was asked, the payments server was asked what this is, with a tool that only reads."""
    card = json.loads((await product.get(f"/v1/approvals/{approval}"))["card"])
    said = [text for label, text in card["effect"] if label == "says"]
    if not any(text.startswith('"iban": ') for text in said):
        raise UnexpectedError("the account of the payee, as the payments server has it", card["effect"])
    product.narrator.say(
        "Whoever is asked sees more than the arguments: under effect stands what the payments server says of this "
        "batch, the account that would be paid among it. The product asked beforehand, by a tool that only reads."
    )


async def answered(product: Product, approval: str, *, interactive: bool) -> bool:
    """Have a person answer, or answer in Chen's name and say so. True when it was approved."""
    narrator, key = product.narrator, str(product.home.key(APPROVER))
    command = ("approval", "approve", approval, "--as", APPROVER, "--key", key)
    if not interactive:
        narrator.say(
            "The demo now approves on behalf of Chen of finance, with Chen's key; --interactive waits for you. Paying "
            "is critical, so Chen types the name of the batch: nothing that answers every question stands for that."
        )
        typed = str((await product.get(f"/v1/approvals/{approval}"))["name_to_type"])
        await product.command(*command, "--typed", typed, "--yes", show=("out", "err"))
        return True
    narrator.say("Your turn. You are Chen of finance; in a second terminal, in this folder, look and decide:")
    data = str(product.home.path)
    for verb in ("approve", "deny"):
        typed = command_line("--data", data, "approval", verb, *command[2:])
        narrator.command(f".dev/venv/bin/{typed}")
    while True:
        state = (await product.get(f"/v1/approvals/{approval}"))["state"]
        if state != "pending":
            narrator.say(f"The approval is {state}.")
            return bool(state == "approved")
        await anyio.sleep(POLL_SECONDS)


async def check_denied(bank: Agent, submit: dict[str, object], payments: Path) -> None:
    """The person said no, or nothing in time: the batch stays unpaid."""
    batch = str(submit["batch_id"])
    reply = await bank.call("batch_submit", submit, reason=REASON)
    bank.narrator.expect(
        reply.kind != "allowed" and transfers(payments, batch) == [],
        "without an approval nothing is paid",
        happened=(reply.text, transfers(payments, batch)),
    )


async def check_once(bank: Agent, submit: dict[str, object], asked: Reply, payments: Path) -> None:
    """The approval is used up, and it never covered another amount."""
    batch, amount = str(submit["batch_id"]), int(str(submit["amount_minor"]))
    again = await bank.call("batch_submit", submit, reason="to be sure")
    bank.narrator.expect(
        again.kind == "waiting" and again.approval != asked.approval,
        "the approval was good for one payment: asking again needs a new one",
        happened=again.text,
    )
    changed = await bank.call("batch_submit", {**submit, "amount_minor": amount + 1}, reason="rounded up")
    bank.narrator.expect(
        changed.kind == "waiting" and changed.approval not in (asked.approval, again.approval),
        "another amount needs an approval of its own, even by one cent",
        happened=changed.text,
    )
    bank.narrator.expect(
        transfers(payments, batch) == [-amount],
        "the payments database still holds exactly one transfer",
        happened=transfers(payments, batch),
    )


def transfers(database: Path, batch: str) -> list[int]:
    """What left the operating account for this batch, in minor units, by the database file itself."""
    with closing(sqlite3.connect(database)) as connection:
        select = "SELECT amount_minor FROM postings WHERE transfer = ? AND account = ?"
        return [amount for (amount,) in connection.execute(select, (batch, OPERATING))]


def money(amount_minor: int) -> str:
    """An amount as people write it."""
    return f"{amount_minor // 100:,}.{amount_minor % 100:02} EUR"


async def check_ledger(product: Product, mandate: str) -> None:
    """Of all that was asked, three actions were begun; the payment once, after Chen's answer."""
    entries = await product.entries(mandate)
    begun = [entry for entry in entries if entry["kind"] == "intent" and "batch_submit" in entry["text"]]
    answers = [entry for entry in entries if entry["kind"] == "approval_answer"]
    product.narrator.expect(
        len(begun) == 1 and len(answers) == 1 and begun[0]["index"] > answers[0]["index"],
        "the ledger holds one payment, begun after the person's signed answer",
        happened=[entry["kind"] for entry in entries],
    )
