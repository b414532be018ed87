"""Web push, over TLS to a push service and a browser's side of it that were written from the standards."""

from __future__ import annotations

import time
from dataclasses import replace

import anyio
import pytest

from answerable.adapters.event_http import HttpEventPost
from answerable.adapters.sqlite import SqlitePushRegister
from answerable.adapters.web_push import WebPushChannel, vapid_key
from answerable.core.approval.message import Message
from answerable.core.approval.push_device import PushDevice
from answerable.core.identity.keys.keys import SEED_BYTES, SigningKey, new_private_jwk
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.errors import Malformed
from answerable.testing.clock import START
from answerable.testing.registers import fresh
from answerable.testing.samples import signing_key
from tests.worlds.federation import Authority, context_of
from tests.worlds.push import Browser, push_service
from tests.worlds.token_server import Said

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("CHANNEL-12")]
KEY = SigningKey(new_private_jwk("ecdsa-p256-sha256", bytes([3]) * SEED_BYTES["ecdsa-p256-sha256"]))
NOW = int(time.time() * 1000)
MESSAGE = Message(
    id="a-1.asked",
    kind="asked",
    thread="a-1",
    title="An action waits for your answer",
    sentence='Pay: Case "4711" (refund on crm)',
    link="https://us.example/approvals/a-1",
    until=NOW + 900_000,
    at=NOW,
    urgent=True,
)


class World:
    """One device of bob at a service, and the channel to it."""

    def __init__(self, service, authority, *, hosts=None, endpoint=""):
        self.service = service
        self.register = fresh(SqlitePushRegister)
        browser: Browser = service.browser
        self.device = PushDevice(
            person=PrincipalId("bob"),
            endpoint=endpoint or service.endpoint,
            key=browser.key,
            secret=browser.secret,
            label="phone",
            made_at=UnixMillis(START),
        )
        self.register.add(self.device)
        self.channel = WebPushChannel(
            HttpEventPost(answer_seconds_max=30.0, authorities=authority.pem),
            self.register,
            key=KEY,
            contact="ops@example.com",
            hosts=(service.host,) if hosts is None else hosts,
        )

    async def sent(self, message=MESSAGE, address=""):
        with anyio.fail_after(120):
            return await self.channel.send(message, address or self.device.id, handle="", now=NOW)


@pytest.fixture
def authority():
    return Authority()


@pytest.fixture
def service(authority, tmp_path):
    with push_service(context_of(authority.leaf("127.0.0.1"), tmp_path)) as made:
        yield made


async def test_the_browser_reads_what_was_sent_and_the_service_nothing_of_it(service, authority):
    world = World(service, authority)
    assert (await world.sent()).state == "taken"
    ((seen, shown),) = service.taken
    assert shown["title"] == MESSAGE.title
    assert "4711" in shown["body"]
    assert (shown["id"], shown["tag"]) == ("a-1", "a-1")
    assert "us.example" not in repr(shown)
    assert service.keys == {vapid_key(KEY)}
    assert (seen.headers["urgency"], seen.headers["ttl"]) == ("high", "900")
    assert b"4711" not in seen.body
    assert "a-1" not in repr(seen.headers)


async def test_every_message_has_one_length_and_what_follows_takes_the_place_of_what_waits(
    service, authority
):
    world = World(service, authority)
    long = replace(MESSAGE, sentence="ü" * 5_000, title="x" * 5_000)
    ended = replace(MESSAGE, kind="ended", urgent=False, until=0)
    for message in (MESSAGE, long, ended):
        assert (await world.sent(message)).state == "taken"
    assert len({len(seen.body) for seen, _ in service.taken}) == 1
    assert len({seen.headers["topic"] for seen, _ in service.taken}) == 1
    other = replace(MESSAGE, thread="a-2", kind="digest")
    await world.sent(other)
    assert service.taken[-1][0].headers["topic"] != service.taken[0][0].headers["topic"]
    assert service.taken[-1][1]["id"] == ""


@pytest.mark.parametrize("status", [404, 410])
async def test_a_device_that_has_ended_its_subscription_is_forgotten(service, authority, status):
    world = World(service, authority)
    service.answers = [Said(status=status)]
    assert (await world.sent()).state == "never"
    assert world.register.of("bob") == ()
    assert (await world.sent()).state == "never"
    assert len(service.server.seen) == 1


@pytest.mark.parametrize(
    ("said", "state", "waits"),
    [
        (Said(status=429, headers={"retry-after": "30"}), "later", 30),
        (Said(status=500), "later", 0),
        (Said(status=403), "later", 0),
        (Said(status=413), "never", 0),
        (Said(status=307, headers={"location": "https://evil.example/"}), "later", 0),
    ],
)
async def test_what_the_service_says_instead_is_told_apart(service, authority, said, state, waits):
    world = World(service, authority)
    service.answers = [said]
    result = await world.sent()
    assert (result.state, result.wait_seconds) == (state, waits)
    assert len(world.register.of("bob")) == 1


async def test_a_service_whose_certificate_does_not_count_gets_nothing(service):
    world = World(service, Authority())
    result = await world.sent()
    assert result.state == "later"
    assert "certificate" in result.why
    assert not service.server.seen


async def test_a_host_that_is_not_listed_any_more_is_not_called(service, authority):
    world = World(service, authority, hosts=("fcm.googleapis.com",))
    assert (await world.sent()).state == "never"
    assert not service.server.seen


def test_a_key_on_another_curve_is_refused():
    with pytest.raises(Malformed):
        vapid_key(signing_key("alice"))
