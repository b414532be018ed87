"""A person asks for less in a real browser: nothing runs by that; what is proposed is answered over its own card."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from answerable.core.canonical import JSONValue
from answerable.testing.samples import OWNERSHIP, document
from tests.browser.asking_world import asking
from tests.browser.console_world import PHONE
from tests.worlds.gateway import EXAMPLES

pytestmark = pytest.mark.anyio
ASKS = """@id("prepares-need-bob") @reason("a person looks at every payment") @approve("approvers:1")
forbid(principal, action == Action::"pay.prepare", resource);"""


def payments(root: Path) -> list[JSONValue]:
    """The example server, and a capability whose amount is one."""
    server: dict[str, JSONValue] = {
        "command": sys.executable,
        "args": [str(EXAMPLES / "payments.py"), "--database", str(root / "payments.db")],
    }
    spec: dict[str, JSONValue] = {
        "server": "payments", "method": "tools/call", "target": "batch_prepare", "kind": "pay",
        "environment": "production", "tier": 2, "sensitivity": "internal",
        "resource": {"type": "Payee", "argument": "payee"}, "ownership": dict(OWNERSHIP),
        "arguments": [
            {"name": "payee", "type": "string", "required": True},
            {"name": "amount_minor", "type": "minor_units", "required": True},
        ],
    }  # fmt: skip
    return [
        document("Server", "payments", server),
        document("Capability", "pay.prepare", spec),
        document("PolicySet", "payments", {"policies": ASKS}),
    ]


def batch(amount: int) -> dict[str, Any]:
    payee = "Brandt Logistik GmbH"
    return {
        "payee": payee,
        "amount_minor": amount,
        "currency": "EUR",
        "reference": "R-1",
        "iban": "DE89370400440532013000",
    }


@pytest.mark.requirement("REPLY-06", "REPLY-07")
async def test_a_person_asks_for_less_on_a_phone_and_approves_only_that(tmp_path, browser):
    world_of = asking(browser, tmp_path, more=payments(tmp_path), also="pay.prepare")
    async with world_of as world, world.box.person(size=PHONE) as bob:
        await bob.enrol(world.box.invited("bob"), "Bob's phone")
        await world.call("payments", "batch_prepare", batch(900_000))
        [waiting] = world.pending()
        await bob.go(f"/approvals/{waiting['id']}")
        await bob.page.get_by_text("Ask for less instead").click()
        await bob.page.get_by_label("amount_minor, less than 900000").fill("250000")
        assert await bob.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        # By key: after a picture of the whole page a browser may still be scrolling.
        await world.box.kept(bob.page, "ask-for-less-phone")
        await bob.page.get_by_role("button", name="Propose less").press("Enter")
        await expect(bob.page.get_by_role("heading", name="It is denied")).to_be_visible(timeout=30_000)
        await expect(bob.page.get_by_text('proposed instead: {"amount_minor":250000}')).to_be_visible()
        told = json.loads(await world.call("payments", "batch_prepare", batch(900_000)))["result"]
        assert told["structuredContent"]["denial"]["narrower"]["arguments"] == batch(250_000)
        await world.call("payments", "batch_prepare", batch(250_000))
        await bob.go(f"/approvals/{waiting['id']}")
        link = bob.page.get_by_role("link", name="answer that")
        await expect(link).to_be_visible(timeout=30_000)
        await link.click()
        await expect(bob.page.get_by_text(waiting["id"]).first).to_be_visible()
        await bob.page.get_by_role("button", name="Approve once").click()
        await expect(bob.page.get_by_role("heading", name="It is approved")).to_be_visible(timeout=30_000)
        ran = json.loads(await world.call("payments", "batch_prepare", batch(250_000)))["result"]
        assert not ran.get("isError"), ran
        assert ran["structuredContent"]["amount_minor"] == 250_000
