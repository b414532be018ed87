"""What leases and tools on RabbitMQ, Redis and NATS promise alike, and where secrets could get out, on real servers."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.adapters.nats_users.target import TAG_HEADER
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import LeaseOrder
from answerable.core.lease.name import account_of
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable
from answerable.targets.kind import TargetContext
from answerable.wiring.target_kinds import kind_named
from tests.stand_ins.own_server import cmdlines
from tests.worlds.message_servers import NATS, RABBITMQ, REDIS, on, page_of, performed
from tests.worlds.rabbitmq_lease import message

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server(world):
    with world.served() as running:
        yield running


@pytest.fixture
async def issuer(world, server):
    async with world.issuer_on(server) as made:
        yield made


@pytest.fixture
async def credential(world, issuer):
    made = await issuer.issue(world.order())
    yield made
    await issuer.revoke(made.lease)


NO_CALLS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "rabbitmq": [
        ("publish", {}),
        ("publish", {"exchange": "cases", "routing_key": "case.7.a"}),
        ("publish", message("x", exchange="")),
        ("publish", {**message("x"), "message": 7}),
        ("publish", message("x" * 1_048_577)),
        ("publish", message("\ud800")),
        ("publish", message("x", key="k" * 256)),
        ("publish", message("x", user_id="operator")),
        ("publish", message("x", message_id="another")),
        ("publish", message("x", headers={"CC": ["others"]})),
        ("get", {"queue": "inbox"}),
        ("get", {"queue": "inbox", "mode": "purge"}),
        ("get", {"queue": "", "mode": "take"}),
        ("declare", {}),
    ],
    "redis": [
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
    "nats": [
        ("publish", {}),
        ("publish", {"subject": "case.7.*"}),
        ("publish", {"subject": "case.7.note 0\r\nPUB case.8.note"}),
        ("publish", {"subject": "case.7.note", "message": 7}),
        ("publish", {"subject": "case.7.note", "message": "x" * 1_048_577}),
        ("publish", {"subject": "case.7.note", "message": "\ud800"}),
        ("publish", {"subject": "case.7.note", "headers": {TAG_HEADER: "another"}}),
        ("publish", {"subject": "_INBOX.x"}),
        ("subscribe", {"subject": "case.7.note"}),
    ],
}


@pytest.mark.parametrize(
    ("world", "tool", "arguments"),
    [
        *(RABBITMQ(*one, marks=pytest.mark.requirement("RABBIT-04")) for one in NO_CALLS["rabbitmq"]),
        *(REDIS(*one, marks=pytest.mark.requirement("REDIS-04")) for one in NO_CALLS["redis"]),
        *(NATS(*one, marks=pytest.mark.requirement("NATS-05")) for one in NO_CALLS["nats"]),
    ],
    scope="module",
)
async def test_arguments_that_are_no_call_are_refused_and_nothing_is_sent(
    world, server, credential, tool, arguments
):
    with pytest.raises(Refused) as refused:
        await performed(world.target_of(server), credential, tool, arguments)
    assert refused.value.code == "target.arguments"


@on(
    RABBITMQ(marks=pytest.mark.requirement("RABBIT-04")),
    REDIS(marks=pytest.mark.requirement("REDIS-04")),
    NATS(marks=pytest.mark.requirement("NATS-05")),
)
async def test_the_session_is_named_as_the_server_names_it(world, server, credential):
    async with world.target_of(server).connected(credential) as session:
        done = await session.perform(*world.granted_call(), tag="t", seconds_max=10)
        shown = await world.sessions_of(server, credential)
    assert len(shown) == 1
    assert list(done.session) == shown


@on(
    RABBITMQ(marks=pytest.mark.requirement("RABBIT-04")),
    REDIS(marks=pytest.mark.requirement("REDIS-04")),
    NATS(marks=pytest.mark.requirement("NATS-03")),
)
async def test_a_session_that_the_server_ended_is_not_opened_again(world, server, issuer, credential):
    async with world.target_of(server).connected(credential) as session:
        await session.perform(*world.granted_call(), tag="t", seconds_max=10)
        assert (await issuer.revoke(credential.lease)).sessions_cut == 1
        with pytest.raises(Unavailable) as lost:
            await session.perform(*world.granted_call(), tag="t", seconds_max=10)
    assert lost.value.code == "target.lost"
    with pytest.raises(Unavailable) as refused:
        await performed(world.target_of(server), credential, *world.granted_call())
    assert (refused.value.code, refused.value.effect) == ("target.login", "none")


@on(
    REDIS(marks=pytest.mark.requirement("REDIS-04")),
    NATS(marks=pytest.mark.requirement("NATS-05")),
)
async def test_no_answer_in_time_is_of_unknown_effect(world, server, credential):
    async with (
        world.target_of(server).connected(credential) as session,
        world.unanswered(server) as call,
    ):
        with pytest.raises(Unavailable) as late:
            await session.perform(*call, tag="t", seconds_max=0.2)
    assert (late.value.code, late.value.effect) == ("target.timeout", "unknown")


@on(
    RABBITMQ(marks=pytest.mark.requirement("RABBIT-05")),
    REDIS(marks=pytest.mark.requirement("REDIS-05")),
    NATS(marks=pytest.mark.requirement("NATS-06")),
)
async def test_secrets_are_nowhere_but_in_the_credential(world, server, issuer, credential):
    done = await performed(world.target_of(server), credential, *world.granted_call())
    seen = [repr(issuer), repr(credential), str(done.result)]
    again = LeaseOrder(name=credential.lease, scope=world.order().scope, expires_at=UnixMillis(0))
    for attempt in world.failing(server, issuer, again):
        with pytest.raises(AnswerableError) as failed:
            await attempt()
        seen += [failed.value.message, repr(failed.value), repr(failed.value.__cause__)]
    seen += [*world.shown_by(server), *cmdlines()]
    for secret in world.secrets_of(server, credential):
        assert not [text for text in seen if secret in text]
    assert account_of(credential.lease) == credential.account


@on(
    RABBITMQ(marks=pytest.mark.requirement("RABBIT-06")),
    REDIS(marks=pytest.mark.requirement("REDIS-06")),
    NATS(marks=pytest.mark.requirement("NATS-07")),
)
async def test_the_broker_needs_the_rights_of_the_page(world, server, issuer):
    assert world.page_has_the_rights(page_of(world.KIND))
    for lesser in world.LESSER:
        async with world.broker_with_less(server, lesser) as weak:
            with pytest.raises(Unavailable) as lacking:
                await world.whole_life(weak)
        assert lacking.value.code == "lease.target", lesser


@on(
    RABBITMQ(marks=pytest.mark.requirement("RABBIT-06")),
    REDIS(marks=pytest.mark.requirement("REDIS-06")),
    NATS(marks=pytest.mark.requirement("NATS-07")),
)
async def test_a_certificate_that_nobody_trusts_is_not_talked_to(world, tmp_path):
    with world.tls_server() as safe:
        own = str(safe.folder / "cert.pem")
        right, target = world.tls_parts(safe, "localhost", own)
        credential = await right.issue(world.order())
        async with target.connected(credential) as session:
            done = await session.perform(*world.granted_call(), tag="t", seconds_max=10)
            assert done.result["structuredContent"] == world.DONE
            assert credential.lease in await right.live()
        for host, signers in (("localhost", ""), ("127.0.0.1", own)):
            wrong, target = world.tls_parts(safe, host, signers)
            with pytest.raises(Unavailable):
                await wrong.live()
            with pytest.raises(Unavailable) as unreachable:
                async with target.connected(credential):
                    pass
            assert unreachable.value.code == "target.unreachable"
            await wrong.close()
        assert (await right.revoke(credential.lease)).is_gone
        await right.close()
        with pytest.raises(Malformed):
            world.tls_parts(safe, "localhost", str(tmp_path / "none.pem"))


@on(
    RABBITMQ(marks=pytest.mark.requirement("RABBIT-06")),
    REDIS(marks=pytest.mark.requirement("REDIS-06")),
    NATS(marks=pytest.mark.requirement("NATS-07")),
)
async def test_settings_make_a_target_that_works_and_say_what_is_missing(world, server):
    kind = kind_named(world.KIND)
    assert len(kind.faults(kind.settings())) == world.SETTINGS_MISSING
    given, files = world.settings_of(server)
    settings = kind.settings(**given)
    assert kind.faults(settings) == ()
    asked: list[str] = []

    def secret_of(reference: str) -> bytes:
        asked.append(reference)
        return f"{files[reference]}\n".encode()

    built = kind.build(
        settings, TargetContext(clock=SystemClock(), entropy=SystemEntropy(), secret_of=secret_of)
    )
    assert asked == []
    credential = await built.issuer.issue(world.order())
    done = await performed(built.target, credential, *world.granted_call())
    assert not done.result["isError"]
    assert done.result["structuredContent"] == world.DONE
    assert (await built.issuer.revoke(credential.lease)).is_gone
    assert set(asked) == set(files)
    await built.issuer.close()
    for tool in built.target.tools():
        shape = freeze(dict(tool)).bytes
        assert b'"additionalProperties":false' in shape
        assert shape.count(b"Hint") == 4
