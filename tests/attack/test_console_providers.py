"""Ways back from an OpenID provider that are not the one somebody was sent on."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from answerable.apps.console.provider_pages import BEGUN_SECONDS_MAX, COOKIE, callback_of
from answerable.errors import Unverified
from tests.probes.console_client import Client, House, console_house

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("CONSOLE-11")]

ISSUER = "https://login.example"


class TakesNoCode:
    """A provider that takes no code of anybody: what is tested here ends before it would give a token."""

    issuer = ISSUER

    def __init__(self, *, says_who: bool = False) -> None:
        self.asked: list[str] = []
        self.says_who = says_who

    async def names_itself(self) -> bool:
        return self.says_who

    async def address(self, *, state: str, nonce: str, verifier: str, redirect: str) -> str:
        assert len({state, nonce, verifier}) == 3
        return f"{ISSUER}/authorize?state={state}&redirect_uri={redirect}"

    async def id_token(self, code: str, *, verifier: str, redirect: str) -> str:
        self.asked.append(code)
        raise Unverified("no", code="sign_in.code", step="sign_in")


async def sent(house: House, *, target: str = "/agents") -> tuple[str, str]:
    """State and cookie of somebody who was sent to the provider."""
    answer = await Client(house.app).page(f"/sign-in/provider?issuer={ISSUER}&next={target}")
    assert answer.status_code == 302, answer.text
    [given] = answer.headers.get_list("set-cookie")
    found = re.match(rf"{COOKIE}=([A-Za-z0-9_-]+);", given)
    assert found is not None
    assert {"secure", "httponly", "samesite=lax"} <= {part.strip().lower() for part in given.split(";")}
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["redirect_uri"] == [f"http://localhost:8768{callback_of(ISSUER)}"]
    return query["state"][0], found[1]


async def back(house: House, query: str, cookie: str = "", *, path: str = callback_of(ISSUER)) -> str:
    """The code of what the browser is told that comes back so."""
    headers = {"cookie": f"{COOKIE}={cookie}"} if cookie else {}
    answer = await Client(house.app).page(f"{path}?{query}", headers=headers)
    assert "__Host-answerable=" not in str(answer.headers)
    found = re.search(r"code <code>([a-z_.]+)</code>", answer.text)
    assert found is not None, answer.text
    return found[1]


async def test_only_the_way_that_was_begun_leads_to_the_provider_once_and_in_time():
    provider = TakesNoCode()
    house = await console_house(providers=(provider,))
    state, cookie = await sent(house)
    assert await back(house, f"state={state}&code=c", cookie) == "sign_in.code"
    assert provider.asked == ["c"]
    assert await back(house, f"state={state}&code=c", cookie) == "sign_in.state"
    for query in ("", "state=x&code=c", "code=c"):
        assert await back(house, query, cookie) == "sign_in.state"
    for query, wrong, code in (
        ("code=c", "", "sign_in.browser"),
        ("code=c", "A" * 43, "sign_in.browser"),
        ("code=c&iss=https://evil.example", None, "sign_in.issuer"),
        ("error=access_denied", None, "sign_in.denied"),
        (f"code={'c' * 2_049}", None, "sign_in.denied"),
    ):
        state, cookie = await sent(house)
        assert await back(house, f"state={state}&{query}", cookie if wrong is None else wrong) == code
    state, cookie = await sent(house)
    house.wait(BEGUN_SECONDS_MAX)
    assert await back(house, f"state={state}&code=c", cookie) == "sign_in.state"
    assert provider.asked == ["c"]


@pytest.mark.requirement("CEREMONY-07")
async def test_a_provider_that_says_who_answers_must_say_it_and_only_its_own_way_back_is_one():
    provider = TakesNoCode(says_who=True)
    house = await console_house(providers=(provider,))
    for query, path in (
        ("code=c", callback_of(ISSUER)),
        ("code=c&iss=", callback_of(ISSUER)),
        (f"code=c&iss={ISSUER}/", callback_of(ISSUER)),
        (f"code=c&iss={ISSUER}", callback_of("https://evil.example")),
    ):
        state, cookie = await sent(house)
        assert await back(house, f"state={state}&{query}", cookie, path=path) == "sign_in.issuer"
    state, cookie = await sent(house)
    twice = f"state={state}&code=c&iss={ISSUER}&iss=https://evil.example"
    assert await back(house, twice, cookie) == "sign_in.state"
    assert provider.asked == []
    assert await back(house, f"state={state}&code=c&iss={ISSUER}", cookie) == "sign_in.code"
    assert house.bench.asking.passkeys.refused["sign_in.issuer"] == 4


async def test_nobody_is_sent_to_a_provider_that_is_not_listed():
    house = await console_house(providers=(TakesNoCode(),))
    for issuer in ("", "https://evil.example", ISSUER + "/"):
        assert (await Client(house.app).page(f"/sign-in/provider?issuer={issuer}")).status_code == 404
    page = await Client(house.app).page("/sign-in?next=/agents")
    assert "Sign in at https://login.example" in page.text
