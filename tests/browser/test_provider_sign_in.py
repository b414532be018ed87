"""People sign in at an OpenID provider that others wrote, in a real browser, and bring a passkey in from there."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from playwright.async_api import expect

from tests.browser.console_world import AGENTS, SECONDS_MAX, Person, console
from tests.stand_ins.oidc_provider import oidc_provider
from tests.worlds.up import SETTINGS

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("CONSOLE-11")]

CLIENT = "answerable-console"
SUBJECT = "ada@example.test"


def settings(url: str, secret: Path) -> str:
    secret.write_text("not-a-secret\n")
    secret.chmod(0o600)
    issuers = f'person_issuers = ["{url} {CLIENT} 600"]'
    return (
        SETTINGS.replace("[identity]", f"[identity]\n{issuers}")
        + f'[console]\noidc_secret = "file:{secret}"\n'
    )


def documents(url: str) -> str:
    known = f"oidc: {{issuer: '{url}', subject: '{SUBJECT}'}}, groups: [leads]"
    return AGENTS.replace("displayName: Ada, groups: [leads]", f"displayName: Ada, {known}")


async def at_provider(one: Person, subject: str) -> None:
    await one.page.get_by_role("link", name="Sign in at").click()
    await one.page.get_by_placeholder("sub").fill(subject)
    await one.page.get_by_role("button", name="Authorize").click()


async def test_a_person_signs_in_at_their_provider_and_adds_a_passkey_from_there(tmp_path, browser):
    with oidc_provider() as url:
        place = console(
            browser, tmp_path, settings=settings(url, tmp_path / "secret"), documents=documents(url)
        )
        async with place as box, box.person() as ada, box.person() as eve:
            await ada.go("/agents")
            await at_provider(ada, SUBJECT)
            # The strict cookie came along, although the way led over another site.
            await expect(ada.page.get_by_role("heading", name="Agents")).to_be_visible(
                timeout=SECONDS_MAX * 1000
            )
            await ada.go("/passkeys")
            await expect(ada.page.get_by_text("You have none")).to_be_visible()
            await ada.page.get_by_label("What you call it").fill("Ada's key")
            await ada.page.get_by_role("button", name="Add a passkey").click()
            await expect(ada.page.get_by_text("Ada's key", exact=True)).to_be_visible()
            assert len(await ada.credentials()) == 1
            await ada.sign_out()
            await ada.sign_in()
            # Somebody whom nobody registered, known to the same provider.
            await eve.go("/")
            await at_provider(eve, "eve@example.test")
            await expect(eve.page.get_by_text("is not a registered person")).to_be_visible()
            await eve.go("/agents")
            await expect(eve.page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()


async def test_who_is_sent_another_ones_way_back_is_not_signed_in_by_it(tmp_path, browser):
    with oidc_provider() as url:
        place = console(
            browser, tmp_path, settings=settings(url, tmp_path / "secret"), documents=documents(url)
        )
        async with place as box, box.person() as victim:
            # Who attacks goes the way up to the last step, and sends that address to somebody else.
            async with httpx2.AsyncClient(trust_env=False) as attacker:
                begun = await attacker.get(f"{box.origin}/sign-in/provider", params={"issuer": url})
                let_in = await attacker.post(begun.headers["location"], data={"sub": SUBJECT})
            address = let_in.headers["location"]
            assert address.startswith(f"{box.origin}/sign-in/callback/")
            await victim.page.goto(address)
            await expect(victim.page.get_by_text("begun in another browser")).to_be_visible()
            await victim.go("/agents")
            await expect(victim.page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
            # It is used up by that, whoever comes.
            await victim.page.goto(address)
            await expect(victim.page.get_by_text("not begun here")).to_be_visible()
