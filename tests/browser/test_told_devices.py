"""A person turns on messages in a real browser; what a push service then gets is shown by our worker there.

Headless browsers have no push service: `subscribe` alone is put in its place, with keys of the test and the address of
a stand-in. Everything else is real: page, worker, permission, server, encryption.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Error, expect

from tests.browser.asking_world import QUICK, asking
from tests.browser.console_world import PHONE, WHOLE, chromium
from tests.browser.judged_pages import violations, watched
from tests.worlds.federation import Authority, context_of
from tests.worlds.gateway import until
from tests.worlds.push import PushService, push_service

pytestmark = pytest.mark.anyio

WAIT_MS = 60_000
HOSTILE = {"id": "../x?https://evil.example", "title": "<b>x</b>", "body": 7, "url": "https://evil.example"}
SUBSCRIBED = """([endpoint, key, secret]) => {
  PushManager.prototype.subscribe = async (options) => {
    window.subscribedWith = { key: new Uint8Array(options.applicationServerKey).length, seen: options.userVisibleOnly };
    const given = { p256dh: Uint8Array.from(key).buffer, auth: Uint8Array.from(secret).buffer };
    return { endpoint, getKey: (name) => given[name] };
  };
}"""
DISPLAYED = """async () => (await (await navigator.serviceWorker.ready).getNotifications())
  .map((one) => [one.title, one.body, one.tag, one.data])"""


def settings(service: PushService, authorities: str) -> str:
    return (
        f"{QUICK}\n[channels]\nroutes = ['approvers push']\npush = true\npush_contact = 'ops@example.com'\n"
        f"push_hosts = ['{service.host}']\nauthorities = 'file:{authorities}'\n"
    )


async def worker_of(person: Any) -> str:
    """What the browser calls the registration of our worker."""
    found: list[str] = []
    person.cdp.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda said: found.extend(one["registrationId"] for one in said["registrations"]),
    )
    await person.cdp.send("ServiceWorker.enable")
    await until(lambda: found, seconds=60)
    return found[-1]


async def delivered(person: Any, worker: str, text: str) -> None:
    """As the browser does when its push service has something for us."""
    await person.cdp.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": person.origin, "registrationId": worker, "data": text},
    )


async def displayed(person: Any, worker: str, text: str, title: str) -> list[list[Any]]:
    """What the device displays, once something of this title is among it. DevTools do not say whether a message reached
    the worker, and one in thousands did not: a push service, too, delivers again."""
    async with asyncio.timeout(WAIT_MS / 1000):
        while True:
            await delivered(person, worker, text)
            for _ in range(100):
                found: list[list[Any]] = await person.page.evaluate(DISPLAYED)
                if any(title == one[0] for one in found):
                    return found
                await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    """One that shows notifications."""
    del anyio_backend  # As in conftest.
    async with chromium(WHOLE) as one:
        yield one


@pytest.mark.requirement("CHANNEL-12")
async def test_a_person_has_a_phone_told_and_what_comes_leads_to_our_page_alone(tmp_path, browser):
    authority = Authority()
    (tmp_path / "push-ca.pem").write_bytes(authority.pem)
    with push_service(context_of(authority.leaf("127.0.0.1"), tmp_path)) as service:
        text = settings(service, str(tmp_path / "push-ca.pem"))
        async with asking(browser, tmp_path, settings=text) as world, world.box.person(size=PHONE) as bob:
            said = watched(bob.page)
            await bob.enrol(world.box.invited("bob"), "Bob's phone")
            await bob.context.grant_permissions(["notifications"], origin=bob.origin)
            await bob.page.get_by_role("link", name="Devices that notify you").click()
            nobody = bob.page.get_by_text("None of your devices notifies you")
            await expect(nobody).to_be_visible(timeout=WAIT_MS)
            assert await bob.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            await world.box.kept(bob.page, "devices-phone")
            browser = service.browser
            await bob.page.evaluate(SUBSCRIBED, [service.endpoint, [*browser.key], [*browser.secret]])
            await bob.page.get_by_label("What you call it").fill("Bob's phone")
            await bob.page.get_by_role("button", name="Notify me on this device").click()
            await expect(bob.page.get_by_role("button", name="Remove Bob's phone")).to_be_visible(
                timeout=WAIT_MS
            )
            await world.note("called back")
            [waiting] = world.pending()
            await until(lambda: service.taken, seconds=60)
            (_, pushed) = service.taken[0]
            assert pushed["id"] == waiting["id"]
            worker = await worker_of(bob)
            ours = [pushed["title"], pushed["body"], pushed["tag"], {"id": waiting["id"]}]
            assert await displayed(bob, worker, json.dumps(pushed), pushed["title"]) == [ours]
            # No address and no markup is taken from what is pushed, whoever pushed it.
            # A browser under load says something of its own where ours comes late, and may take ours back at once.
            found = await displayed(bob, worker, json.dumps(HOSTILE), "<b>x</b>")
            assert ["<b>x</b>", "", "answerable", {"id": ""}] in found
            assert said == []
            with pytest.raises(Error, match="TrustedScriptURL"):
                # What is no script of ours does not become a worker of ours.
                await bob.page.evaluate("navigator.serviceWorker.register('/evil.js').then(() => null)")
            await bob.page.get_by_role("button", name="Remove Bob's phone").click()
            await expect(nobody).to_be_visible(timeout=WAIT_MS)
            assert await violations(bob.page) == []
