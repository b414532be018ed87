"""Pages as people have them: readable by everybody, alive, and with the button that stops."""

from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import dataclass

import pytest
from playwright.async_api import expect

from answerable.core.ledger.tags import Tag
from node_packages import AXE
from tests.browser.console_world import DESKTOP, PHONE, console
from tests.browser.judged_pages import ADVICE, AXE_CORE, violations, watched
from tests.probes.loud_skips import skip_loudly
from tests.worlds.up import SETTINGS

pytestmark = pytest.mark.anyio

PAGES = (
    "/",
    "/agents",
    "/agents/scout",
    "/asking-less",
    "/deciding",
    "/duty",
    "/live",
    "/passkeys",
    "/nowhere",
)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)><b hx-get=/sign-out hx-trigger=load>"
ROOM_HEIGHT = 30
"""Pixels of CSS that one line of links takes at least."""
GRACE_PASSED = "graceful shutdown exceeded"
"""What a server says that had to cut off requests under way when it stopped."""
FRESH = SETTINGS + "[console]\nfresh_seconds = 10\n"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Every page in every colour and size. wide: those that are wider than their window. said: what browser and policy
    complained of. found: what axe-core has against them."""

    wide: list[str]
    said: list[str]
    found: dict[str, list[str]]


@pytest.fixture(scope="module")
async def seen(browser, tmp_path_factory):
    wide, complaints, found = [], [], {}
    async with console(browser, tmp_path_factory.mktemp("pages")) as box:
        box.home.command("stop", "scout", "--kind", "agent", "--reason", HOSTILE, "--no-wait")
        [hold] = json.loads(box.home.command("hold", "list", "--json"))
        for size, dark in ((DESKTOP, False), (PHONE, True), (PHONE, False), (DESKTOP, True)):
            async with box.person(size=size, dark=dark) as ada:
                said = watched(ada.page)
                name = f"{'phone' if size is PHONE else 'desktop'}-{'dark' if dark else 'light'}"
                for path in ("/sign-in", "/enrol"):
                    await ada.go(path)
                    found[f"{path} {name}"] = await violations(ada.page)
                await box.kept(ada.page, f"enrol-{name}")
                await ada.enrol(box.invited("ada"), "Ada's " + name)
                for path in (*PAGES, f"/holds/{hold['id']}"):
                    await ada.go(path)
                    found[f"{path} {name}"] = await violations(ada.page)
                    if await ada.page.evaluate("document.documentElement.scrollWidth") > size["width"]:
                        wide.append(f"{path} {name}")
                    await box.kept(ada.page, f"{path.strip('/').split('/')[0] or 'overview'}-{name}")
                complaints += [one for one in said if "404" not in one]
    return Seen(wide=wide, said=complaints, found=found)


@pytest.mark.requirement("BROWSER-04")
async def test_every_page_breaks_no_policy_of_its_own_and_fits_a_phone(seen):
    assert seen.said == []
    assert seen.wide == []


@pytest.mark.requirement("BROWSER-04")
async def test_every_page_passes_axe_in_light_and_dark_on_desktop_and_phone(seen):
    if not AXE.is_ready():
        skip_loudly(AXE_CORE, ADVICE, name=AXE_CORE)
    assert len(seen.found) == 4 * (len(PAGES) + 3)
    assert {path: found for path, found in seen.found.items() if found} == {}


@pytest.mark.requirement("BROWSER-05")
async def test_a_live_page_shows_what_happens_and_can_be_paused(tmp_path, browser):
    async with console(browser, tmp_path) as box, box.person() as ada:
        said = watched(ada.page)
        await ada.enrol(box.invited("ada"))
        await ada.go("/live")
        await expect(ada.page.get_by_text("invited bela")).to_have_count(0)
        await asyncio.to_thread(box.invited, "bela")
        await expect(ada.page.get_by_text("invited bela")).to_have_count(1, timeout=10_000)
        await ada.page.get_by_role("button", name="Pause").click()
        await asyncio.to_thread(box.invited, "bela")
        await ada.page.wait_for_timeout(2_500)
        await expect(ada.page.get_by_text("invited bela")).to_have_count(1)
        await ada.page.get_by_role("button", name="Go on").click()
        await expect(ada.page.get_by_text("invited bela")).to_have_count(2, timeout=10_000)
        await ada.go("/")
        await asyncio.to_thread(
            box.home.command, "stop", "scout", "--kind", "agent", "--reason", HOSTILE, "--no-wait"
        )
        await expect(ada.page.get_by_role("heading", name="Stopped now")).to_be_visible(timeout=10_000)
        await expect(ada.page.get_by_text("<script>alert(1)</script>")).to_be_visible()
        await ada.page.wait_for_timeout(500)
        await expect(ada.page.get_by_role("button", name="Sign out")).to_be_visible()
        assert said == []
        # A page that only looks does not hold the server up when it stops.
        await box.home.stop(signal.SIGTERM)
        assert GRACE_PASSED not in box.home.said


@pytest.mark.requirement("BROWSER-06")
async def test_the_stop_button_asks_who_one_is_once_more_and_shows_what_it_stopped(tmp_path, browser):
    async with console(browser, tmp_path, settings=FRESH) as box, box.person(size=PHONE) as ada:
        await ada.enrol(box.invited("ada"))
        # On a phone the way to every room takes one line, so that what is asked comes soon.
        rooms = await ada.page.get_by_label("Rooms").bounding_box()
        assert rooms is not None
        assert rooms["height"] < 2 * ROOM_HEIGHT, rooms
        await ada.page.wait_for_timeout(10_500)
        await ada.go("/agents/scout")
        await ada.verified(False)
        await ada.page.get_by_label("Why, for the record").fill("writes odd mails")
        await ada.page.get_by_role("button", name="Stop scout").click()
        await expect(ada.page.get_by_role("alert")).to_contain_text("did not answer")
        assert box.home.command("hold", "list", "--json").strip() == "[]"
        await ada.verified(True)
        await ada.page.get_by_role("button", name="Stop scout").click()
        await expect(ada.page.get_by_role("heading", name="Stopped: agent")).to_be_visible()
        await expect(ada.page.get_by_text("writes odd mails")).to_be_visible()
        await box.kept(ada.page, "containment-report-phone")
        [hold] = json.loads(box.home.command("hold", "list", "--json"))
        assert (hold["by"], hold["reason"], hold["kind"], hold["name"]) == (
            "ada",
            "writes odd mails",
            "agent",
            "scout",
        )
        await ada.go("/agents/scout")
        await expect(ada.page.get_by_text("It is already held")).to_be_visible()
        await box.home.stop(signal.SIGTERM)
        [placed] = box.home.entries(Tag.HOLD_PLACED)
        assert placed["source"] == "person"
