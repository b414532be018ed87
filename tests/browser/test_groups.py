"""Many that are alike, in a real browser on a phone: the odd one apart, and one tap of a device for the others."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import expect

from tests.browser.asking_world import asking
from tests.browser.console_world import PHONE
from tests.browser.judged_pages import violations, watched

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("GROUP-06")
async def test_a_person_answers_four_with_one_signature_and_the_odd_one_still_waits(tmp_path, browser):
    async with asking(browser, tmp_path) as world, world.box.person(size=PHONE) as bob:
        said = watched(bob.page)
        await bob.enrol(world.box.invited("bob"), "Bob's phone")
        await asyncio.gather(*(world.note(f"called back {number}") for number in range(4)))
        await world.note("called back 4", case="4712")
        await bob.go("/approvals")
        line = bob.page.locator("[data-item]")
        await expect(line).to_have_count(1)
        await expect(line).to_contain_text("1 of 5 differs")
        await line.click()
        await expect(bob.page.get_by_role("heading", name="Not like the others")).to_be_visible()
        await expect(bob.page.locator("tr[data-id]")).to_have_count(4)
        assert await violations(bob.page) == []
        assert await bob.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        await world.box.kept(bob.page, "group-phone")
        button = bob.page.get_by_role("button", name="Approve these 4, once each")
        await button.click()
        await expect(bob.page.get_by_role("alert")).to_contain_text("Type 4")
        assert len(world.pending()) == 5
        await bob.page.get_by_label("To approve all of these").fill("4")
        await button.click()
        await expect(bob.page.get_by_role("heading", name="Approvals")).to_be_visible()
        [left] = world.pending()
        assert "4712" in left["action"]
        assert '"isError":true' not in (await world.note("called back 2")).replace(" ", "")
        assert said == []
