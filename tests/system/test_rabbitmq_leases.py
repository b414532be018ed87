"""What RabbitMQ alone gets wrong by itself, and what its tools do, on a real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from pamqp.commands import Basic

from answerable.adapters.rabbitmq_users import (
    Management,
    RabbitIssuer,
    RabbitTarget,
)
from answerable.adapters.rabbitmq_users.server import FAILURES, closed
from answerable.adapters.system import SystemEntropy
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, Secret
from answerable.core.lease.name import account_of
from answerable.errors import Refused, Unavailable
from tests.stand_ins.rabbitmq_server import (
    ADMIN,
    ADMIN_PASSWORD,
    OPERATOR,
    OPERATOR_PASSWORD,
    VHOST,
    RunningRabbit,
    session_rabbitmq,
)
from tests.worlds.rabbitmq_lease import (
    TAKE,
    JSONObject,
    at,
    call,
    got_by,
    issuer_on,
    logged_in,
    message,
    order,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[RunningRabbit]:
    with session_rabbitmq() as running:
        yield running


@pytest.fixture
async def issuer(server):
    async with issuer_on(server) as made:
        yield made


@pytest.fixture
async def credential(issuer: RabbitIssuer) -> Credential:
    return await issuer.issue(order())


PAGE = Path(__file__).parents[2] / "docs/reference/adapters/rabbitmq.md"


@pytest.mark.requirement("RABBIT-04")
async def test_a_message_says_who_sent_it_and_for_which_action(server, credential):
    done = await call(
        server, credential, "publish", message("hello", correlation_id="c", content_type="text/x")
    )
    assert done.result["structuredContent"] == {"published": True}
    got = server.as_operator(
        "POST",
        f"/api/queues/{VHOST}/inbox/get",
        {"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"},
    ).json()
    assert got[0]["payload"] == "hello"
    got[0]["properties"].pop("headers", None)
    assert got[0]["properties"] == {
        "user_id": credential.account,
        "message_id": "an-action",
        "correlation_id": "c",
        "content_type": "text/x",
        "delivery_mode": 2,
    }
    looked = await got_by(server, credential, {"queue": "inbox", "mode": "look"})
    assert looked["body"] == "hello"
    assert looked["user_id"] == credential.account
    assert (await got_by(server, credential, TAKE))["redelivered"] is True
    assert (await call(server, credential, "get", TAKE)).result["structuredContent"] == {"message": None}


@pytest.mark.requirement("RABBIT-04")
async def test_what_reached_no_queue_or_was_refused_is_an_error_and_the_session_goes_on(server, credential):
    async with RabbitTarget(at(server)).connected(credential) as session:

        async def told(tool: str, arguments: JSONObject) -> Any:
            return (await session.perform(tool, arguments, tag="t", seconds_max=10)).result

        lost = await told("publish", message("x", exchange="log", key="nowhere"))
        assert lost["isError"]
        assert "reached no queue" in lost["content"][0]["text"]
        for arguments in (message("x", key="case.8.note"), message("x", exchange="others")):
            refused = await told("publish", arguments)
            assert refused["isError"]
            assert "ACCESS_REFUSED" in refused["content"][0]["text"]
        refused = await told("get", {"queue": "others", "mode": "take"})
        assert "ACCESS_REFUSED" in refused["content"][0]["text"]
        assert not (await told("publish", message("x")))["isError"]


@pytest.mark.requirement("RABBIT-04")
@pytest.mark.parametrize("name", ["a|b", "a*", "a(b", "a\n"])
async def test_a_name_that_the_protocol_does_not_allow_is_refused_before_anything_is_sent(
    server, credential, name
):
    async with RabbitTarget(at(server)).connected(credential) as session:
        for tool, arguments in (
            ("get", {"queue": name, "mode": "look"}),
            ("publish", message("x", exchange=name)),
        ):
            with pytest.raises(Refused) as refused:
                await session.perform(tool, arguments, tag="t", seconds_max=10)
            assert refused.value.code == "target.arguments"
        done = await session.perform("publish", message("x"), tag="t", seconds_max=10)
        assert not done.result["isError"], "the connection is as it was"


@pytest.mark.requirement("RABBIT-04")
async def test_messages_are_cut_at_their_bound(server, credential):
    await call(server, credential, "publish", message("ä" * 4000))
    got = await got_by(server, credential, TAKE, bytes_max=4095)
    assert (got["cut"], got["bytes"], got["body"]) == (True, 8000, "ä" * 2047)


@pytest.mark.requirement("RABBIT-03")
async def test_an_open_channel_remembers_its_permissions_until_its_connection_is_ended(
    server, credential, issuer
):
    connection = await logged_in(server, credential)
    channel = await connection.channel()
    await channel.basic_publish(b"x", exchange="cases", routing_key="case.7.a")
    server.as_operator("DELETE", f"/api/permissions/{VHOST}/{credential.account}").raise_for_status()
    await channel.basic_publish(b"x", exchange="cases", routing_key="case.7.a")
    revoked = await issuer.revoke(credential.lease)
    assert (revoked.is_gone, revoked.sessions_cut) == (True, 1)
    with pytest.raises(FAILURES):
        await channel.basic_publish(b"x", exchange="cases", routing_key="case.7.a", timeout=5)
    await closed(connection)


@pytest.mark.requirement("RABBIT-03")
async def test_a_lease_whose_user_somebody_deleted_is_gone(server, credential, issuer):
    server.as_operator("DELETE", f"/api/users/{credential.account}").raise_for_status()
    assert (await issuer.revoke(credential.lease)).is_gone
    with pytest.raises(Refused) as gone:
        await issuer.renew(credential.lease, UnixMillis(0))
    assert gone.value.code == "lease.gone"


@pytest.mark.requirement("RABBIT-02")
async def test_a_line_end_behind_a_name_is_another_name(server, issuer):
    credential = await issuer.issue(
        order({"publish": [{"exchange": "cases", "routing_keys": [{"key": "note.7"}]}]})
    )
    connection = await logged_in(server, credential)
    with pytest.raises(FAILURES, match="ACCESS_REFUSED"):
        await (await connection.channel()).basic_publish(b"x", exchange="cases", routing_key="note.7\n")
    await (await connection.channel()).basic_publish(b"x", exchange="cases", routing_key="note.7")
    await closed(connection)


@pytest.mark.requirement("RABBIT-02")
async def test_routing_keys_are_not_limited_where_the_server_does_not_look_at_them(server, issuer):
    for exchange in ("log", "no-such"):
        scope: JSONObject = {"publish": [{"exchange": exchange, "routing_keys": [{"key": "a"}]}]}
        with pytest.raises(Refused) as refused:
            await issuer.issue(order(scope))
        assert refused.value.code == "lease.scope"
        assert "topic" in refused.value.message
    assert await issuer.live() == ()


@pytest.mark.requirement("RABBIT-02")
async def test_reading_a_queue_is_all_of_reading_as_the_page_says(server, credential):
    await call(server, credential, "publish", message("x"))
    connection = await logged_in(server, credential)
    await (await connection.channel()).queue_purge("inbox")
    await closed(connection)
    assert "purging" in PAGE.read_text(encoding="utf-8")


@pytest.mark.requirement("RABBIT-03")
async def test_what_a_crash_leaves_between_two_steps_of_an_issue_can_do_nothing(server, issuer):
    wanted = order()

    class Stopped(Exception):
        pass

    class Crashing(Management):
        async def put(self, *path: str, content: Any, issues: bool = False) -> None:
            if path[0] == "permissions":
                raise Stopped
            await super().put(*path, content=content, issues=issues)

    class KnownEntropy(SystemEntropy):
        def bytes(self, count: int) -> bytes:
            return bytes(count)

    dying = RabbitIssuer(
        Crashing(
            server.management, account=ADMIN, password_of=lambda: ADMIN_PASSWORD, tls=None, seconds_max=5
        ),
        vhost=VHOST,
        entropy=KnownEntropy(),
    )
    with pytest.raises(Stopped):
        await dying.issue(wanted)
    assert await issuer.live() == (wanted.name,)
    half = Credential(
        lease=wanted.name,
        account=account_of(wanted.name),
        expires_at=wanted.expires_at,
        secret=Secret(password="00" * 32),
    )
    with pytest.raises(Unavailable) as refused:
        await call(server, half, "publish", message("x"))
    assert refused.value.code == "target.login"
    assert (await issuer.revoke(wanted.name)).is_gone
    assert await issuer.live() == ()
    await dying.close()


@pytest.mark.requirement("RABBIT-04")
async def test_a_message_under_the_name_of_another_is_refused_by_the_server(server, credential):
    connection = await logged_in(server, credential)
    properties = Basic.Properties(user_id=OPERATOR)
    with pytest.raises(FAILURES, match="PRECONDITION_FAILED"):
        await (await connection.channel()).basic_publish(
            b"x", exchange="cases", routing_key="case.7.a", properties=properties
        )
    await closed(connection)
    assert OPERATOR_PASSWORD not in re.sub(r"\s", "", str(credential))
    await anyio.lowlevel.checkpoint()


@pytest.mark.requirement("RABBIT-06")
async def test_the_brokers_own_account_has_permissions_nowhere(server):
    assert server.as_operator("GET", f"/api/users/{ADMIN}/permissions").json() == []
