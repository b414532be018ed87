"""What Redis alone gets wrong by itself, and what its tools do, on real servers."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import anyio
import pytest

from answerable.adapters.system import SystemEntropy
from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import Refused, Unavailable
from tests.stand_ins.redis_server import ADMIN_PASSWORD, RunningRedis, redis_server
from tests.worlds.redis_lease import SCOPE, JSONObject, call, issuer_of, issuer_on, order, works

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[RunningRedis]:
    with redis_server() as running:
        running.as_operator("SET", "case:8:title", "eight")
        yield running


@pytest.fixture
async def issuer(server):
    async with issuer_on(server) as made:
        yield made


@pytest.fixture
async def credential(issuer):
    return await issuer.issue(order())


@pytest.mark.requirement("REDIS-04")
async def test_tools_send_what_their_arguments_say_and_return_what_the_server_answers(server, credential):
    async def told(tool, *words):
        arguments = {"command": words[0], "arguments": list(words[1:])}
        return (await call(server, credential, tool, arguments)).result

    hostile = "x\r\n*1\r\n$8\r\nFLUSHALL\r\n"
    assert (await told("command", "set", "case:7:note", hostile))["structuredContent"]["reply"] == "OK"
    assert (await told("read", "get", "case:7:note"))["structuredContent"] == {"reply": hostile, "cut": False}
    assert b"eight" in server.as_operator("GET", "case:8:title")
    await told("command", "hset", "case:7:form", "a", "1")
    assert (await told("read", "hgetall", "case:7:form"))["structuredContent"]["reply"] == {"a": "1"}
    refused = await told("read", "get", "case:8:title")
    assert refused["isError"]
    assert "NOPERM" in refused["content"][0]["text"] or "permission" in refused["content"][0]["text"]
    heard = await call(server, credential, "publish", {"channel": "cases", "message": "hello"})
    assert heard.result["structuredContent"]["reply"] == 0
    assert (await call(server, credential, "publish", {"channel": "other", "message": "x"})).result["isError"]


@pytest.mark.requirement("REDIS-04")
async def test_an_answer_beyond_its_bound_is_cut_and_says_so(server, credential):
    await call(server, credential, "command", {"command": "set", "arguments": ["case:7:big", "b" * 8000]})
    asked = {"command": "get", "arguments": ["case:7:big"]}
    cut = (await call(server, credential, "read", asked)).result
    assert cut["structuredContent"] == {"reply": None, "cut": True}
    assert "4096" in cut["content"][0]["text"]
    assert not (await call(server, credential, "read", asked, bytes_max=9000)).result["structuredContent"][
        "cut"
    ]
    many = ["case:7:list", *("x" * 10 for _ in range(900))]
    await call(server, credential, "command", {"command": "rpush", "arguments": many})
    listed = {"command": "lrange", "arguments": ["case:7:list", "0", "-1"]}
    assert (await call(server, credential, "read", listed)).result["structuredContent"]["cut"]


@pytest.mark.requirement("REDIS-02")
async def test_a_resource_called_as_a_pattern_is_one_key_called_so(server, issuer):
    odd: JSONObject = {"keys": [{"prefix": "case:*:"}, {"key": "n?[o]te\\"}], "commands": ["get"]}
    credential = await issuer.issue(order(scope=odd))
    server.as_operator("SET", "case:*:title", "star")
    server.as_operator("SET", "n?[o]te\\", "odd")
    for key, is_let in {
        "case:*:title": True,
        "n?[o]te\\": True,
        "case:8:title": False,
        "nxote": False,
    }.items():
        done = await call(server, credential, "read", {"command": "get", "arguments": [key]})
        assert done.result["isError"] is not is_let, key
    await issuer.revoke(credential.lease)


@pytest.mark.requirement("REDIS-02")
async def test_what_one_part_allows_no_other_part_widens(server, issuer):
    scope: JSONObject = {
        "keys": [{"prefix": "read:"}],
        "commands": ["get"],
        "also": [{"keys": [{"key": "wri*te", "access": "write"}], "commands": ["set"]}],
    }
    credential = await issuer.issue(order(scope=scope))
    for words, is_let in [
        (("get", "read:1"), True),
        (("set", "wri*te", "x"), True),
        (("set", "read:1", "x"), False),
        (("set", "wriXte", "x"), False),
        (("get", "wri*te"), False),
    ]:
        done = await call(server, credential, "command", {"command": words[0], "arguments": list(words[1:])})
        assert done.result["isError"] is not is_let, words
    assert "also 1: keys %W~wri\\*te" in await issuer.granted(credential.lease)


class StallingEntropy(SystemEntropy):
    """Chance that is asked for between the first and the second command of an issue, and stops the server there."""

    def __init__(self, server: RunningRedis) -> None:
        self._server = server

    def bytes(self, count: int) -> bytes:
        assert self._server.process is not None
        self._server.process.send_signal(signal.SIGSTOP)
        return super().bytes(count)


@pytest.mark.requirement("REDIS-01")
async def test_what_was_sent_and_not_answered_is_not_carried_out_after_its_revocation():
    with redis_server() as stalled:
        issuer = issuer_of(stalled, seconds_max=0.5, entropy=StallingEntropy(stalled))
        wanted = order()
        with pytest.raises(Unavailable) as late:
            await issuer.issue(wanted)
        assert late.value.effect == "unknown"
        assert stalled.process is not None
        stalled.process.send_signal(signal.SIGCONT)
        assert (await issuer.revoke(wanted.name)).is_gone
        await anyio.sleep(0.2)
        assert await issuer.live() == ()
        await issuer.close()


@pytest.mark.requirement("REDIS-03")
async def test_without_a_file_of_users_a_restart_ends_every_lease():
    with redis_server() as server:
        issuer = issuer_of(server)
        credential = await issuer.issue(order())
        assert works(server, credential)
        server.stop()
        server.start()
        assert not works(server, credential)
        assert await issuer.live() == ()
        assert (await issuer.revoke(credential.lease)).is_gone
        with pytest.raises(Refused) as gone:
            await issuer.renew(credential.lease, UnixMillis(0))
        assert gone.value.code == "lease.gone"
        await issuer.close()


@pytest.mark.requirement("REDIS-03")
async def test_a_lease_that_was_saved_while_it_lived_is_found_after_a_restart_and_ended_for_good():
    with redis_server(with_file=True) as server:
        issuer = issuer_of(server)
        odd: JSONObject = {"keys": [{"prefix": "case:*[a]:"}], "commands": ["get"], "also": [SCOPE]}
        credential = await issuer.issue(order(scope=odd))
        granted = await issuer.granted(credential.lease)
        server.as_operator("ACL", "SAVE")
        server.stop()
        server.start()
        assert works(server, credential), "the trap: it lives again"
        assert await issuer.granted(credential.lease) == granted, "and as it was"
        assert await issuer.live() == (credential.lease,)
        assert (await issuer.revoke(credential.lease)).is_gone
        server.stop()
        server.start()
        assert not works(server, credential)
        assert await issuer.live() == ()
        await issuer.close()


@pytest.mark.requirement("REDIS-03")
async def test_a_file_of_users_that_cannot_be_written_leaves_a_revocation_open():
    with redis_server() as server:
        issuer = issuer_of(server, saves=True)
        credential = await issuer.issue(order())
        with pytest.raises(Unavailable) as failed:
            await issuer.revoke(credential.lease)
        assert failed.value.code == "lease.target"
        assert "ACL file" in failed.value.message
        await issuer.close()


@pytest.mark.requirement("REDIS-06")
async def test_the_brokers_password_is_read_when_it_connects_and_not_again(server):
    asked: list[str] = []

    def password_of() -> str:
        asked.append("once")
        return ADMIN_PASSWORD

    issuer = issuer_of(server, password_of=password_of)
    assert asked == []
    await issuer.revoke((await issuer.issue(order())).lease)
    assert asked == ["once"]
    await issuer.close()
