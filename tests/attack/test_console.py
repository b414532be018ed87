"""What a page of another site, a stolen cookie, a guesser and an agent's words do to the console."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Any

import pytest

from answerable.apps.console import ConsoleLimits
from answerable.apps.console.guard import next_page
from answerable.apps.console.pages import shown_text
from answerable.core.containment.hold import holdable
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError
from answerable.flows.invite_person import invite_person
from answerable.flows.place_hold import place_hold
from answerable.flows.remove_passkey import remove_passkey
from answerable.testing.soft_passkey import ORIGIN, SoftPasskey
from tests.console_client import Client, challenge_of, console_house, registration_members
from tests.console_stream import streamed
from tests.passkey_world import ADMIN, enrolled

pytestmark = pytest.mark.anyio

PAGES = ("/", "/agents", "/agents/scout", "/live", "/passkeys", "/sign-in", "/enrol")
HOSTILE = (
    '</span><script>alert(1)</script><img src=x onerror=alert(2)>" hx-get="/sign-out" \u202eevil\u200b\x07'
)


@pytest.mark.requirement("CONSOLE-02")
@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8768", "127.0.0.1:8768", "localhost", "localhost:1", "LOCALHOST:8768",
        "localhost:8768.evil.example", "[::1]:8768", "",
    ],
)  # fmt: skip
async def test_another_name_for_this_machine_gets_no_page(host):
    house = await console_house()
    client = await house.signed_in()
    for path in PAGES:
        answer = await client.page(path, headers={"host": host})
        assert answer.status_code == 421, path
        assert "scout" not in answer.text
    answer = await client.ask("POST", "/sign-in/begin", json={}, headers={"host": host, "origin": ORIGIN})
    assert answer.status_code == 421


FOREIGN: list[dict[str, str]] = [
    {},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost:9999"},
    {"origin": "https://localhost:8768"},
    {"origin": ORIGIN, "sec-fetch-site": "cross-site"},
    {"origin": ORIGIN, "sec-fetch-site": "same-site"},
    {"origin": ORIGIN, "sec-fetch-site": "none"},
]


@pytest.mark.requirement("CONSOLE-02")
@pytest.mark.parametrize("headers", FOREIGN)
async def test_what_another_site_sends_changes_nothing_even_with_the_token(headers):
    house = await console_house()
    client = await house.signed_in()
    await client.page("/passkeys")
    fields = {"csrf": client.csrf, "kind": "everything", "name": ""}
    assert (await client.ask("POST", "/stop", data=fields, headers=headers)).status_code == 403
    assert not list(house.bench.walk.holds.all())
    for path in ("/sign-out", "/passkeys/remove", "/sessions/end"):
        assert (await client.ask("POST", path, data=fields, headers=headers)).status_code == 403
    for path in ("/sign-in/begin", "/enrol/begin", "/confirm/begin"):
        assert (await client.ask("POST", path, json={}, headers=headers)).status_code == 403
    assert (await client.page("/")).status_code == 200


@pytest.mark.requirement("CONSOLE-02")
async def test_a_form_without_the_token_of_its_session_changes_nothing():
    house = await console_house()
    client, other = await house.signed_in(), await house.signed_in()
    await other.page("/passkeys")
    for token in ("", "x", other.csrf):
        assert (await client.form("/stop", csrf=token, kind="everything", name="")).status_code == 403
        assert (await client.form("/sign-out", csrf=token)).status_code == 403
    answer = await client.script("/confirm/begin", {}, signed_in=False)
    assert (answer.status_code, answer.json()["code"]) == (403, "console.csrf")
    assert not list(house.bench.walk.holds.all())
    assert (await client.page("/")).status_code == 200


@pytest.mark.requirement("CONSOLE-02")
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"])
async def test_no_other_method_is_answered(method):
    house = await console_house()
    client = await house.signed_in()
    for path in ("/", "/stop", "/nowhere"):
        answer = await client.ask(method, path, headers={"origin": ORIGIN})
        assert answer.status_code == 405
    for path in ("/stop", "/sign-out", "/sign-in/begin"):
        assert (await client.page(path)).status_code == 405
    assert (await client.form("/agents")).status_code == 405


@pytest.mark.requirement("CONSOLE-03")
async def test_every_answer_forbids_frames_foreign_scripts_and_keeping():
    house = await console_house()
    client = await house.signed_in()
    answers = [await client.page(path) for path in PAGES]
    answers += [
        await client.page("/nowhere"),
        await client.page("/agents/nobody"),
        await client.form("/stop"),
    ]
    answers += [await Client(house.app).page("/"), await client.script("/sign-in/begin", {})]
    answers += [await client.page("/", headers={"host": "evil.example"})]
    nonces = set()
    for answer in answers:
        policy = answer.headers["content-security-policy"] if answer.status_code != 303 else ""
        if "html" in answer.headers.get("content-type", ""):
            for part in (
                "default-src 'self'",
                "frame-ancestors 'none'",
                "base-uri 'none'",
                "form-action 'self'",
            ):
                assert part in policy
            assert "unsafe" not in policy
            nonces.add(policy.partition("'nonce-")[2].partition("'")[0])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers
    assert len(nonces) == sum("html" in one.headers.get("content-type", "") for one in answers)


@pytest.mark.requirement("CONSOLE-03")
async def test_assets_are_found_by_their_digest_alone_and_hold_nothing_of_anybody():
    house = await console_house()
    page = await Client(house.app).page("/sign-in")
    paths = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text)
    assert len(paths) == 6
    for path in paths:
        answer = await Client(house.app).page(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        _, _, digest, name = path.split("/")
        for wrong in (
            f"/assets/{'0' * 16}/{name}",
            f"/assets/{digest}/..%2fpages.py",
            f"/assets/{digest}/x.js",
        ):
            assert (await Client(house.app).page(wrong)).status_code == 404
    total = sum([len((await Client(house.app).page(path)).content) for path in paths]) + len(page.content)
    assert total < 60_000


@pytest.mark.requirement("CONSOLE-04")
async def test_the_session_cookie_stays_with_this_host_and_out_of_scripts():
    house = await console_house()
    client = Client(house.app)
    answer = await client.sign_in(house.device)
    [given] = answer.headers.get_list("set-cookie")
    name, *attributes = [part.strip().lower() for part in given.split(";")]
    assert name.startswith("__host-answerable=")
    assert {"secure", "httponly", "samesite=strict", "path=/"} <= set(attributes)
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
    passkey = walk.passkeys.register.all()[0]
    match how:
        case "idle":
            house.wait(900)
        case "old":
            for _ in range(32):
                house.wait(899)
                await client.page("/agents")
            house.wait(40)
        case "removed":
            await remove_passkey(walk, passkey.name, by=ADMIN)
        case "held person":
            await place_hold(walk, holdable("owner", "alice"), by=ADMIN)
        case "held key":
            await place_hold(walk, holdable("key", passkey.key), by=ADMIN)
        case "signed out":
            await client.form("/sign-out")
        case "group":
            walk.passkeys.groups = ("nobody-is-in-it",)


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
    passkey = house.bench.walk.passkeys.register.all()[0]
    assert (await client.form("/passkeys/remove", id=passkey.name)).status_code == 401
    answer = await client.script("/enrol/begin", {}, signed_in=True)
    assert answer.json()["code"] == "console.not_fresh"
    assert not list(house.bench.walk.holds.all())
    await enrolled(house.bench, "bob", SoftPasskey(seed="bob"))
    assert (await client.confirm(SoftPasskey(seed="bob"))).json()["code"] == "passkey.other"
    assert (await client.form("/stop", kind="agent", name="scout")).status_code == 401
    assert (await client.confirm(house.device)).status_code == 200
    answer = await client.form("/stop", kind="agent", name="scout", reason="odd mails")
    assert answer.status_code == 303
    [hold] = house.bench.walk.holds.all()
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
    assert not list(house.bench.walk.holds.all())


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


@pytest.mark.requirement("CONSOLE-07")
async def test_what_an_agent_writes_is_text_and_shows_what_it_hides():
    house = await console_house()
    bench = house.bench
    await bench.issue()
    with contextlib.suppress(AnswerableError):
        await bench.act("get_case", {"case": HOSTILE})
    with contextlib.suppress(AnswerableError):
        await bench.act("refund", {"case": HOSTILE, "amount": 6_000})
    assert len(bench.entries(Tag.INTENT, Tag.REFUSAL, Tag.APPROVAL_ASKED)) == 2
    client = await house.signed_in()
    await place_hold(bench.walk, holdable("agent", "scout"), by=ADMIN, reason=HOSTILE[:80])
    [hold] = bench.walk.holds.all()
    for path in ("/", "/live", "/live?agent=" + "%3Cscript%3E", "/agents/scout", f"/holds/{hold.id}"):
        text = (await client.page(path)).text
        assert "alert(1)</script>" not in text
        assert "<img src=x" not in text
        assert ' hx-get="/sign-out"' not in text
        assert not any(char in text for char in "\u202e\u200b\x07")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in (await client.page("/live")).text


@pytest.mark.requirement("CONSOLE-07")
def test_hidden_characters_are_spelled_out_and_long_text_is_cut():
    assert shown_text("a\u202eb\u200bc") == "a\\u{202e}b\\u{200b}c"
    assert shown_text("x" * 400) == "x" * 300 + "…"


@pytest.mark.requirement("CONSOLE-02")
@pytest.mark.parametrize(
    "target",
    [
        "//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
        "/a\nb", "/\u202e", "", "evil", "/" + "a" * 600, "/a#ainv_x",
    ],
)  # fmt: skip
def test_signing_in_leads_to_no_other_site(target):
    assert next_page(target) == "/"


@pytest.mark.requirement("CONSOLE-02")
def test_signing_in_leads_where_one_was_going():
    for target in ("/", "/agents/scout", "/live?kind=stops&agent=scout"):
        assert next_page(target) == target


@pytest.mark.requirement("CONSOLE-02")
async def test_a_link_from_elsewhere_goes_through_a_page_of_ours_so_that_the_cookie_comes_along():
    house = await console_house()
    answer = await Client(house.app).page("/agents/scout", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 200
    assert 'http-equiv="refresh" content="0;url=/agents/scout"' in answer.text
    answer = await Client(house.app).page("/agents/scout", headers={"sec-fetch-site": "same-origin"})
    assert answer.headers["location"] == "/sign-in?next=%2Fagents%2Fscout"


@pytest.mark.requirement("CONSOLE-08")
async def test_an_invitation_brings_in_one_passkey_and_opens_a_session_of_its_person():
    house = await console_house()
    invited = await invite_person(house.bench.walk, "bob", by=ADMIN)
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
    hers = house.bench.walk.passkeys.register.all()[0]
    assert (await alice.form("/passkeys/remove", id=hers.name)).status_code == 303
    assert (await alice.page("/")).status_code == 303


@pytest.mark.requirement("CONSOLE-09")
async def test_nothing_of_the_other_doors_is_reachable_here():
    house = await console_house()
    client = await house.signed_in()
    for path in (
        "/mcp/crm",
        "/v1/status",
        "/v1/approvals",
        "/oauth/token",
        "/metrics",
        "/enrolment/v1/challenge",
    ):
        assert (await client.page(path)).status_code == 404
        assert (await client.script(path, {})).status_code == 404
    stranger = Client(house.app)
    for path in ("/", "/agents", "/agents/scout", "/live", "/passkeys", "/news", "/holds/x"):
        assert (await stranger.page(path)).status_code == 303
    for path in (
        "/stop",
        "/sign-out",
        "/passkeys/remove",
        "/sessions/end",
        "/confirm/begin",
        "/confirm/finish",
    ):
        answer = await stranger.ask("POST", path, data={"csrf": ""}, headers={"origin": ORIGIN})
        assert answer.status_code == 401


@pytest.mark.requirement("CONSOLE-10")
async def test_the_stream_of_news_says_that_there_are_some_and_ends_with_its_session():
    house = await console_house(limits=ConsoleLimits(live_seconds=0.01, streams_per_session_max=1))
    client = await house.signed_in()
    async with streamed(house.app, client.cookie) as told:
        assert await told() == b": open\n\n"
        assert (await client.page("/news")).status_code == 503
        await house.bench.issue()
        assert await asyncio.wait_for(told(), 5) == b"event: news\ndata:\n\n"
        await client.form("/sign-out")
        assert await asyncio.wait_for(told(), 5) == b"event: ended\ndata:\n\n"
