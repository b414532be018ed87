"""A listed OpenID provider that was taken over, beside an honest one: it speaks for its own people alone."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
import pytest

from answerable.apps.console.provider_pages import callback_of
from answerable.core.ledger.tags import Tag
from tests.worlds.oidc_providers import CLIENT, Provider, provider
from tests.worlds.up import PEOPLE, SETTINGS, House, house

pytestmark = pytest.mark.anyio

ADAS = "ada@honest.example"
EVES = "eve@evil.example"


@dataclass
class Browser:
    """One that goes where it is sent. cookies: by name."""

    origin: str
    cookies: dict[str, str] = field(default_factory=dict)

    async def go(self, url: str) -> httpx2.Response:
        own = url.startswith(("/", self.origin))
        headers = {"user-agent": "a browser"}
        if own and self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with httpx2.AsyncClient(base_url=self.origin, timeout=30, trust_env=False) as http:
            answer = await http.get(url, headers=headers)
        for given in answer.headers.get_list("set-cookie") if own else []:
            name, _, rest = given.partition("=")
            self.cookies[name] = rest.partition(";")[0].strip('"')
        return answer

    async def sent_to(self, issuer: str) -> str:
        """Where the console sends it to sign in there."""
        answer = await self.go(f"/sign-in/provider?issuer={quote(issuer, safe='')}")
        assert answer.status_code == 302, answer.text
        return str(answer.headers["location"])

    async def comes_back(self, url: str) -> httpx2.Response:
        """From one page of providers to the next, until the console has it again."""
        while not url.startswith(self.origin):
            answer = await self.go(url)
            if answer.status_code != 302:
                return answer
            url = str(answer.headers["location"])
        return await self.go(url)

    async def is_signed_in(self) -> bool:
        return (await self.go("/passkeys")).status_code == 200


@dataclass
class Place:
    """ours: the honest provider, which knows ada. evil: one that was taken over."""

    home: House
    origin: str
    ours: Provider
    evil: Provider

    def browser(self) -> Browser:
        return Browser(self.origin)


def code_of(answer: httpx2.Response) -> str:
    found = re.search(r"code <code>([a-z_.]+)</code>", answer.text)
    return found[1] if found else ""


@asynccontextmanager
async def a_place(root: Path) -> AsyncIterator[Place]:
    with (
        provider(ADAS, secret="ours-alone", seed="ours") as ours,
        provider(EVES, secret="evils-alone", seed="evil") as evil,
    ):
        listed = json.dumps([f"{one.url} {CLIENT} 600" for one in (ours, evil)])
        secrets = []
        for name, one in (("ours", ours), ("evil", evil)):
            file = root / name
            file.write_text(one.secret + "\n")
            file.chmod(0o600)
            secrets.append(f"{one.url} file:{file}")
        settings = SETTINGS.replace("[identity]", f"[identity]\nperson_issuers = {listed}")
        settings += f"[console]\noidc_secrets = {json.dumps(secrets)}\n"
        async with house(root, settings) as home:
            await home.start()
            known = f"displayName: Ada, oidc: {{issuer: '{ours.url}', subject: '{ADAS}'}}"
            await asyncio.to_thread(home.apply, PEOPLE.replace("displayName: Ada", known))
            [line] = [one for one in home.said.splitlines() if one.startswith("console ")]
            yield Place(home, line.split()[1].rstrip("/"), ours, evil)


async def mixed_up(place: Place) -> tuple[httpx2.Response, Browser]:
    """Ada clicks `sign in at` the taken-over provider, which sends her on to the honest one, where she is logged in;
    then the thief comes back with whatever it got of that. What ada is told, and the thief's browser."""
    thief, ada = place.browser(), place.browser()
    asked = parse_qs(urlsplit(await thief.sent_to(place.evil.url)).query)
    place.evil.forwards, place.evil.plants = place.ours, {"nonce": asked["nonce"][0]}
    told = await ada.comes_back(await ada.sent_to(place.evil.url))
    way = urlsplit(asked["redirect_uri"][0]).path
    last = await thief.go(f"{way}?code=any&state={asked['state'][0]}")
    assert not await thief.is_signed_in(), last.text
    return told, thief


@pytest.mark.requirement("CEREMONY-06")
@pytest.mark.parametrize("careful", [False, True])
async def test_a_taken_over_provider_signs_in_as_nobody_of_another_and_gets_no_others_secret(
    tmp_path, careful
):
    """careful: whether the honest provider compares the way back with those that were registered there."""
    async with a_place(tmp_path) as place:
        if careful:
            place.ours.redirects = (place.origin + callback_of(place.ours.url),)
        told, _ = await mixed_up(place)
        assert "ours-alone" not in place.evil.heard
        assert not place.evil.stolen
        assert ("redirect_uri" if careful else "code") in place.ours.refused
        assert told.status_code in (400, 401)
        # It gives out a token that the honest one made, wherever it has it from.
        thief = place.browser()
        asked = parse_qs(urlsplit(await thief.sent_to(place.evil.url)).query)
        place.evil.stolen[:] = [place.ours.id_token(nonce=asked["nonce"][0])]
        back = callback_of(place.evil.url)
        answer = await thief.go(f"{back}?code=any&state={asked['state'][0]}")
        assert code_of(answer) == "person.issuer"
        # And one that it made itself, of the honest issuer's name.
        asked = parse_qs(urlsplit(await thief.sent_to(place.evil.url)).query)
        forged = place.evil.id_token(nonce=asked["nonce"][0], issuer=place.ours.url, subject=ADAS)
        place.evil.stolen[:] = [forged]
        answer = await thief.go(f"{back}?code=any&state={asked['state'][0]}")
        assert code_of(answer) == "person.issuer"
        assert not await thief.is_signed_in()
        # Ada signs in as ever.
        ada = place.browser()
        await ada.comes_back(await ada.sent_to(place.ours.url))
        assert await ada.is_signed_in()
        await place.home.stop(signal.SIGTERM)
        counted = [one["counts"] for one in place.home.entries(Tag.PASSKEY) if one["change"] == "refused"]
        assert sum(one.get("person.issuer", 0) for one in counted) == 2


@pytest.mark.requirement("CEREMONY-07")
async def test_each_provider_has_a_way_back_of_its_own_and_one_that_can_must_say_who_answers(tmp_path):
    async with a_place(tmp_path) as place:
        place.ours.names_itself = place.evil.names_itself = True
        told, _ = await mixed_up(place)
        # The honest one says who it is, on the way back of the other one.
        assert code_of(told) == "sign_in.issuer"
        assert not place.evil.heard
        ada = place.browser()
        url = await ada.sent_to(place.ours.url)
        asked = parse_qs(urlsplit(url).query)
        assert asked["redirect_uri"] == [place.origin + callback_of(place.ours.url)]
        assert asked["redirect_uri"][0] in place.home.said
        place.ours.names_itself = False
        assert code_of(await ada.comes_back(url)) == "sign_in.issuer"
        place.ours.names_itself = True
        await ada.comes_back(await ada.sent_to(place.ours.url))
        assert await ada.is_signed_in()
