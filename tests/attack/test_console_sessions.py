"""What a stolen cookie, a guesser and a replayed answer of a device do to the console."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from answerable.apps.console import ConsoleLimits
from answerable.apps.console.sessions import COOKIE
from answerable.core.containment.hold import holdable
from answerable.core.ledger.tags import Tag
from answerable.flows.people.invite_person import invite_person
from answerable.flows.people.remove_passkey import remove_passkey
from answerable.flows.revocation.place_hold import place_hold
from answerable.testing.soft_passkey import ORIGIN, SoftPasskey
from tests.probes.console_client import BROWSER, Client, challenge_of, console_house, registration_members
from tests.worlds.passkey import ADMIN, enrolled


@contextlib.asynccontextmanager
async def streamed(app: Any, cookie: str) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
    """`/news` as the browser with this cookie has it, chunk by chunk: transports for tests wait for its end. Gives the
    next one when called."""
    chunks: asyncio.Queue[bytes] = asyncio.Queue()
    gone = asyncio.Event()
    begun = False

    async def receive() -> dict[str, Any]:
        nonlocal begun
        if not begun:
            begun = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body" and message.get("body"):
            chunks.put_nowait(message["body"])

    headers = [(b"host", b"localhost:8768"), (b"cookie", f"{COOKIE}={cookie}".encode())]
    headers += [(b"user-agent", BROWSER.encode())]
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": "/news", "raw_path": b"/news", "query_string": b"", "headers": headers,
        "client": ("192.0.2.7", 1), "server": ("localhost", 8768), "root_path": "",
    }  # fmt: skip
    running = asyncio.create_task(app(scope, receive, send))
    try:
        yield chunks.get
    finally:
        gone.set()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


pytestmark = pytest.mark.anyio

PAGES = (
    "/",
    "/agents",
    "/agents/scout",
    "/asking-less",
    "/deciding",
    "/duty",
    "/live",
    "/passkeys",
    "/sign-in",
    "/enrol",
)
HOSTILE = (
    '</span><script>alert(1)</script><img src=x onerror=alert(2)>" hx-get="/sign-out" \u202eevil\u200b\x07'
)


@pytest.mark.requirement("CONSOLE-04")
async def test_the_session_cookie_stays_with_this_host_and_out_of_scripts():
    house = await console_house()
    client = Client(house.app)
    answer = await client.sign_in(house.device)
    for given, name in zip(
        answer.headers.get_list("set-cookie"),
        ("__Host-answerable=", "__Host-answerable-browser="),
        strict=True,
    ):
        assert given.startswith(name)
        attributes = {part.strip().lower() for part in given.split(";")[1:]}
        assert {"secure", "httponly", "samesite=strict", "path=/"} <= attributes
        assert not any(one.startswith("domain") for one in attributes)
    assert client.cookie not in (await client.page("/passkeys")).text


@pytest.mark.requirement("CONSOLE-04")
async def test_a_cookie_that_somebody_planted_is_not_taken_over_at_sign_in():
    house = await console_house()
    client = Client(house.app, cookie="A" * 43)
    await client.sign_in(house.device)
    assert client.cookie != "A" * 43
    planted = Client(house.app, cookie="A" * 43)
    assert (await planted.page("/agents")).status_code == 303
    before = client.cookie
    await client.sign_in(house.device)
    assert (await Client(house.app, cookie=before).page("/agents")).status_code == 303


async def ended_by(house: Any, how: str, client: Client) -> None:
    walk = house.bench.walk
    passkey = walk.asking.passkeys.register.all()[0]
    match how:
        case "idle":
            house.wait(900)
        case "old":
            for _ in range(32):
                house.wait(899)
                await client.page("/agents")
            house.wait(40)
        case "removed":
            await remove_passkey(walk.recorder, walk.asking.passkeys, passkey.name, by=ADMIN)
        case "held person":
            await place_hold(
                walk.recorder,
                walk.authority,
                walk.live,
                walk.counters.cuts,
                holdable("owner", "alice"),
                by=ADMIN,
            )
        case "held key":
            await place_hold(
                walk.recorder,
                walk.authority,
                walk.live,
                walk.counters.cuts,
                holdable("key", passkey.key),
                by=ADMIN,
            )
        case "signed out":
            await client.form("/sign-out")
        case "group":
            walk.asking.passkeys.groups = ("nobody-is-in-it",)


@pytest.mark.requirement("CONSOLE-04")
@pytest.mark.parametrize("how", ["idle", "old", "removed", "held person", "held key", "signed out", "group"])
async def test_a_session_ends_with_what_it_stands_on(how):
    house = await console_house()
    client = await house.signed_in()
    assert (await client.page("/agents")).status_code == 200
    stolen = client.cookie
    await ended_by(house, how, client)
    thief = Client(house.app, cookie=stolen)
    assert (await thief.page("/agents")).status_code == 303
    assert (await thief.page("/news")).status_code == 303
    assert (await thief.form("/stop", csrf=client.csrf, kind="everything", name="")).status_code == 401


@pytest.mark.requirement("CONSOLE-04")
async def test_a_page_that_only_follows_the_news_keeps_no_session_alive():
    house = await console_house()
    client = await house.signed_in()
    for _ in range(3):
        house.wait(400)
        await client.page("/?part", headers={"hx-request": "true"})
    assert (await client.page("/agents")).status_code == 303


@pytest.mark.requirement("CONSOLE-05")
async def test_a_stolen_cookie_stops_and_removes_nothing_once_its_person_is_away():
    house = await console_house()
    client = await house.signed_in()
    house.wait(301)
    answer = await client.form("/stop", kind="agent", name="scout")
    assert answer.status_code == 401
    assert "console.not_fresh" in answer.text
    passkey = house.bench.asking.passkeys.register.all()[0]
    assert (await client.form("/passkeys/remove", id=passkey.name)).status_code == 401
    answer = await client.script("/enrol/begin", {}, signed_in=True)
    assert answer.json()["code"] == "console.not_fresh"
    assert not list(house.bench.authority.holds.all())
    await enrolled(house.bench, "bob", SoftPasskey(seed="bob"))
    assert (await client.confirm(SoftPasskey(seed="bob"))).json()["code"] == "passkey.other"
    assert (await client.form("/stop", kind="agent", name="scout")).status_code == 401
    assert (await client.confirm(house.device)).status_code == 200
    answer = await client.form("/stop", kind="agent", name="scout", reason="odd mails")
    assert answer.status_code == 303
    [hold] = house.bench.authority.holds.all()
    assert (hold.what, hold.by, hold.reason) == (holdable("agent", "scout"), "alice", "odd mails")
    shown = await client.page(answer.headers["location"])
    assert "odd mails" in shown.text
    assert house.bench.entries(Tag.HOLD_PLACED)[0]["source"] == "person"


@pytest.mark.requirement("CONSOLE-05")
async def test_only_what_a_page_offers_is_stopped_from_it():
    house = await console_house()
    client = await house.signed_in()
    for kind, name in (
        ("owner", "alice"),
        ("", "scout"),
        ("agent", ""),
        ("agent", "Not A Name"),
        ("everything", "x"),
    ):
        assert (await client.form("/stop", kind=kind, name=name)).status_code == 400
    assert (await client.form("/stop", kind="agent", name="scout", reason="x" * 5000)).status_code == 400
    assert not list(house.bench.authority.holds.all())


@pytest.mark.requirement("CONSOLE-06")
async def test_a_replayed_assertion_opens_no_session():
    house = await console_house()
    client = Client(house.app)
    begun = (await client.script("/sign-in/begin", {})).json()
    answer = {
        "ceremony": begun["ceremony"], "assertion": house.device.assertion(challenge_of(begun)).members(), "next": "/",
    }  # fmt: skip
    assert (await client.script("/sign-in/finish", answer)).status_code == 200
    thief = Client(house.app)
    assert (await thief.script("/sign-in/finish", answer)).json()["code"] == "passkey.ceremony"
    again = (await thief.script("/sign-in/begin", {})).json()
    replayed = await thief.script("/sign-in/finish", {**answer, "ceremony": again["ceremony"]})
    assert (replayed.status_code, replayed.json()["code"]) == (401, "passkey.challenge")
    assert (thief.cookie, "set-cookie" in replayed.headers) == ("", False)


@pytest.mark.requirement("CONSOLE-06")
async def test_guesses_from_one_address_are_bounded_and_others_still_come_in():
    house = await console_house(limits=ConsoleLimits(attempts_per_minute_max=5))
    guesser = Client(house.app)
    codes = [
        (await guesser.script("/enrol/begin", {"code": "ainv_" + "A" * 22})).json()["code"] for _ in range(7)
    ]
    assert codes == ["invitation.refused"] * 5 + ["console.too_many"] * 2
    assert (await guesser.script("/sign-in/begin", {})).status_code == 429
    honest = Client(house.app, address="192.0.2.8")
    assert (await honest.sign_in(house.device)).status_code == 200
    house.wait(60)
    assert (await guesser.script("/sign-in/begin", {})).status_code == 200


@pytest.mark.requirement("CONSOLE-16")
async def test_who_uses_up_the_attempts_of_an_address_shuts_out_nobody_who_signed_in_there_before():
    """Any process of the machine has the address of all its people; so has whoever comes by their proxy."""
    house = await console_house(limits=ConsoleLimits(attempts_per_minute_max=5))
    known = await house.signed_in()
    invited = Client(house.app)
    bench = house.bench
    invitation = await invite_person(bench.recorder, bench.authority, bench.asking.passkeys, "bob", by=ADMIN)
    thief = Client(house.app)
    for _ in range(9):
        await thief.script("/sign-in/begin", {})
    assert (await thief.script("/sign-in/begin", {})).status_code == 429
    for _ in range(3):
        assert (await known.sign_in(house.device)).status_code == 200
    begun = await invited.script("/enrol/begin", {"code": invitation.code})
    assert begun.status_code == 200, "nor does it shut out whom an invitation lets in"


@pytest.mark.requirement("CONSOLE-16")
async def test_a_user_of_the_machine_uses_up_no_attempts_of_another():
    limits = ConsoleLimits(attempts_per_minute_max=5)
    house = await console_house(limits=limits, needs={"user_of": lambda theirs, _ours: theirs[1]})
    thief = Client(house.app, port=65_533)
    codes = [(await thief.script("/sign-in/begin", {})).status_code for _ in range(7)]
    assert codes == [200] * 5 + [429] * 2
    assert (await Client(house.app, port=1000).sign_in(house.device)).status_code == 200


@pytest.mark.requirement("CONSOLE-16")
async def test_the_cookie_of_a_known_browser_opens_nothing_and_has_a_bound_of_its_own():
    house = await console_house(limits=ConsoleLimits(attempts_per_minute_max=5))
    known = await house.signed_in()
    name, since, mac = known.known.split(".")
    thief = Client(house.app, known=known.known)
    assert (await thief.page("/passkeys")).status_code == 303
    codes = [(await thief.script("/sign-in/begin", {})).status_code for _ in range(6)]
    assert codes == [200] * 5 + [429], "of this browser alone"
    stranger = Client(house.app)
    while (await stranger.script("/sign-in/begin", {})).status_code == 200:
        pass
    later = str(int(since) + 1)
    for forged in (
        f"{name}.{later}.{mac}",
        f"{'A' * 43}.{since}.{mac}",
        f"{name}.{since}.",
        f"{name}.9e9.{mac}",
        "x",
    ):
        stranger.known = forged
        assert (await stranger.script("/sign-in/begin", {})).status_code == 429, forged
    house.wait(90 * 86_400)
    stranger.known = ""
    while (await stranger.script("/sign-in/begin", {})).status_code == 200:
        pass
    assert (await known.script("/sign-in/begin", {})).status_code == 429, "it is forgotten after 90 days"


@pytest.mark.requirement("CONSOLE-06")
async def test_sessions_are_bounded_and_more_people_are_told_to_wait():
    house = await console_house(limits=ConsoleLimits(sessions_max=2))
    for _ in range(2):
        await house.signed_in()
    answer = await Client(house.app).sign_in(house.device)
    assert (answer.status_code, answer.json()["code"]) == (503, "console.sessions")


@pytest.mark.requirement("CONSOLE-06")
@pytest.mark.parametrize(
    ("content", "media_type", "code"),
    [
        (b"x" * 131_073, "application/json", "request.size"),
        (b"{}", "text/plain", "request.media_type"),
        (b"{}", "", "request.media_type"),
        (b"[]", "application/json", "request.body"),
        (b'{"ceremony": 1}', "application/json", "request.body"),
        (b'{"ceremony": "a", "ceremony": "b"}', "application/json", "json.duplicate_member"),
        (b"\xff", "application/json", "json.utf8"),
    ],
)
async def test_bodies_are_read_strictly_and_no_further_than_they_may_be(content, media_type, code):
    house = await console_house()
    client = Client(house.app)
    headers = {"origin": ORIGIN, "content-type": media_type}
    answer = await client.ask("POST", "/sign-in/finish", content=content, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["code"] == code


@pytest.mark.requirement("CONSOLE-06")
async def test_a_form_is_read_strictly():
    house = await console_house()
    client = await house.signed_in()
    await client.page("/passkeys")
    for body in ("csrf=a&csrf=b", "=&;", "&".join(f"f{n}=1" for n in range(50)), "csrf"):
        answer = await client.ask(
            "POST", "/stop", content=body,
            headers={"origin": ORIGIN, "content-type": "application/x-www-form-urlencoded"},
        )  # fmt: skip
        assert answer.status_code in (400, 403), body


@pytest.mark.requirement("CONSOLE-08")
async def test_an_invitation_brings_in_one_passkey_and_opens_a_session_of_its_person():
    house = await console_house()
    invited = await invite_person(
        house.bench.recorder, house.bench.authority, house.bench.asking.passkeys, "bob", by=ADMIN
    )
    client, thief = Client(house.app), Client(house.app)
    begun, late = [
        (await one.script("/enrol/begin", {"code": invited.code})).json() for one in (client, thief)
    ]
    made = SoftPasskey(seed="bob").registration(challenge_of(begun))
    sent = {"ceremony": begun["ceremony"], "registration": registration_members(made), "label": "Bob's key"}
    assert (await client.script("/enrol/finish", sent)).status_code == 200
    assert "Bob&#39;s key" in (await client.page("/passkeys")).text
    made = SoftPasskey(seed="thief").registration(challenge_of(late))
    sent = {"ceremony": late["ceremony"], "registration": registration_members(made), "label": "mine"}
    answer = await thief.script("/enrol/finish", sent)
    assert (answer.status_code, answer.json()["code"]) == (401, "invitation.refused")
    assert (await thief.page("/passkeys")).status_code == 303


@pytest.mark.requirement("CONSOLE-08")
async def test_a_person_sees_and_ends_their_own_passkeys_and_sessions_and_nobody_elses():
    house = await console_house()
    his = await enrolled(house.bench, "bob", SoftPasskey(seed="bob"))
    alice, other, bob = await house.signed_in(), await house.signed_in(), Client(house.app)
    await bob.sign_in(SoftPasskey(seed="bob"))
    text = (await alice.page("/passkeys")).text
    assert "alice&#39;s phone" in text
    assert "bob" not in text
    assert (await alice.form("/passkeys/remove", id=his.name)).status_code == 403
    [name] = re.findall(r'name="name" value="([0-9a-f]{16})"', text)
    assert (await bob.form("/sessions/end", name=name)).status_code == 404
    assert (await alice.form("/sessions/end", name=name)).status_code == 303
    assert (await other.page("/")).status_code == 303
    hers = house.bench.asking.passkeys.register.all()[0]
    assert (await alice.form("/passkeys/remove", id=hers.name)).status_code == 303
    assert (await alice.page("/")).status_code == 303


@pytest.mark.requirement("CONSOLE-10")
async def test_the_stream_of_news_says_that_there_are_some_and_ends_with_its_session():
    house = await console_house(limits=ConsoleLimits(live_seconds=0.01, streams_per_session_max=1))
    client = await house.signed_in()
    assert (await client.ask("HEAD", "/news")).status_code == 200
    async with streamed(house.app, client.cookie) as told:
        assert await told() == b": open\n\n"
        assert (await client.page("/news")).status_code == 503
        await house.bench.issue()
        assert await asyncio.wait_for(told(), 5) == b"event: news\ndata:\n\n"
        await client.form("/sign-out")
        assert await asyncio.wait_for(told(), 5) == b"event: ended\ndata:\n\n"
