"""The console's application over a bench in memory, asked as a browser would, or as somebody who pretends to be one."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2

from answerable.apps.console import ConsoleLimits, ConsoleServices, console_app, known_browsers
from answerable.apps.console.sessions import COOKIE
from answerable.core.base64url import to_base64url
from answerable.core.canonical import JSONValue
from answerable.core.identity.people.passkey_registration import PasskeyRegistration
from answerable.flows.counters.door_desk import DoorDesk
from answerable.flows.state.known_callers import KnownCallers
from answerable.testing.builders import Bench
from answerable.testing.soft_passkey import ORIGIN, SoftPasskey
from tests.worlds.asked_index import IndexAtHand
from tests.worlds.parts import to_refuse
from tests.worlds.passkey import enrolled, passkey_bench

BROWSER = "a browser of a test"
ANSWER_SECONDS_MAX = 60


@dataclass
class Client:
    """One browser. cookie: of its session. known: by which it is recognised. Both are kept by hand, as a jar would keep
    secure ones back from plain HTTP."""

    app: Any
    cookie: str = ""
    csrf: str = ""
    headers: dict[str, str] = field(default_factory=lambda: {"user-agent": BROWSER})
    address: str = "192.0.2.7"
    known: str = ""
    port: int = 1

    async def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """One request, with exactly the headers that are given beside those of this browser."""
        headers = {**self.headers, **more.pop("headers", {})}
        cookies = {COOKIE: self.cookie, known_browsers.COOKIE: self.known}
        if any(cookies.values()):
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items() if value)
        transport = httpx2.ASGITransport(app=self.app, client=(self.address, self.port))
        async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as http:
            answer = await http.request(method, path, headers=headers, **more)
        for given in answer.headers.get_list("set-cookie"):
            if found := re.match(rf"{COOKIE}=([A-Za-z0-9_-]*)", given):
                self.cookie = found[1]
            if found := re.match(rf"{known_browsers.COOKIE}=([^;]*)", given):
                self.known = found[1]
        if found := re.search(r'name="csrf" content="([^"]+)"', answer.text):
            self.csrf = found[1]
        return answer

    async def page(self, path: str, **more: Any) -> httpx2.Response:
        return await self.ask("GET", path, **more)

    async def form(self, path: str, *, csrf: str | None = None, **fields: str) -> httpx2.Response:
        """A form of this session's own pages."""
        if not self.csrf:
            await self.page("/passkeys")
        data = {"csrf": self.csrf if csrf is None else csrf, **fields}
        return await self.ask(
            "POST", path, data=data, headers={"origin": ORIGIN, "sec-fetch-site": "same-origin"}
        )

    async def script(self, path: str, body: JSONValue, *, signed_in: bool = False) -> httpx2.Response:
        """What our own script sends."""
        headers = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}
        if signed_in:
            headers["x-csrf-token"] = self.csrf
        return await self.ask("POST", path, json=body, headers=headers)

    async def sign_in(self, device: SoftPasskey, *, target: str = "/") -> httpx2.Response:
        begun = (await self.script("/sign-in/begin", {})).json()
        return await self.script(
            "/sign-in/finish",
            {
                "ceremony": begun["ceremony"],
                "assertion": device.assertion(challenge_of(begun)).members(),
                "next": target,
            },
        )

    async def confirm(self, device: SoftPasskey) -> httpx2.Response:
        if not self.csrf:
            await self.page("/passkeys")
        begun = (await self.script("/confirm/begin", {}, signed_in=True)).json()
        answered = {
            "ceremony": begun["ceremony"],
            "assertion": device.assertion(challenge_of(begun)).members(),
        }
        return await self.script("/confirm/finish", answered, signed_in=True)


@dataclass
class House:
    """A bench with its console, and alice, who has a passkey."""

    bench: Bench
    app: Any
    device: SoftPasskey

    async def signed_in(self) -> Client:
        """Alice's browser, just signed in."""
        client = Client(self.app)
        answer = await client.sign_in(self.device)
        assert answer.status_code == 200, answer.text
        return client

    def wait(self, seconds: float) -> None:
        """Let time go by, on both clocks."""
        self.bench.clock.advance(seconds)


async def console_house(
    *, limits: ConsoleLimits | None = None, providers: Any = (), needs: Any = None, **desk: Any
) -> House:
    bench = await passkey_bench(**desk)
    device = SoftPasskey(seed="alice")
    await enrolled(bench, "alice", device)
    refused = DoorDesk(**to_refuse(bench.walk), known=KnownCallers(registry=bench.authority.registry)).at(
        "console"
    )
    services = ConsoleServices(
        walk=bench.walk,
        origin=ORIGIN,
        providers=providers,
        limits=limits or ConsoleLimits(),
        refused=refused,
        **{"searches": IndexAtHand(bench.recorder), **(needs or {})},
    )
    return House(bench, console_app(services), device)


def challenge_of(begun: dict[str, Any]) -> bytes:
    from base64 import urlsafe_b64decode

    return urlsafe_b64decode(begun["options"]["challenge"] + "=")


def registration_members(made: PasskeyRegistration) -> dict[str, JSONValue]:
    """As our script hands it over."""
    return {
        "credential_id": to_base64url(made.credential_id),
        "client_data": to_base64url(made.client_data),
        "attestation": to_base64url(made.attestation),
        "transports": [*made.transports],
    }


def sent_by_script(origin: str, path: str, body: Any) -> httpx2.Response:
    """The answer to what the console's own script sends. A minute has a bound on who may sign in: past it they wait."""
    headers = {"origin": origin, "sec-fetch-site": "same-origin"}
    with httpx2.Client(base_url=origin, trust_env=False, timeout=ANSWER_SECONDS_MAX) as client:
        while (
            answer := client.post(path, json=body, headers=headers)
        ).status_code == httpx2.codes.TOO_MANY_REQUESTS:
            time.sleep(0.05)
        return answer
