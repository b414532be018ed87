"""Attacks on the door at which Slack says who clicked: what is not Slack's own, in time and once, changes nothing."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from answerable.apps.chat_door.signed import SEEN_MAX, SeenRequests
from answerable.core.approval.chat_click import APPROVE
from answerable.errors import Refused
from answerable.testing.clock import START
from tests.worlds.click import PATH, SECRET, Clicks, clicking, form_of, user_of

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("BUTTON-04")]


async def still_good(world: Clicks) -> None:
    """Nothing was recorded, nobody was asked or told anything, and the button answers as if nothing had happened."""
    assert world.answers() == 0
    assert not world.slack.asked
    assert not world.slack.whispered
    assert (await world.press(trigger_id="another")).status_code == 200
    assert world.answers() == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"x_slack_signature": None},
        {"x_slack_request_timestamp": None},
        {"x_slack_signature": ""},
        {"x_slack_signature": "v0="},
        {"x_slack_signature": "v0=" + "0" * 64},
        {"x_slack_signature": "v1=" + "0" * 64},
        {"x_slack_request_timestamp": "0"},
        {"x_slack_request_timestamp": "-1764300000"},
        {"x_slack_request_timestamp": "９" * 10},
        {"x_slack_request_timestamp": "1e9"},
        {"secret": b"another-secret-of-somebody-else"},
        {"secret": b""},
        {"secret": SECRET + b"\n"},
        {"at": START // 1000 - 301},
        {"at": START // 1000 + 301},
        {"at": 1_000_000_000},
    ],
    ids=str,
)
async def test_what_slack_did_not_sign_in_time_is_refused_with_one_and_the_same_answer(changes):
    async with clicking() as world:
        await world.asked()
        body = form_of(world.payload())
        headers = {
            name: one.encode() if isinstance(one, str) else one
            for name, one in world.headers(body, **changes).items()
        }
        answer = await world.post(body, headers)
        assert answer.status_code == 401
        assert answer.json()["detail"] == "this is not signed by the chat, or is too old"
        await still_good(world)


async def test_a_body_with_one_byte_changed_is_not_what_was_signed():
    async with clicking() as world:
        await world.asked()
        body = form_of(world.payload(verdict="deny"))
        headers = world.headers(body)
        for changed in (body.replace(b"deny", b"approve"), body + b"&", body[:-1], b""):
            assert (await world.post(changed, headers)).status_code == 401
        await still_good(world)


async def test_a_signature_for_another_time_is_none():
    async with clicking() as world:
        await world.asked()
        body = form_of(world.payload())
        headers = world.headers(body, at=world.bench.clock.now() // 1000 - 4_000)
        headers["x-slack-request-timestamp"] = str(world.bench.clock.now() // 1000)
        assert (await world.post(body, headers)).status_code == 401
        await still_good(world)


async def test_a_request_that_came_before_is_refused_and_what_it_did_stands_once():
    async with clicking() as world:
        await world.asked()
        body = form_of(world.payload())
        headers = world.headers(body)
        assert (await world.post(body, headers)).status_code == 200
        again = await world.post(body, headers)
        assert (again.status_code, again.json()["code"]) == (409, "chat.replayed")
        world.bench.clock.advance(301)
        assert (await world.post(body, headers)).status_code == 401
        assert world.answers() == 1


async def test_two_of_a_header_are_none():
    async with clicking() as world:
        await world.asked()
        body = form_of(world.payload())
        headers = [*world.headers(body).items()]
        for name in ("x-slack-signature", "x-slack-request-timestamp"):
            doubled = [*headers, (name, dict(headers)[name])]
            assert (await world.post(body, doubled)).status_code == 401
        await still_good(world)


BODIES = {
    "no form": b"{}",
    "an empty form": b"payload=",
    "another field": urlencode({"body": "{}"}).encode(),
    "two fields": urlencode([("payload", "{}"), ("payload", "{}")]).encode(),
    "many fields": b"&".join(b"a=1" for _ in range(5_000)),
    "bytes that are no text": b"payload=%ff%fe",
    "raw bytes": b"payload=\xff\xfe",
    "no object": form_of([]),
    "a bomb of lists": b"payload=" + b"%5B" * 15_000,
    "a bomb of objects": b"payload=" + b"%7B%22a%22%3A" * 3_000,
    "a member twice": b"payload=%7B%22type%22%3A%22block_actions%22%2C%22type%22%3A%22block_actions%22%7D",
    "a number without end": form_of({"type": "block_actions", "n": 0}).replace(
        b"0%7D", b"9" * 5_000 + b"%7D"
    ),
    "not a number": b"payload=%7B%22a%22%3ANaN%7D",
    "another kind": form_of({"type": "url_verification", "challenge": "x"}),
    "nothing of it": form_of({"type": "block_actions"}),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_signed_nonsense_is_nonsense(body):
    async with clicking() as world:
        await world.asked()
        answer = await world.post(body, world.headers(body))
        assert answer.status_code in (400, 413), answer.text
        await still_good(world)


@pytest.mark.parametrize(
    "changes",
    [
        {"actions": []},
        {"actions": "approve"},
        {"actions": [{"type": "button", "action_id": APPROVE, "value": "x"}] * 2},
        {"actions": [{"type": "button", "action_id": APPROVE}]},
        {"actions": [{"type": "button", "action_id": APPROVE, "value": ["x"]}]},
        {"actions": [{"type": "button", "action_id": APPROVE, "value": "A" * 42}]},
        {"actions": [{"type": "button", "action_id": "answerable.break_glass", "value": "A" * 43}]},
        {"actions": [{"type": "checkboxes", "action_id": APPROVE, "value": "A" * 43}]},
        {"team": None},
        {"team": {"id": "../T0"}},
        {"team": {"id": ["T0123ABCD"]}},
        {"user": {"id": "bob"}},
        {"user": {"id": "U0BOB", "team_id": "T0OTHER"}},
        {"user": None},
        {"container": {"type": "view", "view_id": "V1"}},
        {"container": {"type": "message", "channel_id": "D0BOB", "message_ts": "17.1", "is_ephemeral": True}},
        {"container": {"type": "message", "channel_id": "https://evil.example", "message_ts": "17.1"}},
        {"container": {"type": "message", "channel_id": "D0BOB", "message_ts": "17"}},
        {"type": "view_submission"},
    ],
    ids=str,
)
async def test_what_is_not_a_click_on_a_button_of_ours_is_none(changes):
    async with clicking() as world:
        await world.asked()
        answer = await world.press(**changes)
        assert (answer.status_code, answer.json()["code"]) == (400, "chat.payload")
        await still_good(world)


@pytest.mark.parametrize("because", ["narrower", "other", "", "too_much.too_much", "approve"])
async def test_a_reason_that_the_menu_does_not_have_is_none(because):
    async with clicking() as world:
        await world.asked()
        option = {"value": f"{world.buttons()[APPROVE]}.{because}"}
        action = {"type": "static_select", "action_id": "answerable.deny_because", "selected_option": option}
        assert (await world.press(actions=[action])).status_code == 400
        await still_good(world)


async def test_what_is_too_long_is_read_no_further():
    async with clicking() as world:
        await world.asked()
        body = form_of(world.payload(state={"values": "x" * 70_000}))
        answer = await world.post(body, world.headers(body))
        assert (answer.status_code, answer.json()["code"]) == (413, "request.size")
        await still_good(world)


@pytest.mark.parametrize(
    ("path", "method", "changes", "status"),
    [
        (PATH, "GET", {}, 405),
        (PATH, "PUT", {}, 405),
        (PATH + "/", "POST", {}, None),
        (PATH + "/../slack2", "POST", {}, 404),
        (PATH, "POST", {"content_type": "application/json"}, 400),
        (PATH, "POST", {"content_type": None}, 400),
        (PATH, "POST", {"origin": "https://evil.example"}, 403),
        (PATH, "POST", {"host": "rebound.example"}, 421),
    ],
)
async def test_another_way_in_is_none(path, method, changes, status):
    async with clicking() as world:
        await world.asked()
        body = form_of(world.payload())
        answer = await world.post(body, world.headers(body, **changes), path=path, method=method)
        assert answer.status_code == status if status else answer.status_code in (307, 404)
        await still_good(world)


async def test_an_agent_that_comes_to_the_door_with_all_that_it_has_answers_nothing():
    async with clicking() as world:
        asked = await world.asked()
        # It knows its approval's id and page, may sign with its own key, and even guesses who is asked.
        for value in ("A" * 43, asked.id, asked.shown.hex, asked.card.hex):
            body = form_of(world.payload(value=value))
            assert (await world.post(body, world.headers(body, secret=b"scout"))).status_code == 401
            answer = await world.post(body, {"content-type": "application/json", "authorization": "Bearer x"})
            assert answer.status_code == 401
            assert not {"bob", user_of("bob")} & set(answer.text.split('"'))
        assert (await world.bench.refund(6_000)).outcome is None
        await still_good(world)


async def test_one_account_that_clicks_without_end_is_slowed_and_keeps_nobody_else_out():
    async with clicking() as world:
        await world.asked()
        statuses = [
            (await world.press(value="A" * 43, trigger_id=str(number))).status_code for number in range(40)
        ]
        assert statuses.count(200) == 30
        assert len(world.app.routes[0].endpoint.__self__._seen._seen) == 30
        assert set(statuses[30:]) == {429}
        assert (await world.press("carol")).status_code == 200
        assert world.answers() == 1


def test_what_came_before_is_remembered_as_long_as_it_could_come_again_and_no_longer():
    seen = SeenRequests()
    for number in range(SEEN_MAX):
        seen.refuse_seen(b"%032d" % number, START)
        seen.keep(b"%032d" % number, START)
    for digest in (b"%032d" % 0, b"%032d" % SEEN_MAX):
        with pytest.raises(Refused):
            seen.refuse_seen(digest, START + 600_000)
    seen.refuse_seen(b"%032d" % SEEN_MAX, START + 601_000)


def test_what_came_by_a_clock_that_was_ahead_shuts_the_door_for_nobody_afterwards():
    seen, ahead = SeenRequests(), START + 86_400_000
    for number in range(SEEN_MAX):
        seen.refuse_seen(b"%032d" % number, ahead)
        seen.keep(b"%032d" % number, ahead)
    seen.refuse_seen(b"%032d" % SEEN_MAX, START)
    seen.keep(b"%032d" % SEEN_MAX, START)
    with pytest.raises(Refused):
        seen.refuse_seen(b"%032d" % SEEN_MAX, START + 300_000)


async def test_nothing_of_a_request_that_fails_is_logged(caplog, monkeypatch):
    async with clicking() as world:
        await world.asked()

        async def failing(*_):
            raise RuntimeError("secret-right xoxb d8c1bb")

        monkeypatch.setattr("answerable.apps.chat_door.application.take_click", failing)
        answer = await world.press()
    assert (answer.status_code, answer.json()["code"]) == (500, "chat.failed")
    for secret in ("secret-right", "xoxb", "d8c1bb", SECRET.decode()):
        assert secret not in caplog.text + answer.text
    assert "RuntimeError" in caplog.text
    assert SECRET.decode() not in json.dumps(repr(world.app.routes))
