"""What RabbitMQ gets wrong by itself, what its tools do, and where secrets could get out, on a real server."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from pamqp.commands import Basic

from answerable.adapters.rabbitmq_users import (
    Management,
    RabbitIssuer,
    RabbitServer,
    RabbitTarget,
    tls_context,
)
from answerable.adapters.rabbitmq_users.server import FAILURES, closed
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, LeaseOrder, Secret
from answerable.core.lease.name import account_of
from answerable.errors import AnswerableError, Refused, Unavailable
from answerable.wiring.target_kinds import TargetWorld, kind_named
from tests.stand_ins.own_server import cmdlines
from tests.stand_ins.rabbitmq_server import (
    ADMIN,
    ADMIN_PASSWORD,
    OPERATOR,
    OPERATOR_PASSWORD,
    SETUP,
    VHOST,
    RunningRabbit,
    session_rabbitmq,
    without_the_librarys_leftovers,
)
from tests.worlds.rabbitmq_lease import (
    SCOPE,
    TAKE,
    JSONObject,
    at,
    call,
    got_by,
    issuer_of,
    message,
    order,
    own_connection,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[RunningRabbit]:
    with session_rabbitmq() as running:
        yield running


@pytest.fixture
async def issuer(server: RunningRabbit) -> AsyncIterator[RabbitIssuer]:
    server.as_operator("DELETE", f"/api/queues/{VHOST}/inbox/contents")
    made = issuer_of(server)
    with without_the_librarys_leftovers():
        yield made
    for name in await made.live():
        await made.revoke(name)
    await made.close()


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
async def test_messages_are_cut_at_their_bound(server, credential):
    await call(server, credential, "publish", message("ä" * 4000))
    got = await got_by(server, credential, TAKE, bytes_max=4095)
    assert (got["cut"], got["bytes"], got["body"]) == (True, 8000, "ä" * 2047)


@pytest.mark.requirement("RABBIT-04")
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
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
)
async def test_arguments_that_are_no_message_are_refused_and_nothing_is_sent(
    server, credential, tool, arguments
):
    with pytest.raises(Refused) as refused:
        await call(server, credential, tool, arguments)
    assert refused.value.code == "target.arguments"


@pytest.mark.requirement("RABBIT-04")
async def test_the_session_is_named_as_the_server_names_it(server, credential, issuer):
    async with RabbitTarget(at(server)).connected(credential) as session:
        done = await session.perform("publish", message("x"), tag="t", seconds_max=10)
        shown = server.as_operator("GET", f"/api/connections/username/{credential.account}").json()
        assert [("rabbitmq_connection", one["name"]) for one in shown] == list(done.session)
        assert (await issuer.revoke(credential.lease)).sessions_cut == 1
        with pytest.raises(Unavailable) as lost:
            await session.perform("publish", message("x"), tag="t", seconds_max=10)
    assert lost.value.code == "target.lost"
    with pytest.raises(Unavailable) as refused:
        await call(server, credential, "publish", message("x"))
    assert (refused.value.code, refused.value.effect) == ("target.login", "none")


@pytest.mark.requirement("RABBIT-03")
async def test_an_open_channel_remembers_its_permissions_until_its_connection_is_ended(
    server, credential, issuer
):
    connection = await own_connection(server, credential)
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
    connection = await own_connection(server, credential)
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
    connection = await own_connection(server, credential)
    await (await connection.channel()).queue_purge("inbox")
    await closed(connection)
    assert "purging" in PAGE.read_text(encoding="utf-8")


@pytest.mark.requirement("RABBIT-03")
async def test_what_a_crash_leaves_between_two_steps_of_an_issue_can_do_nothing(server, issuer):
    wanted = order()

    class Stopped(Exception):
        pass

    class Crashing(Management):
        async def put(self, *path: str, content: Any) -> None:
            if path[0] == "permissions":
                raise Stopped
            await super().put(*path, content=content)

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


@pytest.mark.requirement("RABBIT-05")
async def test_secrets_are_nowhere_but_in_the_credential(server, credential, issuer):
    secrets = [ADMIN_PASSWORD, credential.secret.reveal("password")]
    seen = [
        repr(issuer),
        repr(credential),
        str((await call(server, credential, "publish", message("x"))).result),
    ]
    wrong = issuer_of(server, password_of=lambda: ADMIN_PASSWORD + "-old")
    again = LeaseOrder(name=credential.lease, scope=freeze(SCOPE), expires_at=UnixMillis(0))
    for attempt in (wrong.live(), issuer.issue(again)):
        with pytest.raises(AnswerableError) as failed:
            await attempt
        seen += [failed.value.message, repr(failed.value), repr(failed.value.__cause__)]
    seen.append(server.as_operator("GET", "/api/definitions").text)
    seen += [path.read_text(errors="replace") for path in (server.folder / "log").glob("*")]
    seen += [(server.folder / "output.txt").read_text(), *cmdlines()]
    for secret in secrets:
        assert not [text for text in seen if secret in text]
    await wrong.close()


@pytest.mark.requirement("RABBIT-06")
async def test_the_broker_needs_the_tag_of_the_page_and_no_permissions(server, issuer):
    ((method, path, body),) = SETUP
    written = json.dumps({**body, "password": "PASSWORD"})
    assert f"-X {method} -d '{written}' https://HOST:15671{path}" in PAGE.read_text(encoding="utf-8")
    assert server.as_operator("GET", f"/api/users/{ADMIN}/permissions").json() == []
    for lesser in ("", "management", "policymaker", "monitoring"):
        server.as_operator(
            "PUT", "/api/users/lesser", {"password": "lesser", "tags": lesser}
        ).raise_for_status()
        weak = issuer_of(server, account="lesser", password_of=lambda: "lesser")
        with pytest.raises(Unavailable) as refused:
            await weak.issue(order())
        assert refused.value.code == "lease.target", lesser
        await weak.close()
    server.as_operator("DELETE", "/api/users/lesser").raise_for_status()


@pytest.mark.requirement("RABBIT-06")
async def test_certificates_of_both_doors_are_verified(server, credential):
    own = str(server.folder / "cert.pem")
    for host, signers, is_right in (
        ("localhost", own, True),
        ("localhost", "", False),
        ("127.0.0.1", own, False),
    ):
        context = tls_context(signers)
        managing = issuer_of(server, address=f"https://{host}:{server.management_tls_port}", tls=context)
        target = RabbitTarget(
            RabbitServer(address=f"amqps://{host}:{server.tls_port}", vhost=VHOST, tls=context)
        )
        if is_right:
            assert credential.lease in await managing.live()
            async with target.connected(credential) as session:
                await session.perform("publish", message("x"), tag="t", seconds_max=10)
        else:
            with pytest.raises(Unavailable):
                await managing.live()
            with pytest.raises(Unavailable) as unreachable:
                async with target.connected(credential):
                    pass
            assert unreachable.value.code == "target.unreachable"
        await managing.close()


@pytest.mark.requirement("RABBIT-06")
async def test_settings_make_a_target_that_works_and_say_what_is_missing(server):
    kind = kind_named("rabbitmq")
    assert len(kind.faults(kind.settings())) == 3
    settings = kind.settings(
        address=server.address, management=server.management, vhost=VHOST, password="file:rabbit"
    )
    assert kind.faults(settings) == ()
    asked: list[str] = []

    def secret_of(reference: str) -> bytes:
        asked.append(reference)
        return ADMIN_PASSWORD.encode() + b"\n"

    built = kind.build(
        settings, TargetWorld(clock=SystemClock(), entropy=SystemEntropy(), secret_of=secret_of)
    )
    assert asked == []
    credential = await built.issuer.issue(order())
    async with built.target.connected(credential) as session:
        done = await session.perform("publish", message("x"), tag="", seconds_max=10)
    assert not done.result["isError"]
    assert (await built.issuer.revoke(credential.lease)).is_gone
    assert set(asked) == {"file:rabbit"}
    for tool in built.target.tools():
        shape = freeze(dict(tool)).bytes
        assert b'"additionalProperties":false' in shape
        assert shape.count(b"Hint") == 4
    assert isinstance(built.issuer, RabbitIssuer)
    await built.issuer.close()


@pytest.mark.requirement("RABBIT-04")
async def test_a_message_under_the_name_of_another_is_refused_by_the_server(server, credential):
    connection = await own_connection(server, credential)
    properties = Basic.Properties(user_id=OPERATOR)
    with pytest.raises(FAILURES, match="PRECONDITION_FAILED"):
        await (await connection.channel()).basic_publish(
            b"x", exchange="cases", routing_key="case.7.a", properties=properties
        )
    await closed(connection)
    assert OPERATOR_PASSWORD not in re.sub(r"\s", "", str(credential))
    await anyio.lowlevel.checkpoint()
