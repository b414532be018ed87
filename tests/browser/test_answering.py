"""People answer for what an agent is about to do: in a real browser, with a device that knows them."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Route, expect

from tests.browser.asking_world import QUICK, asking
from tests.browser.console_world import DESKTOP, PHONE
from tests.browser.judged_pages import violations, watched

pytestmark = pytest.mark.anyio

WAIT_MS = 60_000
HOSTILE = "</dd><script>alert(1)</script><img src=x onerror=alert(2)>\u202egnp.exe\u200b"


@pytest.mark.requirement("BROWSER-07", "ROOM-01")
async def test_a_person_reads_the_card_on_a_phone_and_approves_what_then_runs_once(tmp_path, browser):
    async with asking(browser, tmp_path, tier=3) as world, world.box.person(size=PHONE) as bob:
        said = watched(bob.page)
        await bob.enrol(world.box.invited("bob"), "Bob's phone")
        await bob.go("/approvals")
        await expect(bob.page.get_by_text("Nothing waits for people")).to_be_visible()
        await world.note(HOSTILE)
        # It comes by itself.
        item = bob.page.locator("[data-item]")
        await expect(item).to_have_count(1, timeout=10_000)
        await world.box.kept(bob.page, "inbox-phone")
        await bob.page.keyboard.press("j")
        await expect(item).to_be_focused()
        await bob.page.keyboard.press("Enter")
        await expect(bob.page.get_by_role("heading", name="Exactly what will be sent")).to_be_visible()
        assert "\\u{202e}" in (await bob.page.locator("dd", has_text="alert(1)").first.inner_text())
        focused = await bob.page.evaluate("document.activeElement.tagName")
        assert focused == "BODY", "nothing is in focus by itself"
        assert await violations(bob.page) == []
        assert await bob.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        await world.box.kept(bob.page, "card-phone")
        # It is critical: neither without its name, nor with another one.
        for name in ("", "4712"):
            await bob.page.get_by_label("To let it run, type").fill(name)
            await bob.page.get_by_role("button", name="Approve once").click()
            await expect(bob.page.get_by_role("alert")).to_contain_text("Type 4711 to let it run")
        assert world.pending()[0]["answers"] == []
        await bob.page.get_by_label("To let it run, type").fill("4711")
        await bob.page.get_by_role("button", name="Approve once").click()
        await expect(bob.page.get_by_role("heading", name="It is approved")).to_be_visible()
        await world.box.kept(bob.page, "approved-phone")
        assert '"isError":true' not in (await world.note(HOSTILE)).replace(" ", "")
        assert world.pending() == []
        await world.note("something else")
        assert len(world.pending()) == 1
        assert said == []


@pytest.mark.requirement("ROOM-07")
async def test_a_press_on_a_page_whose_scripts_still_load_is_an_answer(tmp_path, browser):
    async with asking(browser, tmp_path) as world, world.box.person(size=PHONE) as bob:
        await bob.enrol(world.box.invited("bob"))
        await world.note("called back")
        [waiting] = world.pending()
        answered = asyncio.Event()

        async def slow(route: Route) -> None:
            await answered.wait()
            await route.continue_()

        # All that the browser may read after the page.
        await bob.page.route(re.compile("/(htmx|hx-csp|console)[^/]*js"), slow)
        await bob.page.goto(f"{bob.origin}/approvals/{waiting['id']}", wait_until="commit")
        async with bob.page.expect_response("**/answer") as answer:
            await bob.page.get_by_role("button", name="Approve once").click()
        assert (await answer.value).ok
        answered.set()
        await expect(bob.page.get_by_role("heading", name="It is approved")).to_be_visible(timeout=WAIT_MS)


@pytest.mark.requirement("BROWSER-08")
async def test_two_people_are_wanted_and_each_page_learns_what_the_other_said(tmp_path, browser):
    async with asking(browser, tmp_path, people=2) as world:
        people = world.box.person(size=DESKTOP), world.box.person(size=DESKTOP, dark=True)
        async with people[0] as bob, people[1] as carol, world.box.person() as alice:
            await bob.enrol(world.box.invited("bob"))
            await carol.enrol(world.box.invited("carol"))
            await alice.enrol(world.box.invited("alice"))
            await world.note("called back")
            [waiting] = world.pending()
            path = f"/approvals/{waiting['id']}"
            for one in (bob, carol, alice):
                await one.go(path)
            await expect(alice.page.get_by_text("You gave this task yourself")).to_be_visible()
            await expect(alice.page.get_by_role("button", name="Approve once")).to_have_count(0)
            await carol.page.get_by_label("In your words").fill("half written")
            assert await violations(carol.page) == []
            await world.box.kept(carol.page, "card-desktop-dark")
            await bob.page.get_by_role("button", name="Approve once").click()
            await expect(bob.page.get_by_text("You have answered it")).to_be_visible()
            await expect(carol.page.get_by_text("bob said yes")).to_be_visible(timeout=10_000)
            await expect(carol.page.get_by_role("button", name="Approve once")).to_be_visible()
            await carol.page.keyboard.press("Escape")
            # The device does not know her: nothing is signed, and nothing is said.
            await carol.verified(False)
            await carol.page.get_by_role("button", name="Approve once").click()
            await expect(carol.page.get_by_role("alert")).to_contain_text("did not answer")
            await carol.verified(True)
            await carol.page.get_by_role("button", name="Approve once").click()
            await expect(carol.page.get_by_role("heading", name="It is approved")).to_be_visible()
            assert '"isError":true' not in (await world.note("called back")).replace(" ", "")


@pytest.mark.requirement("BROWSER-09")
async def test_a_no_by_keyboard_reaches_the_agent_with_its_reason_and_after_a_stop_no_yes_counts(
    tmp_path, browser
):
    async with asking(browser, tmp_path) as world, world.box.person() as bob:
        await bob.enrol(world.box.invited("bob"))
        await world.note("first")
        [waiting] = world.pending()
        await bob.go(f"/approvals/{waiting['id']}")
        await bob.page.get_by_role("heading", name="Your answer").click()
        await bob.page.keyboard.press("?")
        await expect(bob.page.get_by_role("heading", name="Keys")).to_be_visible()
        await bob.page.get_by_role("button", name="Close").click()
        await bob.page.get_by_role("heading", name="Your answer").click()
        await bob.page.keyboard.press("a")
        await expect(bob.page.get_by_role("button", name="Approve once")).to_be_focused()
        await bob.page.get_by_role("heading", name="Your answer").click()
        await bob.page.keyboard.press("d")
        await expect(bob.page.get_by_role("button", name="Deny")).to_be_focused()
        await bob.page.get_by_role("button", name="the wrong recipient or object").press("Enter")
        await expect(bob.page.get_by_role("heading", name="It is denied")).to_be_visible()
        await expect(bob.page.get_by_text("the wrong recipient or object")).to_be_visible()
        await world.note("second")
        [waiting] = world.pending()
        await bob.go(f"/approvals/{waiting['id']}")
        await asyncio.to_thread(world.box.home.command, "stop", "scout", "--kind", "agent", "--no-wait")
        await expect(bob.page.get_by_role("heading", name="It is denied")).to_be_visible(timeout=10_000)
        await expect(bob.page.get_by_role("button", name="Approve once")).to_have_count(0)


@pytest.mark.requirement("BROWSER-09")
async def test_what_is_not_answered_in_time_cannot_be_answered_any_more(tmp_path, browser):
    settings = QUICK.replace("[walk]", "[walk]\napproval_ttl_ms = 4000")
    async with asking(browser, tmp_path, settings=settings) as world, world.box.person() as bob:
        await bob.enrol(world.box.invited("bob"))
        await world.note("late")
        [waiting] = world.pending()
        await bob.go(f"/approvals/{waiting['id']}")
        await bob.page.wait_for_timeout(4_500)
        await bob.page.get_by_role("button", name="Approve once").click()
        await expect(bob.page.get_by_role("alert")).to_contain_text("expired")
        await bob.go(f"/approvals/{waiting['id']}")
        await expect(bob.page.get_by_role("heading", name="It is expired")).to_be_visible()
