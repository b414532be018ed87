"""Slack and webhooks, over real sockets to stand-ins that are strict about what they are sent."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256
from hmac import digest

import anyio
import pytest

from answerable.adapters.event_http import HttpEventPost
from answerable.adapters.message_webhook import MessageWebhook
from answerable.adapters.slack import SlackChannel
from answerable.core.approval.message import Message
from answerable.core.approval.route import Route
from answerable.flows.state.reach_desk import ReachLimits
from answerable.testing.clock import START
from tests.worlds.channel import SlackStandIn, reach_bench, slack_stand_in
from tests.worlds.event import hooked
from tests.worlds.token_server import Said

pytestmark = pytest.mark.anyio
KEY = b"0123456789abcdef0123456789abcdef"
MESSAGE = Message(
    id="a-1.asked",
    kind="asked",
    thread="a-1",
    title="An action waits for your answer",
    sentence="Pay <!channel> <https://evil.example|click> *now* & then",
    badges=("production",),
    lines=(("by", "scout"),),
    link="https://us.example/approvals/a-1",
    until=START + 900_000,
    at=START,
    urgent=True,
)


def slack(deputy_validity: SlackStandIn, **changes) -> SlackChannel:
    given = {"token": deputy_validity.token, "url": deputy_validity.server.url + "/api"}
    return SlackChannel(HttpEventPost(answer_seconds_max=30.0), **(given | changes))


async def sent(channel, message=MESSAGE, address="U0BOB", handle=""):
    with anyio.fail_after(120):
        return await channel.send(message, address, handle=handle, now=START)


@pytest.mark.requirement("CHANNEL-08")
async def test_a_message_is_posted_and_changed_to_what_came_of_it_with_who_said_so():
    with slack_stand_in() as deputy_validity:
        reach = await reach_bench(
            channels={"slack": slack(deputy_validity)},
            routes=(Route(group="*", channel="slack"),),
            names=("slack",),
        )
        reach.desk.addresses = {"slack": lambda person: (f"U0{person.upper()}",)}
        answer = await reach.bench.refund(6_000)
        await reach.tell("slack")
        assert {one["channel"] for one in deputy_validity.posted} == {"U0BOB", "U0CAROL"}
        await reach.bench.answer(answer.approval)
        await reach.tell("slack")
    assert len(deputy_validity.posted) == 2
    assert {(one["channel"], one["ts"]) for one in deputy_validity.updated} == {
        (f"D{one['channel']}", f"17.{number}") for number, one in enumerate(deputy_validity.posted, 1)
    }
    for one in deputy_validity.updated:
        assert "approved by: bob" in json.dumps(one["blocks"])


@pytest.mark.requirement("CHANNEL-05")
@pytest.mark.requirement("CHANNEL-08")
async def test_nothing_that_others_chose_is_a_mention_a_link_or_markup():
    with slack_stand_in() as deputy_validity:
        assert (await sent(slack(deputy_validity))).state == "taken"
        (body,) = deputy_validity.posted
    whole = json.dumps(body)
    assert "<!channel>" not in whole
    assert "<https://evil" not in whole
    assert "evil.example" not in whole
    # All that is markup is ours.
    marked = [
        block["text"]["text"]
        for block in body["blocks"]
        if block["type"] == "section" and block["text"]["type"] == "mrkdwn"
    ]
    assert marked == [
        "*An action waits for your answer*",
        "<https://us.example/approvals/a-1|See and answer it>",
    ]
    assert (body["parse"], body["link_names"], body["unfurl_links"]) == ("none", False, False)
    assert not [block for block in body["blocks"] if block["type"] == "actions"]


@pytest.mark.requirement("CHANNEL-08")
async def test_a_message_of_any_length_is_cut_to_what_slack_takes():
    long = replace(
        MESSAGE, sentence="<&>" * 5_000, badges=("<" * 5_000,), lines=(("&" * 5_000, ">" * 5_000),)
    )
    with slack_stand_in() as deputy_validity:
        assert (await sent(slack(deputy_validity), long)).state == "taken"


@pytest.mark.requirement("CHANNEL-08")
@pytest.mark.parametrize(
    ("said", "state", "waits"),
    [
        (Said(status=429, headers={"retry-after": "17"}), "down", 17),
        (Said(status=429), "down", 30),
        (Said(status=429, headers={"retry-after": "soon"}), "down", 30),
        (Said(status=503), "down", 0),
        (Said(status=302, headers={"location": "https://evil.example"}), "down", 0),
        (Said(body={"ok": False, "error": "ratelimited"}), "down", 30),
        (Said(body={"ok": False, "error": "invalid_auth"}), "down", 0),
        (Said(body={"ok": False, "error": "channel_not_found"}), "never", 0),
        (Said(body={"ok": False, "error": "internal_error"}), "later", 0),
        (Said(body={"ok": False, "error": "<b>U0BOB said no"}), "later", 0),
        (Said(body={"ok": False, "error": ["x"]}), "later", 0),
        (Said(body=b"<html>"), "down", 0),
        (Said(body=b"[]"), "down", 0),
        (Said(body={"ok": "yes"}), "down", 0),
        (Said(body=b'{"ok":true,' + b" " * 100_000 + b"}"), "down", 0),
    ],
)
async def test_what_slack_says_instead_is_told_apart(said, state, waits):
    with slack_stand_in() as deputy_validity:
        deputy_validity.answers = [said]
        result = await sent(slack(deputy_validity))
    assert (result.state, result.wait_seconds) == (state, waits)
    assert "U0BOB" not in result.why
    assert result.why


@pytest.mark.requirement("CHANNEL-08")
async def test_a_message_that_is_gone_is_told_anew():
    with slack_stand_in() as deputy_validity:
        deputy_validity.answers = [Said(body={"ok": False, "error": "message_not_found"})]
        ended = replace(MESSAGE, kind="ended", urgent=False, link="", lines=(), badges=(), until=0)
        result = await sent(slack(deputy_validity), ended, handle="D0BOB:17.1")
    assert result.state == "taken"
    assert [one["channel"] for one in deputy_validity.posted] == ["U0BOB"]


@pytest.mark.requirement("CHANNEL-08")
async def test_a_slack_that_is_not_there_is_down_and_the_token_is_not_in_what_is_said():
    with slack_stand_in() as deputy_validity:
        channel = slack(deputy_validity, url="http://127.0.0.1:1/api", token="xoxb-secret")
        result = await sent(channel)
    assert result.state == "down"
    assert result.why.startswith("Slack cannot be reached")
    assert "xoxb" not in result.why


@pytest.mark.requirement("CHANNEL-09")
async def test_a_webhook_gets_a_signed_event_and_the_end_of_it():
    with hooked() as hook:
        channel = MessageWebhook(
            HttpEventPost(answer_seconds_max=30.0),
            url=hook.url,
            secret=KEY,
            source="https://us.example",
        )
        routes = (Route(group="approvers", channel="webhook:ops", place="ops"),)
        reach = await reach_bench(channels={"webhook:ops": channel}, routes=routes)
        answer = await reach.bench.refund(6_000)
        await reach.tell("webhook:ops")
        await reach.bench.answer(answer.approval)
        await reach.tell("webhook:ops")
    kinds = [one["type"] for one in hook.events]
    assert kinds == ["answerable.message.asked", "answerable.message.ended"]
    for seen, event in zip(hook.taken, hook.events, strict=True):
        named, at = seen.headers["webhook-id"], seen.headers["webhook-timestamp"]
        mac = digest(KEY, f"{named}.{at}.".encode() + seen.body, sha256)
        assert seen.headers["webhook-signature"] == f"v1,{b64encode(mac).decode()}"
        assert b64decode(seen.headers["webhook-signature"][3:])
        assert event["id"] == named
        assert event["subject"] == answer.approval.id
        assert event["source"] == "https://us.example"
    assert hook.events[0]["data"]["expires_at"].endswith("Z")
    assert "expires_at" not in hook.events[1]["data"]


@pytest.mark.requirement("CHANNEL-09")
async def test_a_webhook_that_refuses_is_tried_again_with_the_same_id_when_it_says():
    with hooked() as hook:
        channel = MessageWebhook(
            HttpEventPost(answer_seconds_max=30.0), url=hook.url, secret=KEY, source="urn:x"
        )
        hook.answers = [Said(status=503, headers={"retry-after": "42"})]
        refused = await sent(channel)
        assert (refused.state, refused.wait_seconds) == ("down", 42)
        assert (await sent(channel)).state == "taken"
        ids = {one.headers["webhook-id"] for one in hook.server.seen}
    assert ids == {"a-1.asked"}
    assert (await sent(channel)).why.startswith("the webhook cannot be reached")


@pytest.mark.requirement("CHANNEL-04")
async def test_one_channel_down_and_the_other_one_tells_all_the_same():
    with slack_stand_in() as deputy_validity, hooked() as hook:
        hook.answers = [Said(status=500)] * 10
        webhook = MessageWebhook(
            HttpEventPost(answer_seconds_max=30.0), url=hook.url, secret=KEY, source="urn:x"
        )
        reach = await reach_bench(
            channels={"slack": slack(deputy_validity), "webhook:ops": webhook},
            routes=(Route(group="*", channel="slack"), Route(group="*", channel="webhook:ops", place="ops")),
            limits=ReachLimits(at_once_max=1),
        )
        await reach.bench.refund(6_000)
        assert await reach.tell("webhook:ops") == 0
        assert await reach.tell("slack") == 2
    assert reach.desk.register.open("webhook:ops", now=0).error == "the webhook answered with status 500"
    assert reach.desk.register.open("slack", now=0).error == ""
