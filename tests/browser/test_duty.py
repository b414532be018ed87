"""A person hands their duty on in a real browser, with a device that signs exactly that."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import expect

from tests.browser.console_world import PHONE, console
from tests.browser.judged_pages import violations, watched

pytestmark = pytest.mark.anyio

DUTY = """\
---
apiVersion: answerable/v1
kind: Duty
metadata: {name: leads}
spec:
  group: leads
  timeZone: Europe/Berlin
  shifts: [{people: [ada], days: [mon]}]
  quietHours: {from: "22:00", until: "07:00"}
  escalation: [{afterSeconds: 60, ask: group}]
"""


@pytest.mark.requirement("DUTY-07")
async def test_a_person_hands_their_duty_on_from_a_phone_and_ends_it(tmp_path, browser):
    async with console(browser, tmp_path) as box, box.person(size=PHONE) as ada:
        box.home.apply(DUTY)
        said = watched(ada.page)
        await ada.enrol(box.invited("ada"))
        await ada.go("/duty")
        await ada.page.get_by_label("Who", exact=True).select_option("bela")
        await ada.page.get_by_label("For how many hours, from now").fill("8")
        await ada.page.get_by_label("Why, for the record").fill("<b>at the dentist's</b>")
        await ada.page.get_by_role("button", name="Let them answer for me").click()
        await expect(ada.page.get_by_text("bela for ada")).to_be_visible()
        await expect(ada.page.get_by_text("<b>at the dentist's</b>")).to_be_visible()
        assert await violations(ada.page) == []
        assert await ada.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        await box.kept(ada.page, "duty-phone")
        [one] = json.loads(box.home.command("duty", "list", "--json"))
        assert (one["of"], one["to"], one["strength"], one["counts"]) == ("ada", "bela", "passkey", True)
        await ada.page.get_by_role("button", name="End that bela stands in for ada").click()
        await expect(ada.page.get_by_text("Nobody stands in for anybody.")).to_be_visible()
        assert json.loads(box.home.command("duty", "list", "--json")) == []
        assert said == []
