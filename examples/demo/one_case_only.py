"""Story 1: a mandate for one support case opens that case, no other, and nothing once it is closed."""

from __future__ import annotations

from typing import Final

from agent import agent
from mandates import issue
from product import Product
from story import Story

TITLE: Final = "Story 1 · One case only"
CASE: Final = "4711"
OTHER_CASE: Final = "4712"
REASON: Final = "the customer asks about a double charge"


async def tell(product: Product) -> Story:
    """Tell the story and check each claim. Raises UnexpectedError."""
    narrator = product.narrator
    narrator.title(TITLE)
    narrator.say(f"Ada, head of support, lets the support agent work on case {CASE}. This is what she signs:")
    mandate = await issue(product, "support-case", by="ada", case=CASE)
    await product.upstreams_up(["crm"])
    narrator.say(
        "The agent is a plain MCP client. It starts `answerable mcp shim --server crm`, which holds the agent's key "
        "and proves it to the gateway on every message; the agent itself has no key and no password."
    )
    async with agent(product, "support-agent", "crm", mandate) as support:
        tools = await support.tools()
        narrator.expect(
            tools == ["customer_read", "note_add"],
            "the CRM has three tools; the agent is shown the two that its mandate could allow",
            happened=tools,
        )
        found = await support.call("customer_read", {"case_id": CASE}, reason=REASON, show=False)
        if found.kind == "allowed":
            name, plan = found.fields.get("name"), found.fields.get("plan")
            narrator.answer("allowed", f"{found.fields.get('subject')}: {name}, plan {plan}")
        narrator.expect(
            found.kind == "allowed" and found.fields.get("name") == "Amara Okafor",
            f"case {CASE} was read from the real CRM",
            happened=found.text,
        )
        other = await support.call("customer_read", {"case_id": OTHER_CASE}, reason=REASON)
        narrator.expect(
            other.kind == "denied" and OTHER_CASE in other.text,
            f"case {OTHER_CASE} is denied, with a reason that a person understands",
            happened=other.text,
        )
        narrator.say(
            "The case is answered, so the mandate is closed. Nobody tells the agent, and it asks again."
        )
        await product.command("mandate", "close", mandate, "--yes", show=("err",))
        again = await support.call("customer_read", {"case_id": CASE}, reason=REASON)
        narrator.expect(
            again.kind == "denied" and "closed" in again.text,
            "the same call that was allowed is denied once the mandate is closed",
            happened=again.text,
        )
    await check_ledger(product, mandate)
    return Story(title=TITLE, mandate=mandate)


async def check_ledger(product: Product, mandate: str) -> None:
    """One action was begun and ended; both refusals are on record."""
    kinds = [entry["kind"] for entry in await product.entries(mandate)]
    expected = ["mandate_issued", "intent", "outcome", "refusal", "mandate_closed", "refusal"]
    product.narrator.expect(
        kinds == expected,
        "the ledger holds the mandate, one action with its outcome, both refusals and the closing",
        happened=kinds,
    )
