"""What Redis gets wrong by itself, what its tools do, and where secrets could get out, on real servers."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from answerable.adapters.redis_acl import RedisIssuer, RedisServer, RedisTarget, tls_context
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable
from answerable.wiring.target_kinds import TargetWorld, kind_named
from tests.stand_ins.own_server import cmdlines, free_port, made_certificate
from tests.stand_ins.redis_server import (
    ADMIN,
    ADMIN_PASSWORD,
    SETUP,
    RunningRedis,
    redis_server,
)
from tests.worlds.redis_lease import SCOPE, JSONObject, call, issuer_of, order, works

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[RunningRedis]:
    with redis_server() as running:
        running.as_operator("SET", "case:8:title", "eight")
        yield running


@pytest.fixture
async def credential(server):
    issuer = issuer_of(server)
    yield await issuer.issue(order())
    for name in await issuer.live():
        await issuer.revoke(name)
    await issuer.close()


PAGE = Path(__file__).parents[2] / "docs/reference/adapters/redis.md"


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
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("read", {"command": "set", "arguments": ["case:7:a", "b"]}),
        ("command", {"command": "auth", "arguments": ["default", "x"]}),
        ("command", {"command": "reset", "arguments": ["x"]}),
        ("command", {"command": "hello", "arguments": ["3"]}),
        ("command", {"command": "eval", "arguments": ["return 1", "0"]}),
        ("command", {"command": "get case:8:title", "arguments": ["x"]}),
        ("command", {"command": "GET", "arguments": ["case:7:a"]}),
        ("command", {"command": "get", "arguments": []}),
        ("command", {"command": "get", "arguments": "case:7:a"}),
        ("command", {"command": "get", "arguments": [7]}),
        ("command", {"command": "get", "arguments": ["a"] * 1001}),
        ("command", {"command": "get", "arguments": ["a" * 1_048_577]}),
        ("command", {"command": "get", "arguments": ["a"], "more": 1}),
        ("publish", {"channel": "cases"}),
        ("shell", {}),
    ],
)
async def test_arguments_that_are_no_command_are_refused_and_nothing_is_sent(
    server, credential, tool, arguments
):
    with pytest.raises(Refused) as refused:
        await call(server, credential, tool, arguments)
    assert refused.value.code == "target.arguments"


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


@pytest.mark.requirement("REDIS-04")
async def test_the_session_is_named_as_the_server_names_it(server, credential):
    target = RedisTarget(RedisServer(address=server.address))
    async with target.connected(credential) as session:
        asked: JSONObject = {"command": "get", "arguments": ["case:7:a"]}
        done = await session.perform("read", asked, tag="t", seconds_max=5)
        clients = server.as_operator("CLIENT", "LIST").decode()
    ((kind, key),) = done.session
    told = re.fullmatch(r"id=(\d+) addr=(\S+)", key)
    assert told is not None
    number, address = told.groups()
    assert kind == "redis_client"
    assert re.search(
        rf"^(\$\d+\r\n)?id={number} addr={re.escape(address)} .*user={credential.account}", clients, re.M
    )


@pytest.mark.requirement("REDIS-04")
async def test_a_session_that_the_server_ended_is_not_opened_again(server, credential):
    target = RedisTarget(RedisServer(address=server.address))
    asked: JSONObject = {"command": "append", "arguments": ["case:7:once", "x"]}
    async with target.connected(credential) as session:
        await session.perform("command", asked, tag="t", seconds_max=5)
        await issuer_of(server).revoke(credential.lease)
        with pytest.raises(Unavailable) as lost:
            await session.perform("command", asked, tag="t", seconds_max=5)
    assert lost.value.code == "target.lost"
    with pytest.raises(Unavailable) as refused:
        await call(server, credential, "command", asked)
    assert (refused.value.code, refused.value.effect) == ("target.login", "none")


@pytest.mark.requirement("REDIS-04")
async def test_no_answer_in_time_is_of_unknown_effect(server, credential):
    target = RedisTarget(RedisServer(address=server.address))
    asked: JSONObject = {"command": "set", "arguments": ["case:7:late", "x"]}
    async with target.connected(credential) as session:
        server.as_operator("CLIENT", "PAUSE", "700", "ALL")
        with pytest.raises(Unavailable) as late:
            await session.perform("command", asked, tag="t", seconds_max=0.2)
    assert (late.value.code, late.value.effect) == ("target.timeout", "unknown")


@pytest.mark.requirement("REDIS-02")
async def test_a_resource_called_as_a_pattern_is_one_key_called_so(server):
    issuer = issuer_of(server)
    odd: JSONObject = {"keys": [{"prefix": "case:*:"}, {"key": "n?[o]te\\"}], "commands": ["get"]}
    credential = await issuer.issue(order(5, odd))
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
async def test_what_one_part_allows_no_other_part_widens(server):
    issuer = issuer_of(server)
    scope: JSONObject = {
        "keys": [{"prefix": "read:"}],
        "commands": ["get"],
        "also": [{"keys": [{"key": "wri*te", "access": "write"}], "commands": ["set"]}],
    }
    credential = await issuer.issue(order(6, scope))
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
    await issuer.revoke(credential.lease)


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
        with pytest.raises(Unavailable) as late:
            await issuer.issue(order())
        assert late.value.effect == "unknown"
        assert stalled.process is not None
        stalled.process.send_signal(signal.SIGCONT)
        assert (await issuer.revoke(order().name)).is_gone
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
        credential = await issuer.issue(order(1, odd))
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


@pytest.mark.requirement("REDIS-05")
async def test_secrets_are_nowhere_but_in_the_credential(server):
    issuer = issuer_of(server)
    credential = await issuer.issue(order(9))
    secrets = [ADMIN_PASSWORD, credential.secret.reveal("password")]
    seen = [repr(issuer), repr(credential)]
    seen.append(
        str((await call(server, credential, "read", {"command": "get", "arguments": ["case:8:a"]})).result)
    )
    for attempt in (issuer.issue(order(9)), issuer_of(server, account="nobody").live()):
        with pytest.raises(AnswerableError) as failed:
            await attempt
        seen += [failed.value.message, repr(failed.value), repr(failed.value.__cause__)]
    seen += [
        server.as_operator(*words).decode(errors="replace")
        for words in (("ACL", "LIST"), ("ACL", "LOG"), ("SLOWLOG", "GET"), ("CLIENT", "LIST"))
    ]
    seen += [path.read_text(errors="replace") for path in server.folder.glob("*") if path.is_file()]
    seen += cmdlines()
    for secret in secrets:
        assert not [text for text in seen if secret in text]
    await issuer.revoke(credential.lease)
    await issuer.close()


async def whole_life(issuer: RedisIssuer) -> None:
    credential = await issuer.issue(order(7))
    await issuer.renew(credential.lease, UnixMillis(0))
    await issuer.live()
    await issuer.revoke(credential.lease)


@pytest.mark.requirement("REDIS-06")
async def test_the_broker_needs_the_rights_of_the_page_and_no_others(server):
    listed = re.findall(r"^ACL SETUSER answerable .*$", PAGE.read_text(encoding="utf-8"), re.M)
    assert listed == [SETUP.replace(ADMIN_PASSWORD, "PASSWORD")]
    for right in re.findall(r"\+\S+", SETUP):
        if right == "+acl|save":
            continue
        server.as_operator(*SETUP.replace(right, "-@all").split())
        issuer = issuer_of(server)
        try:
            with pytest.raises(Unavailable) as lacking:
                await whole_life(issuer)
            assert lacking.value.code == "lease.target", right
        finally:
            server.as_operator("ACL", "SETUSER", ADMIN, "reset")
            server.as_operator(*SETUP.split())
            await issuer_of(server).revoke(order(7).name)
            await issuer.close()


@pytest.mark.requirement("REDIS-06")
async def test_a_certificate_that_nobody_trusts_is_not_talked_to(tmp_path):
    port = free_port()
    with redis_server() as plain:
        made_certificate(plain.folder)
        ca = tmp_path / "ca.pem"
        shutil.copy(plain.folder / "cert.pem", ca)
        plain.stop()
        plain.options = ("--tls-port", str(port), "--tls-auth-clients", "no", "--tls-cert-file")
        plain.options += (str(plain.folder / "cert.pem"), "--tls-key-file", str(plain.folder / "key.pem"))
        plain.start()
        tried = [("localhost", str(ca), True), ("localhost", "", False), ("127.0.0.1", str(ca), False)]
        for host, signers, is_right in tried:
            server = RedisServer(address=f"rediss://{host}:{port}", tls=tls_context(signers))
            issuer = RedisIssuer(
                server, account=ADMIN, password_of=lambda: ADMIN_PASSWORD, entropy=SystemEntropy()
            )
            if is_right:
                assert await issuer.live() == ()
            else:
                with pytest.raises(Unavailable):
                    await issuer.live()
            await issuer.close()
    with pytest.raises(Malformed):
        tls_context(str(tmp_path / "none.pem"))


@pytest.mark.requirement("REDIS-06")
async def test_settings_make_a_target_that_works_and_say_what_is_missing(server):
    kind = kind_named("redis")
    assert len(kind.faults(kind.settings())) == 2
    settings = kind.settings(address=server.address, password="file:redis")
    assert kind.faults(settings) == ()
    asked: list[str] = []

    def secret_of(reference: str) -> bytes:
        asked.append(reference)
        return ADMIN_PASSWORD.encode() + b"\n"

    built = kind.build(
        settings, TargetWorld(clock=SystemClock(), entropy=SystemEntropy(), secret_of=secret_of)
    )
    assert asked == []
    credential = await built.issuer.issue(order(3))
    async with built.target.connected(credential) as session:
        done = await session.perform(
            "read", {"command": "get", "arguments": ["case:7:z"]}, tag="", seconds_max=5
        )
    assert done.result["structuredContent"] == {"reply": None, "cut": False}
    assert (await built.issuer.revoke(credential.lease)).is_gone
    assert asked == ["file:redis"]
    for tool in built.target.tools():
        shape = freeze(dict(tool)).bytes
        assert b'"additionalProperties":false' in shape
        assert shape.count(b"Hint") == 4
