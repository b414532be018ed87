"""The pictures of the documents, taken anew: `./dev pictures`, into `docs/images`.

The example company of the demo on the real server, people with devices of their own in a real browser. Ids and times
differ from run to run; what is shown does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from answerable.sdk.gateway_address import open_client
from answerable.sdk.keyfile import load_key
from answerable.sdk.proof_auth import SignatureAuth
from tests.browser.console_world import PHONE, Console, chromium
from tests.browser.small_png import smaller
from tests.probes.demo_run import ROOT, environment, short_folder
from tests.worlds.gateway import modern, modern_headers

sys.path.insert(0, str(ROOT / "examples" / "demo"))
from company import Home, found_company, new_home

IMAGES = ROOT / "docs" / "images"
BYTES_MAX = 80_000
WAIT_SECONDS_MAX = 120
PAYEE = "Linden Bakery"
HOSTILE = "</dd><script>alert(1)</script>\u202egnp.exe\u200b"
MORE = """\
apiVersion: answerable/v1
kind: PolicySet
metadata: {name: notes}
spec:
  policies: |
    @id("notes-are-read")
    @reason("customers see these notes: somebody of support reads them first")
    @approve("support-leads:1")
    forbid(principal == Agent::"support-agent", action == Action::"crm.note-add", resource);
---
apiVersion: answerable/v1
kind: Duty
metadata: {name: finance}
spec:
  group: finance
  timeZone: Europe/Berlin
  shifts:
    - {people: [chen]}
    - {people: [dora], line: second}
  quietHours: {from: "22:00", until: "07:00"}
  escalation: [{afterSeconds: 120, ask: second}, {afterSeconds: 300, ask: group}]
  deputies: [support-leads]
"""


@dataclass
class House:
    """The demo's company on a running server; what `Console` asks of a house of tests."""

    home: Home
    where: dict[str, str]

    def command(self, *words: str) -> str:
        line = [sys.executable, "-m", "answerable.main", *words]
        done = subprocess.run(line, env=self.where, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def mandate(self, template: str, by: str, **given: str) -> str:
        set_ = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
        key = str(self.home.key(by))
        return self.command("mandate", "issue", template, "--as", by, "--key", key, *set_, "--yes").strip()

    async def call(self, agent: str, server: str, tool: str, mandate: str, **arguments: Any) -> str:
        """What an agent is answered."""
        auth = SignatureAuth(load_key(self.home.key(agent)), mandate=mandate)
        client, base = open_client(f"unix:{self.home.path / 'gateway.sock'}", auth)
        headers = {name.replace("_", "-"): one for name, one in modern_headers("tools/call", tool).items()}
        headers |= {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        body = modern("tools/call", {"name": tool, "arguments": arguments})
        async with client:
            return (await client.post(f"{base}/mcp/{server}", content=body, headers=headers)).text

    async def up(self, *servers: str) -> None:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while True:
                states = json.loads(self.command("status", "--json"))["servers"]
                if all(states.get(name) == "up" for name in servers):
                    return
                await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def company(folder: Path) -> AsyncIterator[tuple[House, str]]:
    """The company with its server up and its tools approved, and the origin of its console."""
    home = new_home(folder / "data")
    found_company(home)
    with (home.path / "answerable.toml").open("a") as settings:
        settings.write("batch_tier_max = 2\n")
    house = House(home, environment(ANSWERABLE_DATA=str(home.path)))
    said = folder / "up.log"
    with said.open("wb") as out:
        server = subprocess.Popen(  # noqa: ASYNC220 - it starts at once, and runs until the end
            [sys.executable, "-m", "answerable.main", "up"], env=house.where, stdout=out, stderr=out
        )
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while "\nconsole " not in said.read_text():  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.1)
        origin = next(
            line.split()[1] for line in said.read_text().splitlines() if line.startswith("console ")
        )
        (home.registry / "more.yaml").write_text(MORE)
        house.command("apply", "-f", str(home.registry))
        await house.up("crm", "payments")
        for name, owner in (("crm", "ada"), ("payments", "dora")):
            house.command("tool", "approve", name, "--key", str(home.key(owner)), "--yes")
        yield house, origin
    finally:
        server.terminate()
        await asyncio.to_thread(server.wait, WAIT_SECONDS_MAX)


async def work(house: House) -> None:
    """A payment and six notes wait, one of them on another case; one note has hostile text."""
    pay = house.mandate("pay-supplier", "dora", payee=PAYEE)
    batch = {"payee": PAYEE, "amount_minor": 168_050, "currency": "EUR", "reference": "INV-2041 INV-2055"}
    await house.call("finance-agent", "payments", "batch_prepare", pay, **batch)
    submit = {"batch_id": "PB-1001", "amount_minor": 168_050, "payee": PAYEE}
    await house.call("finance-agent", "payments", "batch_submit", pay, **submit)
    notes = house.mandate("support-case", "ada", case="4711")
    for number in range(1, 6):
        text = f"Receipt R-2000{number} was sent to the customer."
        await house.call("support-agent", "crm", "note_add", notes, case_id="4711", text=text)
    odd = "Receipt R-20006 was sent to amara@lindenbakery.example.attacker.example, as wished by telephone."
    await house.call("support-agent", "crm", "note_add", notes, case_id="4711", text=odd)


async def hostile(house: House) -> str:
    """A note whose text wants to be markup and to hide what it says."""
    notes = house.mandate("support-case", "ada", case="4712")
    await house.call("support-agent", "crm", "note_add", notes, case_id="4712", text=HOSTILE)
    found = json.loads(house.command("approval", "list", "--json"))
    return next(str(one["id"]) for one in found if "script" in one["action"])


async def taken(page: Page, name: str, *, height: int = 0) -> None:
    """The top of the page as it is, or as much of it as `height` says."""
    size = page.viewport_size or PHONE
    await page.set_viewport_size({"width": size["width"], "height": height or size["height"]})
    await page.evaluate("scrollTo(0, 0)")
    path = IMAGES / f"console-{name}.png"
    path.write_bytes(smaller(await page.screenshot()))
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")
    if path.stat().st_size > BYTES_MAX:
        raise SystemExit(f"{path.name} is larger than {BYTES_MAX:,} bytes: show less of it")


async def take(house: House, box: Console) -> None:
    """All of them."""
    await work(house)
    async with box.person(size=PHONE) as chen:
        await chen.enrol(box.invited("chen"), "Chen's phone")
        [payment] = [
            one["id"]
            for one in json.loads(house.command("approval", "list", "--json"))
            if "PB-1001" in one["action"]
        ]
        await chen.go(f"/approvals/{payment}")
        await expect(chen.page.get_by_role("button", name="Approve once")).to_be_visible()
        await taken(chen.page, "payment-phone", height=1300)
        await chen.go("/duty")
        await chen.page.get_by_label("Who", exact=True).select_option("ada")
        await chen.page.get_by_label("For how many hours, from now").fill("8")
        await chen.page.get_by_label("Why, for the record").fill("at the dentist's")
        await chen.page.get_by_role("button", name="Let them answer for me").click()
        await expect(chen.page.get_by_text("ada for chen")).to_be_visible()
        await taken(chen.page, "duty-phone", height=1000)
    async with box.person(size=PHONE) as bela:
        await bela.enrol(box.invited("bela"), "Bela's phone")
        await bela.go("/approvals")
        await taken(bela.page, "inbox-phone")
        await bela.page.locator("[data-item]").filter(has_text="differs").click()
        await expect(bela.page.get_by_role("heading", name="Not like the others")).to_be_visible()
        await taken(bela.page, "group-phone", height=1100)
        await bela.go(f"/approvals/{await hostile(house)}")
        await taken(bela.page, "card-phone", height=900)
    async with box.person(size={"width": 1000, "height": 760}) as bela:
        await bela.enrol(box.invited("bela"), "Bela's laptop")
        await bela.go("/")
        await taken(bela.page, "overview")
        await bela.go("/agents/support-agent")
        await taken(bela.page, "agent")
    async with box.person(size=PHONE, dark=True) as bela:
        await bela.enrol(box.invited("bela"), "Bela's other phone")
        await bela.go("/agents/support-agent")
        await bela.page.get_by_label("Why, for the record").fill("writes to an address that nobody knows")
        await bela.page.get_by_role("button", name="Stop support-agent").click()
        await expect(bela.page.get_by_role("heading", name="Stopped: agent")).to_be_visible()
        await taken(bela.page, "report-phone", height=900)


async def main() -> None:
    """Take them all, or say what is missing."""
    os.umask(0o077)
    IMAGES.mkdir(exist_ok=True)
    with short_folder() as folder:
        async with company(folder) as (house, origin), chromium() as browser:
            await take(house, Console(house, browser, origin, folder))


if __name__ == "__main__":
    asyncio.run(main())
