"""Somebody breaks the glass in a real browser, and somebody else reviews it."""

from __future__ import annotations

import pytest
import yaml
from playwright.async_api import expect

from answerable.testing.samples import document
from tests.browser.asking_world import asking
from tests.browser.console_world import PHONE
from tests.browser.judged_pages import violations, watched
from tests.worlds.gateway import FORBID, PERMIT

pytestmark = pytest.mark.anyio
REASON = "the customer waits on the phone and nobody answers"
ASKS = '@approve("approvers:1")'


def breakable() -> str:
    """The policies, by which olga may let notes be written alone."""
    policies = PERMIT + FORBID["crm"].replace(ASKS, f'{ASKS} @break_glass("on-call")')
    found = [
        document("PolicySet", "house", {"policies": policies}),
        document("Principal", "olga", {"groups": ["on-call"]}),
    ]
    return yaml.safe_dump_all(found, sort_keys=False)


@pytest.mark.requirement("GLASS-08")
async def test_a_glass_is_broken_on_a_phone_and_reviewed_by_another_person(tmp_path, browser):
    async with asking(browser, tmp_path) as world:
        world.box.home.apply(breakable())
        people = world.box.person(size=PHONE), world.box.person(size=PHONE, dark=True)
        async with people[0] as olga, people[1] as bob:
            said = watched(olga.page)
            await olga.enrol(world.box.invited("olga"))
            await bob.enrol(world.box.invited("bob"))
            await world.note("call back")
            [waiting] = world.pending()
            await olga.go(f"/approvals/{waiting['id']}")
            await expect(olga.page.get_by_role("button", name="Approve once")).to_have_count(0)
            await olga.page.get_by_text("In an emergency").click()
            await olga.page.get_by_label("Why it cannot wait").fill("urgent")
            await olga.page.get_by_role("button", name="Break the glass").click()
            await expect(olga.page.get_by_role("alert")).to_contain_text("at least 20 characters")
            await olga.page.get_by_label("Why it cannot wait").fill(REASON)
            assert await violations(olga.page) == []
            assert await olga.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            await world.box.kept(olga.page, "break-glass-phone")
            await olga.page.get_by_role("button", name="Break the glass").click()
            await expect(olga.page.get_by_role("heading", name="It is approved")).to_be_visible()
            assert '"isError":true' not in (await world.note("call back")).replace(" ", "")
            await bob.go("/")
            await expect(bob.page.get_by_text(REASON)).to_be_visible()
            await bob.page.get_by_role("heading", name="Broken glasses to review").is_visible()
            await bob.page.get_by_role("link", name="crm.note").click()
            await bob.page.get_by_label("What you found").fill("the note was right")
            assert await violations(bob.page) == []
            await world.box.kept(bob.page, "review-phone")
            await bob.page.get_by_role("button", name="It was justified").click()
            await expect(bob.page.get_by_text("bob found it justified")).to_be_visible()
            assert said == []
