"""The broker's socket: who is let in, what a call without the right warrant does, what nonsense does."""

from __future__ import annotations

import socket

import pytest

from answerable.adapters.broker_http import HttpLeaseBroker, client
from answerable.client.transport import READ_SECONDS_MAX
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.wire import EFFECT_DATA, NAMES_MAX, RETRY_DATA
from answerable.errors import Unavailable
from answerable.errors.codes.leases import LEASE_CROWD, LEASE_SCOPE, TARGET_ARGUMENTS, TARGET_UNREACHABLE
from answerable.flows.leases.perform_leased import perform_leased
from answerable.testing.memory_target import MemorySession
from answerable.testing.samples import signing_key
from tests.worlds.broker_door import KEY, a_door
from tests.worlds.lease import LOG, quiet, warrant

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("BROKER-10")]


async def test_a_call_with_its_warrant_is_done_once(tmp_path):
    async with a_door(tmp_path) as door:
        token = warrant(now=door.world.clock.now()).signed(KEY)
        first = await door.call(token=token)
        assert first["result"]["content"] == [{"type": "text", "text": "open"}]
        again = await door.call(token=token)
        assert again["error"]["data"][EFFECT_DATA] == "none"
        assert len(door.target.done) == 1


async def test_a_call_without_exactly_its_warrant_does_nothing(tmp_path):
    async with a_door(tmp_path) as door:
        now = door.world.clock.now()
        one = warrant(now=now)
        wrong = {
            "none": None,
            "no token": "x",
            "another key": one.signed(signing_key("rover")),
            "another target": warrant(now=now, target="two").signed(KEY),
            "late": warrant(now=now - 20_000).signed(KEY),
        }
        for what, token in wrong.items():
            said = await door.call(token=token)
            assert said["error"]["data"][EFFECT_DATA] == "none", what
        for changed in ({"key": "case-2"}, {"tool": "delete"}):
            said = await door.call(token=one.signed(KEY), **changed)
            assert said["error"]["data"]["code"] == "warrant.action"
        assert door.target.done == []
        assert await door.target.live() == ()
        assert door.world.register.last_change() == 0


@pytest.mark.requirement("BROKER-12")
@pytest.mark.parametrize(
    ("error", "again"),
    [
        (TARGET_ARGUMENTS("there is no tool `drop`"), False),
        (LEASE_SCOPE("the server does not grant it"), False),
        (LEASE_CROWD("more than 9 leases are open at this target"), True),
        (TARGET_UNREACHABLE("it does not answer"), None),
    ],
)
async def test_a_refusal_says_whether_the_same_call_would_be_refused_again(
    tmp_path, monkeypatch, error, again
):
    async def refuse(*_args, **_options):
        raise error

    monkeypatch.setattr(MemorySession, "perform", refuse)
    async with a_door(tmp_path) as door:
        token = warrant(now=door.world.clock.now()).signed(KEY)
        told = (await door.call(token=token))["error"]["data"]
        assert (told[EFFECT_DATA], told.get(RETRY_DATA)) == ("none", again)
        # Each call has a warrant of its own: a spent one is no word about the next.
        assert (await door.call(token=token))["error"]["data"].get(RETRY_DATA) is not False


async def test_a_process_of_another_user_is_told_nothing(tmp_path):
    async with a_door(tmp_path, uids=frozenset({4_000_000_000})) as door:
        for path in ("/mcp/one", "/v1/leases", "/v1/targets", "/v1/end", "/nowhere"):
            answer = await door.post(path, b"{}")
            assert (answer.status_code, answer.text) == (403, "not for this user\n")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/end", b"", 400),
        ("/v1/end", b"{", 400),
        ("/v1/end", b'{"names": "x", "why": ""}', 400),
        ("/v1/end", b'{"names": [], "why": "", "also": 1}', 400),
        ("/v1/recall", b'{"log": "l", "named": [["no name", "one"]]}', 400),
        ("/v1/leases", b'{"which": "every"}', 400),
        ("/v1/changes", b'{"log": "l", "after": "x"}', 400),
        ("/v1/nothing", b"{}", 404),
        ("/v1/end", b" " * 9_000_000, 400),
    ],
)
async def test_nonsense_is_told_as_such_and_ends_nothing(tmp_path, path, body, status):
    async with a_door(tmp_path) as door:
        await perform_leased(
            door.desk, warrant(now=door.world.clock.now(), window="task"), "get", {"key": "case-1"}
        )
        assert (await door.post(path, body)).status_code == status
        assert len(await door.target.live()) == 1


async def test_what_the_gateway_asks_is_answered_as_the_port_says(tmp_path):
    async with a_door(tmp_path) as door:
        asks = HttpLeaseBroker(door.socket)
        for number in (1, 2, 3):
            now = door.world.clock.now()
            under = (("mandate", f"m-{number}"),)
            await perform_leased(
                door.desk, warrant(number, window="task", now=now, under=under), "get", {"key": "case-1"}
            )
        assert [one.name for one in await asks.targets()] == ["one"]
        names = [one.name for one in await asks.leases("open")]
        assert len(names) == 3
        assert [one.name for one in await asks.leases("open", after=names[0])] == names[1:]
        assert await asks.changes(LOG, None, wait_seconds=0) == (0, [])
        last, changes = await asks.changes(LOG, 0, wait_seconds=0)
        assert [one.number for one in changes] == sorted(one.number for one in changes)
        assert last == changes[-1].number
        done = await asks.end([("mandate", "m-1")], why="held", wait_seconds=5)
        assert [one.why for one in done.ended] == ["held"]
        door.target.reachable = False
        failed = await asks.end([("mandate", "m-2")], why="held", wait_seconds=5)
        assert [one.fault for one in failed.unrevoked] == ["the target cannot be reached"]
        assert [one.name for one in await asks.leases("unrevoked")] == [failed.unrevoked[0].name]
        door.target.reachable = True
        _, more = await asks.changes(LOG, last, wait_seconds=5)
        assert {one.lease.state for one in more} == {"ended", "unrevoked"}
        # What was written down once is not told again to whoever starts anew.
        assert (await asks.changes(LOG, None, wait_seconds=0))[1] == more
        assert await asks.recall(LOG, [(names[0], "one")]) == 0
        unheard = warrant(77, now=UnixMillis(0)).lease.name
        assert await asks.recall(LOG, [(unheard, "one")]) == 1
        await quiet(door.desk)
        gone = door.world.register.get(unheard)
        assert (gone.state, gone.end) == ("ended", "revoked"), "when its time was up is not known"
        with pytest.raises(Unavailable) as many:
            await asks.end([("mandate", str(one)) for one in range(NAMES_MAX + 1)], why="x", wait_seconds=0)
        assert many.value.code == "broker.failed"


async def test_a_broker_that_is_away_is_told_as_away(tmp_path):
    with pytest.raises(Unavailable) as away:
        await HttpLeaseBroker(tmp_path / "nobody.sock").leases("open")
    assert (away.value.code, away.value.effect) == ("broker.unreachable", "none")


@pytest.mark.requirement("ASKING-08")
async def test_a_broker_that_hangs_is_named_before_the_command_gives_the_server_up(tmp_path, monkeypatch):
    assert client.LIST_SECONDS_MAX < READ_SECONDS_MAX
    monkeypatch.setattr(client, "LIST_SECONDS_MAX", 0.2)
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(tmp_path / "s"))
        hanging.listen()
        with pytest.raises(Unavailable) as raised:
            await HttpLeaseBroker(tmp_path / "s").leases("open")
    assert raised.value.message == "the broker did not answer: no answer within 0.2 s"
