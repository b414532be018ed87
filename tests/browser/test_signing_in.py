"""People bring passkeys in and sign in, in a real browser against the real server."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.console_world import PHONE, console

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("CONSOLE-01")
async def test_an_invited_person_enrols_signs_out_and_signs_in_again(tmp_path, browser):
    async with console(browser, tmp_path) as box, box.person() as ada:
        await ada.go("/agents")
        await expect(ada.page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
        await ada.enrol(box.invited("ada"), "Ada's laptop")
        assert "#" not in ada.page.url
        await expect(ada.page.get_by_text("Ada's laptop", exact=True)).to_be_visible()
        await box.kept(ada.page, "passkeys-desktop")
        await ada.sign_out()
        await ada.go("/agents")
        await ada.sign_in()
        await expect(ada.page.get_by_role("heading", name="Agents")).to_be_visible()
        await expect(ada.page.get_by_role("link", name="scout")).to_be_visible()
        await ada.go("/")
        await expect(ada.page.get_by_role("heading", name="Overview")).to_be_visible()
        await box.kept(ada.page, "overview-desktop")
        async with box.person(size=PHONE, dark=True) as phone:
            await phone.enrol(box.invited("ada"), "Ada's phone")
            for path, name in (
                ("/", "overview"),
                ("/agents", "agents"),
                ("/agents/scout", "agent"),
                ("/live", "live"),
            ):
                await phone.go(path)
                await box.kept(phone.page, f"{name}-phone-dark")
                width = await phone.page.evaluate("document.documentElement.scrollWidth")
                assert width <= PHONE["width"], f"{path} is {width} px wide"
        shown = box.home.command("person", "passkeys", "ada")
        # Whoever runs the server takes one away: its session ends with it, and the other one goes on.
        laptop = next(one for one in shown.splitlines() if "laptop" in one).split()[0]
        box.home.command("person", "remove-passkey", laptop, "--yes")
        # The open page says so by itself, and asks for another one meanwhile.
        await expect(ada.page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
        await ada.go("/agents")
        await expect(ada.page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
        await ada.page.get_by_role("button", name="Sign in with a passkey").click()
        await expect(ada.page.get_by_role("alert")).to_contain_text("was removed")
        box.home.command("person", "remove-passkey", laptop, "--yes", code=1)
        assert "Ada's laptop" in shown
        assert "Ada's phone" in shown
