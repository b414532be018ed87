"""The real server, a real browser, and devices that make passkeys, as the DevTools protocol simulates them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.probes.loud_skips import skip_loudly
from tests.worlds.up import SETTINGS, House, house, registry

WHOLE, SHELL = "chromium", "chromium-headless-shell"
"""Debian's browser, and the same without windows, which takes half of the CPU and has no notifications."""
ARTEFACTS_VARIABLE = "ANSWERABLE_ARTEFACTS"
"""Directory that screenshots are kept in; without it they go where the test's own files are."""
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
AGENTS = registry(scout=[["unix:uid:4242"]])
SECONDS_MAX = 20.0


def need_chromium(program: str = WHOLE) -> str:
    """The path of the browser. Skips loudly where there is none."""
    found = shutil.which(program) or shutil.which(WHOLE)
    if found is None:
        skip_loudly("chromium", f"apt-get install {WHOLE} {SHELL}", name="chromium")
    return found


@dataclass
class Person:
    """A browser of one person, with a device of theirs."""

    context: BrowserContext
    page: Page
    cdp: Any
    device: str
    origin: str

    async def go(self, path: str) -> None:
        await self.page.goto(self.origin + path)

    async def enrol(self, address: str, label: str = "phone") -> None:
        """Open an invitation and make the passkey."""
        await self.page.goto(address)
        await self.page.get_by_label("What you call this device").fill(label)
        await self.page.get_by_role("button", name="Make the passkey").click()
        await expect(self.page.get_by_role("heading", name="My passkeys")).to_be_visible()

    async def sign_in(self) -> None:
        """From the sign-in page to where it leads."""
        await self.page.get_by_role("button", name="Sign in with a passkey").click()
        await expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()

    async def sign_out(self) -> None:
        await self.page.get_by_role("button", name="Sign out").click()
        await expect(self.page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()

    async def verified(self, is_verified: bool) -> None:
        """Whether the device knows its person from now on."""
        wanted = {"authenticatorId": self.device, "isUserVerified": is_verified}
        await self.cdp.send("WebAuthn.setUserVerified", wanted)

    async def credentials(self) -> list[dict[str, Any]]:
        found = await self.cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.device})
        credentials: list[dict[str, Any]] = found["credentials"]
        return credentials


@dataclass
class Console:
    """A running server with its console, and the browser."""

    home: House
    browser: Browser
    origin: str
    artefacts: Path

    def invited(self, name: str) -> str:
        """The address of a new invitation."""
        answer = json.loads(self.home.command("person", "invite", name, "--json"))
        return str(answer["url"])

    @contextlib.asynccontextmanager
    async def person(
        self, *, size: dict[str, int] | None = None, dark: bool = False
    ) -> AsyncIterator[Person]:
        """A browser profile of its own with an empty device."""
        context = await self.browser.new_context(
            viewport=size or DESKTOP,
            color_scheme="dark" if dark else "light",
        )
        try:
            page = await context.new_page()
            page.set_default_timeout(SECONDS_MAX * 1000)
            cdp = await context.new_cdp_session(page)
            await cdp.send("WebAuthn.enable")
            made = await cdp.send(
                "WebAuthn.addVirtualAuthenticator",
                {
                    "options": {
                        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
                        "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
                    }
                },
            )  # fmt: skip
            yield Person(context, page, cdp, made["authenticatorId"], self.origin)
        finally:
            await context.close()

    async def kept(self, page: Page, name: str) -> None:
        """A picture of the whole page."""
        await page.screenshot(path=self.artefacts / f"{name}.png", full_page=True)


@contextlib.asynccontextmanager
async def chromium(program: str = SHELL) -> AsyncIterator[Browser]:
    """Debian's browser, without a person."""
    path = need_chromium(program)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path,
            args=[
                "--no-sandbox",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
            ],
        )
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def console(
    browser: Browser, root: Path, *, settings: str = SETTINGS, documents: str = AGENTS
) -> AsyncIterator[Console]:
    """The server as people run it, with documents in force, beside this browser."""
    artefacts = _artefacts(root)
    async with house(root, settings) as home:
        await home.start()
        home.apply(documents)
        [line] = [one for one in home.said.splitlines() if one.startswith("console ")]
        yield Console(home, browser, line.split()[1], artefacts)


def _artefacts(root: Path) -> Path:
    place = Path(os.environ.get(ARTEFACTS_VARIABLE) or root / "artefacts")
    place.mkdir(parents=True, exist_ok=True)
    return place
