"""Pushing to receivers on loopback that are as unwilling as a test says, and to webhooks."""

from __future__ import annotations

import hmac
import json
from base64 import b64decode
from dataclasses import replace
from hashlib import sha256

import pytest

from answerable.core.incident.security_event import STREAM_UPDATED
from answerable.core.mandate.revocation import Revocation, revocable
from answerable.flows.events.deliver_events import AT_A_TIME, CLAIM_ANSWERS, REFUSALS_MAX, deliver_events
from answerable.flows.events.event_desk import EventLimits
from answerable.flows.events.manage_streams import change_status
from answerable.flows.ledger.announce import announce_new
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.testing.builders import Bench
from tests.worlds.event import SECRET, desk_on, hooked, receiving, stream, waiting
from tests.worlds.token_server import Said

pytestmark = pytest.mark.anyio
REFUSED = Said(status=400, body={"err": "invalid_key", "description": "not known"})


async def bench() -> Bench:
    return await Bench().registered()


async def revoke(made: Bench, *names: str) -> None:
    for name in names:
        await revoke_authority(
            made.walk.recorder,
            made.walk.authority,
            made.walk.live,
            revocable("token", name),
            by="alice",
            reason="",
        )


async def pushing(made: Bench, url: str, *names: str, **changes):
    """A desk with one stream that is pushed to, and these tokens revoked and announced."""
    desk = desk_on(made, receivers={"scout": frozenset({url})}, **changes)
    desk.register.put(stream(method="push", endpoint=url, authorization="Bearer of theirs"))
    await announce_new(desk)
    await revoke(made, *names)
    await announce_new(desk)
    return desk


def later(made: Bench, seconds: float = 120) -> None:
    made.clock.advance(seconds)


@pytest.mark.requirement("SSF-06")
async def test_events_are_pushed_in_order_and_are_gone_when_they_are_taken():
    made = await bench()
    with receiving(lambda: desk.jwks()) as receiver:
        desk = await pushing(made, receiver.url, "t-1", "t-2", "t-3")
        assert await deliver_events(desk, "s-1") == 3
        assert [one["sub_id"]["jti"] for one in receiver.tokens] == ["t-1", "t-2", "t-3"]
        assert len({one["jti"] for one in receiver.tokens}) == 3
        assert {one["authorization"] for one in receiver.headers} == {"Bearer of theirs"}
        assert waiting(desk) == []
        assert await deliver_events(desk, "s-1") == 0


@pytest.mark.requirement("SSF-06")
@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 404, 410, 413, 429, 500, 503])
async def test_whatever_a_receiver_answers_the_event_waits_and_is_tried_again(status):
    made = await bench()
    with receiving(lambda: desk.jwks()) as receiver:
        receiver.answers = [Said(status=status, headers={"location": receiver.server.url + "/elsewhere"})]
        desk = await pushing(made, receiver.url, "t-1", "t-2")
        assert await deliver_events(desk, "s-1") == 0
        assert len(waiting(desk)) == 2
        # Not at once again, and then with the same id.
        assert await deliver_events(desk, "s-1") == 0
        assert receiver.tokens == []
        later(made)
        assert await deliver_events(desk, "s-1") == 2
        assert [one["sub_id"]["jti"] for one in receiver.tokens] == ["t-1", "t-2"]
        assert {one.path for one in receiver.server.seen} == {"/events"}


@pytest.mark.requirement("SSF-06")
async def test_pauses_double_up_to_a_bound_and_there_is_no_last_try():
    made = await bench()
    with receiving(lambda: desk.jwks()) as receiver:
        receiver.answers = [Said(status=503)] * 40
        desk = await pushing(made, receiver.url, "t-1")
        pauses = []
        for _ in range(40):
            await deliver_events(desk, "s-1")
            pauses.append(desk.register.queue("s-1").next_at - made.clock.now())
            later(made)
        assert [one // 1000 for one in pauses[:8]] == [1, 2, 4, 8, 16, 32, 60, 60]
        assert set(pauses[7:]) == {60_000}
        assert await deliver_events(desk, "s-1") == 1


@pytest.mark.requirement("SSF-06")
async def test_a_receiver_that_is_not_there_loses_nothing_and_the_server_says_so(caplog):
    made = await bench()
    with receiving(lambda: desk.jwks()) as receiver:
        url = receiver.url
        desk = await pushing(made, url, "t-1")
    assert await deliver_events(desk, "s-1") == 0
    [said] = [one for one in caplog.records if one.levelname == "WARNING"]
    assert said.getMessage().startswith("scout: a receiver of events cannot be reached")
    assert len(waiting(desk)) == 1
    assert desk.register.queue("s-1").attempts == 1


@pytest.mark.requirement("SSF-06")
async def test_an_event_that_is_refused_for_good_is_set_aside_and_said_and_the_others_go_on():
    made = await bench()
    with receiving(lambda: desk.jwks()) as receiver:
        receiver.answers = [REFUSED] * REFUSALS_MAX
        desk = await pushing(made, receiver.url, "t-1", "t-2")
        for _ in range(REFUSALS_MAX):
            await deliver_events(desk, "s-1")
            later(made)
        assert [one["sub_id"]["jti"] for one in receiver.tokens] == ["t-2"]
        found = desk.register.find("s-1")
        assert (found.refused, found.reason) == (1, "refused 1, the last one for `invalid_key`")
        assert waiting(desk) == []


@pytest.mark.requirement("SSF-06")
async def test_a_receiver_that_was_away_for_long_may_refuse_once_without_losing_an_event():
    made = await bench()
    with receiving(lambda: desk.jwks()) as receiver:
        receiver.answers = [*([Said(status=503)] * 20), REFUSED]
        desk = await pushing(made, receiver.url, "t-1")
        for _ in range(22):
            await deliver_events(desk, "s-1")
            later(made)
        assert [one["sub_id"]["jti"] for one in receiver.tokens] == ["t-1"]
        assert desk.register.find("s-1").refused == 0


@pytest.mark.requirement("SSF-06")
async def test_refusals_of_one_event_do_not_count_for_the_next_one():
    made = await bench()
    with receiving(lambda: desk.jwks()) as receiver:
        most = [REFUSED] * (REFUSALS_MAX - 1)
        receiver.answers = [*most, Said(status=202), *most]
        desk = await pushing(made, receiver.url, "t-1", "t-2")
        for _ in range(2 * REFUSALS_MAX):
            await deliver_events(desk, "s-1")
            later(made)
        assert [one["sub_id"]["jti"] for one in receiver.tokens] == ["t-1", "t-2"]
        assert desk.register.find("s-1").refused == 0


@pytest.mark.requirement("SSF-08")
async def test_what_is_changed_about_a_stream_while_it_is_told_of_an_earlier_change_is_told_too():
    made = await bench()
    with receiving(lambda: desk.jwks()) as receiver:
        desk = await pushing(made, receiver.url)
        found = desk.register.find("s-1")
        desk.register.put(replace(found, status="paused", update="first"))
        take = receiver.server.answers["/events"]

        def changing(seen):
            now = desk.register.find("s-1")
            if now.update == "first":
                desk.register.put(replace(now, update="second"))
            return take(seen)

        receiver.server.answers["/events"] = changing
        await deliver_events(desk, "s-1")
        assert desk.register.find("s-1").update == "second"
        later(made)
        await deliver_events(desk, "s-1")
        assert [one["jti"] for one in receiver.tokens] == ["first", "second"]
        assert desk.register.find("s-1").update == ""


@pytest.mark.requirement("SSF-06")
async def test_what_was_sent_and_not_kept_as_sent_is_sent_once_more_with_the_same_id():
    made = await bench()
    with receiving(lambda: desk.jwks()) as receiver:
        desk = await pushing(made, receiver.url, "t-1")
        whole, dies = desk.register.taken, [True]

        def taken(*arguments, **named):
            if dies.pop() if dies else False:
                raise RuntimeError("the process ends here")
            return whole(*arguments, **named)

        desk.register.taken = taken
        with pytest.raises(RuntimeError):
            await deliver_events(desk, "s-1")
        later(made)
        assert await deliver_events(replace(desk, refusals={}), "s-1") == 1
        first, second = receiver.tokens
        assert first == second


@pytest.mark.requirement("SSF-06")
async def test_while_one_process_sends_another_one_does_not_until_its_claim_is_over():
    made = await bench()
    with receiving(lambda: desk.jwks()) as receiver:
        desk = await pushing(made, receiver.url, "t-1")
        held = int(CLAIM_ANSWERS * desk.limits.answer_seconds_max)
        assert desk.register.claim("s-1", now=made.clock.now(), until=made.clock.now() + held * 1000)
        assert await deliver_events(desk, "s-1") == 0
        later(made, held - 1)
        assert await deliver_events(desk, "s-1") == 0
        later(made, 2)
        assert await deliver_events(desk, "s-1") == 1


@pytest.mark.requirement("SSF-06")
async def test_a_clock_that_is_set_back_stops_no_stream_for_longer_than_a_pause():
    made = await bench()
    with receiving(lambda: desk.jwks()) as receiver:
        receiver.answers = [Said(status=503)]
        desk = await pushing(made, receiver.url, "t-1")
        await deliver_events(desk, "s-1")
        made.clock.jump(-86_400)
        assert await deliver_events(desk, "s-1") == 1


async def test_many_events_are_sent_in_turns():
    made = await bench()
    with receiving(lambda: desk.jwks()) as receiver:
        desk = await pushing(made, receiver.url, *(f"t-{number}" for number in range(AT_A_TIME + 2)))
        assert await deliver_events(desk, "s-1") == AT_A_TIME
        assert await deliver_events(desk, "s-1") == 2


@pytest.mark.requirement("SSF-08")
async def test_a_stream_that_was_full_is_told_so_first_and_goes_on_when_it_is_enabled():
    made = await bench()
    with receiving(lambda: desk.jwks()) as receiver:
        names = [f"t-{number}" for number in range(5)]
        desk = await pushing(made, receiver.url, *names, limits=EventLimits(waiting_max=3))
        assert await deliver_events(desk, "s-1") == 0
        (update,) = receiver.tokens
        assert update["sub_id"] == {"format": "opaque", "id": "s-1"}
        said = update["events"][STREAM_UPDATED]
        assert said["status"] == "paused"
        assert said["reason"].startswith("2 events were left out")
        assert await deliver_events(desk, "s-1") == 0
        assert len(receiver.tokens) == 1
        await change_status(desk, "scout", {"stream_id": "s-1", "status": "enabled"})
        assert await deliver_events(desk, "s-1") == 3
        assert [one["sub_id"].get("jti") for one in receiver.tokens[1:]] == names[:3]


@pytest.mark.requirement("SSF-05")
@pytest.mark.parametrize(
    "way", ["taken from the list", "address taken from the list", "revoked", "owner revoked"]
)
async def test_who_may_not_hear_any_more_is_sent_nothing_that_waits(way):
    made = await bench()
    with receiving(lambda: desk.jwks()) as receiver:
        desk = await pushing(made, receiver.url, "t-1")
        if way == "taken from the list":
            desk = replace(desk, receivers={})
        elif way == "address taken from the list":
            desk = replace(desk, receivers={"scout": frozenset({"https://another.example/"})})
        else:
            what = revocable("agent", "scout") if way == "revoked" else revocable("owner", owner_of(made))
            made.walk.authority.revocations.add(Revocation(what=what, at=made.clock.now(), by="alice"))
        assert await deliver_events(desk, "s-1") == 0
        assert receiver.server.seen == []


def owner_of(made: Bench) -> str:
    return str(made.walk.authority.registry.current.agents["scout"].ownership.owner)


# -- webhooks


async def webhook(made: Bench, url: str, *names: str, **changes):
    desk = desk_on(made, **changes)
    desk.register.put(stream("webhook:ops", receiver="ops", method="webhook", endpoint=url))
    await announce_new(desk)
    await revoke(made, *names)
    await announce_new(desk)
    return desk


@pytest.mark.requirement("HOOK-01")
async def test_a_webhook_gets_a_cloud_event_that_its_secret_signs():
    made = await bench()
    with hooked() as hook:
        desk = await webhook(made, hook.url, "t-1")
        later(made, 7)
        assert await deliver_events(desk, "webhook:ops") == 1
        (seen,) = hook.taken
        assert seen.headers["content-type"] == "application/cloudevents+json"
        event = json.loads(seen.body)
        assert event.keys() == {
            "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data",
        }  # fmt: skip
        assert (event["specversion"], event["type"], event["subject"]) == (
            "1.0",
            "answerable.token.revoked",
            "t-1",
        )
        assert seen.headers["webhook-id"] == event["id"]
        assert int(seen.headers["webhook-timestamp"]) == made.clock.now() // 1000
        version, _, given = seen.headers["webhook-signature"].partition(",")
        signed = f"{event['id']}.{seen.headers['webhook-timestamp']}.".encode() + seen.body
        assert version == "v1"
        assert hmac.compare_digest(b64decode(given), hmac.digest(SECRET, signed, sha256))


@pytest.mark.requirement("HOOK-03")
async def test_a_webhook_that_is_away_is_tried_again_with_the_same_id_and_a_new_time():
    made = await bench()
    with hooked() as hook:
        hook.answers = [Said(status=500), Said(status=400), Said(status=410)]
        desk = await webhook(made, hook.url, "t-1")
        for _ in range(4):
            await deliver_events(desk, "webhook:ops")
            later(made)
        seen = hook.server.seen
        assert len(seen) == 4
        assert len({one.headers["webhook-id"] for one in seen}) == 1
        assert len({one.headers["webhook-timestamp"] for one in seen}) == 4
        assert len({one.body for one in seen}) == 1
        assert waiting(desk, "webhook:ops") == []


@pytest.mark.requirement("HOOK-03")
async def test_a_webhook_is_told_how_much_it_was_not_sent_and_goes_on():
    made = await bench()
    with hooked() as hook:
        names = [f"t-{number}" for number in range(5)]
        desk = await webhook(made, hook.url, *names, limits=EventLimits(waiting_max=3))
        assert await deliver_events(desk, "webhook:ops") == 3
        assert [one["type"] for one in hook.events] == [
            "answerable.webhook.left_out",
            *["answerable.token.revoked"] * 3,
        ]
        assert hook.events[0]["data"] == {"count": 2}
        await revoke(made, "t-9")
        await announce_new(desk)
        assert await deliver_events(desk, "webhook:ops") == 1
        assert hook.events[-1]["subject"] == "t-9"
        assert desk.register.find("webhook:ops").update == ""


async def test_a_webhook_that_is_no_more_in_the_settings_is_sent_nothing():
    made = await bench()
    with hooked() as hook:
        desk = await webhook(made, hook.url, "t-1")
        assert await deliver_events(replace(desk, webhooks={}), "webhook:ops") == 0
        assert hook.server.seen == []
