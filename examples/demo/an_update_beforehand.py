"""Of story 1 on PostgreSQL: what the database says an update would do, on the card of whoever is asked to let it run.

How many rows there are before and after is asked of the server itself, past the product.
"""

from __future__ import annotations

import json
from typing import Final

from agent import agent
from database import Database
from mandates import issue
from product import Product

SERVER: Final = "accounts"
PLAN: Final = "Trial"
UPDATE: Final = "UPDATE accounts SET plan = 'Free' WHERE plan = $1"
REASON: Final = "a few trials are over"
APPROVER: Final = "bela"
ABOUT: Final = "(an estimate, not a count)"


async def tell(product: Product, database: Database) -> None:
    """The agent asks for an update that is larger than it says, and a person sees how large. Raises UnexpectedError."""
    narrator = product.narrator
    narrator.say(
        f"Another task of the same agent: Ada lets it move accounts of the {PLAN} plan to Free. The agent says that "
        "these are a few. Policy asks a lead of support, and before anybody is asked the product has the database say "
        "what the statement would touch:"
    )
    await product.upstreams_up([SERVER])
    mandate = await issue(product, "move-accounts", by="ada", plan=PLAN)
    (before,) = await database.run(f"SELECT count(*) FROM accounts WHERE plan = '{PLAN}'")
    async with agent(product, "support-agent", SERVER, mandate) as support:
        asked = await support.call("execute", {"sql": UPDATE, "parameters": [PLAN]}, reason=REASON)
    narrator.expect(asked.approval != "", "the update waits for a person", happened=asked.text)
    card = json.loads((await product.get(f"/v1/approvals/{asked.approval}"))["card"])
    rows = [text for _, text in card["effect"] if ABOUT in text]
    key = str(product.home.key(APPROVER))
    command = (
        "approval",
        "deny",
        asked.approval,
        "--as",
        APPROVER,
        "--key",
        key,
        "--reason",
        "too_much",
        "--yes",
    )
    await product.command(*command, show=("out", "err"))
    narrator.expect(
        len(rows) == 1 and f"{int(before):,}" in rows[0],
        f"the card says how many rows it would touch, {rows[0] if rows else 'nothing'}: no few, and Bela says no",
        happened=(before, card["effect"]),
    )
    narrator.say(
        "The planner said that, in a transaction that cannot write, as a role made for this question alone."
    )
    (after,) = await database.run(f"SELECT count(*) FROM accounts WHERE plan = '{PLAN}'")
    narrator.expect(
        after == before, f"nothing was changed: there are {before} of this plan, as before", happened=after
    )
    await product.command("mandate", "close", mandate, "--yes", show=("err",))
