"""What a page of another site and an agent's words do to the console."""

from __future__ import annotations

import contextlib
import re

import pytest

from answerable.apps.console.guard import next_page
from answerable.apps.console.pages import shown_text
from answerable.core.containment.hold import holdable
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError
from answerable.flows.revocation.place_hold import place_hold
from answerable.testing.soft_passkey import ORIGIN
from tests.probes.console_client import Client, console_house
from tests.worlds.parts import to_hold
from tests.worlds.passkey import ADMIN

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
    assert not list(house.bench.authority.holds.all())
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
    assert not list(house.bench.authority.holds.all())
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
    await place_hold(*to_hold(bench.walk), holdable("agent", "scout"), by=ADMIN, reason=HOSTILE[:80])
    [hold] = bench.authority.holds.all()
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
