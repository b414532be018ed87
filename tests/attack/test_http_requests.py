"""What agents try with requests of an HTTP target, and what servers try with their answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from answerable.adapters.http_target.kind import HttpTargetSettings, built, faults_of
from answerable.adapters.http_target.requests import NEVER, STRIPPED, header_fault, traceparent_of
from answerable.core.canonical import freeze
from answerable.errors import Refused, Unavailable
from answerable.targets.kind import BuiltTarget
from tests.probes.waiting import past
from tests.stand_ins.resource_server import ResourceServer, by_key, resource_server
from tests.worlds.http_target import CANARY, KEYED, SECRETS, Secrets, asked, forged, order, performed, world

pytestmark = pytest.mark.anyio

ANY = freeze(
    {
        "requests": [
            {"methods": ["GET", "POST"], "path": "/", "below": True, "query": {"q": True, "key": True}}
        ]
    }
)


@pytest.fixture(scope="module")
def api() -> Iterator[ResourceServer]:
    with resource_server(by_key(f"Bearer {CANARY}", "authorization")) as running:
        yield running


@pytest.fixture
def target(api: ResourceServer) -> BuiltTarget:
    return built(keyed(api.url), world(SECRETS))


def keyed(url: str, **more: object) -> HttpTargetSettings:
    settings = HttpTargetSettings(
        base_url=url, auth="api_key_header", secret="file:key", secret_prefix="Bearer "
    )
    settings = replace(settings, **more)
    assert not faults_of(settings)
    return settings


def command_lines() -> list[str]:
    """Of every process."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(process.read_bytes().decode("utf-8", "replace"))
    return found


@pytest.mark.requirement("HTTPLEASE-02")
@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "/cases/8"},
        {"path": "/cases/7x"},
        {"path": "/cases/7/../8"},
        {"path": "/cases/7/..;/8"},
        {"path": "/cases/7/%2e%2e/8"},
        {"path": "/cases/7%2f..%2f8"},
        {"path": "//cases/7"},
        {"path": "http://127.0.0.1:9/cases/7"},
        {"path": "/cases/7\\..\\8"},
        {"path": "/cases/7 HTTP/1.1\r\nx: y"},
        {"path": "/cases/7?admin=1"},
        {"path": "/cases/7#x"},
        {"method": "POST"},
        {"method": "TRACE"},
        {"method": "GET / HTTP/1.1"},
        {"query": {"admin": "1"}},
        {"headers": {"host": "other.example"}},
        {"headers": {"Authorization": "Bearer mine"}},
        {"headers": {"x-http-method-override": "DELETE"}},
        {"headers": {"transfer-encoding": "chunked"}},
        {"headers": {"accept": "a\r\nx-admin: 1"}},
        {"headers": {"accept": "a", "Accept": "b"}},
        {"headers": {"accept\r\nx-admin": "1"}},
        {"body": {"a": 1}},
        {"url": "http://127.0.0.1:9"},
    ],
)
async def test_a_request_beside_the_lease_is_not_sent(
    target: BuiltTarget, api: ResourceServer, arguments: dict[str, object]
) -> None:
    credential = await target.issuer.issue(order(scope=KEYED))
    before = len(api.seen)
    with pytest.raises(Refused) as refused:
        await asked(target, credential, **arguments)
    assert refused.value.code == "target.arguments"
    assert len(api.seen) == before
    assert CANARY not in str(refused.value)


@pytest.mark.requirement("HTTPLEASE-02")
async def test_the_tool_that_reads_sends_nothing_else(target: BuiltTarget, api: ResourceServer) -> None:
    credential = await target.issuer.issue(order(scope=ANY))
    assert (await asked(target, credential, "/a", tool="read"))["status"] == 200
    with pytest.raises(Refused):
        await asked(target, credential, "/a", tool="read", method="POST")
    with pytest.raises(Refused):
        await asked(target, credential, "/a", tool="write")


@pytest.mark.requirement("HTTPLEASE-02")
async def test_what_goes_out_is_what_was_compared_and_the_broker_says_who_asks(
    api: ResourceServer, target: BuiltTarget
) -> None:
    credential = await target.issuer.issue(order(scope=ANY))
    said = dict.fromkeys(STRIPPED, "the agent's own")
    await asked(
        target,
        credential,
        "/cases/7/näher & weiter=1",
        method="POST",
        query={"q": "a&key=b#c d"},
        headers={**said, "accept": "text/plain"},
        body={"b": [1]},
    )
    seen = api.seen[-1]
    assert seen.target == "/cases/7/n%C3%A4her%20&%20weiter=1?q=a%26key%3Db%23c%20d"
    assert seen.body == b'{"b":[1]}'
    names = [name.lower() for name, _ in seen.headers]
    assert len(names) == len(set(names))
    assert seen.header("traceparent") == traceparent_of("act1")
    assert (seen.header("idempotency-key"), seen.header("x-request-id")) == ("act1", "act1")
    assert seen.header("user-agent") == "answerable/act1"
    assert seen.header("accept") == "text/plain"
    assert "the agent's own" not in str(seen.headers)


@pytest.mark.requirement("HTTPLEASE-02")
def test_no_setting_lets_agents_say_what_the_broker_says() -> None:
    for name in [
        *sorted(NEVER | STRIPPED),
        "x-forwarded-for",
        "proxy-x",
        "sec-fetch-site",
        "Accept",
        "a b",
        "a:",
    ]:
        assert header_fault(name), name
    assert not header_fault("accept")


@pytest.mark.requirement("HTTPLEASE-03")
async def test_a_secret_that_comes_back_is_hidden_in_every_spelling(
    target: BuiltTarget, api: ResourceServer
) -> None:
    credential = await target.issuer.issue(order(scope=ANY))
    found = await asked(target, credential, "/echo", query={"q": "x"})
    shown = repr(found)
    for spelling in (CANARY, CANARY.encode().hex(), b64encode(b"x" + CANARY.encode()).decode()[3:-4]):
        assert spelling not in shown
    assert "[hidden: credential]" in shown
    assert "act1" in shown, "what is no secret is shown"


@pytest.mark.requirement("HTTPLEASE-03")
async def test_a_redirect_is_shown_and_never_followed(target: BuiltTarget, api: ResourceServer) -> None:
    credential = await target.issuer.issue(order(scope=ANY))
    found = await asked(target, credential, "/away")
    assert found["status"] == 302
    assert found["headers"]["location"].startswith("http://127.0.0.1:9/")
    assert CANARY not in repr(found)


@pytest.mark.requirement("HTTPLEASE-03")
async def test_answers_are_bounded_and_what_cannot_be_searched_is_not_shown(
    target: BuiltTarget, api: ResourceServer
) -> None:
    credential = await target.issuer.issue(order(scope=ANY))
    found = await asked(target, credential, "/long")
    assert found["cut"] is True
    assert len(found["text"]) == found["bytes"] == 1_048_576
    found = await asked(target, credential, "/packed")
    assert "really" not in repr(found)
    assert "hidden" in found


@pytest.mark.requirement("HTTPLEASE-03")
@pytest.mark.parametrize("longest", [1_024, 1_031, 4_000])
async def test_no_part_of_a_secret_is_at_the_end_of_what_was_cut(api: ResourceServer, longest: int) -> None:
    target = built(keyed(api.url, answer_bytes_max=longest), world(SECRETS))
    credential = await target.issuer.issue(order(scope=ANY))
    found = await asked(target, credential, "/repeated")
    assert found["cut"] is True
    assert CANARY[:3] not in found["text"].replace("[hidden: credential]", "")
    assert found["text"].startswith("[hidden: credential][hidden")


@pytest.mark.requirement("HTTPLEASE-03")
async def test_a_planted_key_is_in_no_error_argument_or_process_list(
    target: BuiltTarget, api: ResourceServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    credential = await target.issuer.issue(order(scope=ANY))
    shown = [repr(credential), repr(target), repr(target.issuer), repr(target.target)]
    async with target.target.connected(credential) as session:
        shown += [
            repr(session),
            repr(await session.perform("read", {"path": "/echo"}, tag="a", seconds_max=10)),
        ]
        await target.issuer.revoke(credential.lease)
        with pytest.raises(Unavailable) as gone:
            await session.perform("read", {"path": "/echo"}, tag="a", seconds_max=10)
        shown.append(repr(gone.value))
    shown += command_lines()
    assert CANARY not in "".join(shown) + caplog.text


@pytest.mark.requirement("HTTPLEASE-04")
async def test_a_revoked_lease_cuts_the_request_under_way_and_serves_nothing_more(
    target: BuiltTarget, api: ResourceServer
) -> None:
    credential = await target.issuer.issue(order(scope=ANY))
    raised: list[Unavailable] = []
    api.gate.clear()

    async def slow() -> None:
        try:
            await asked(target, credential, "/slow")
        except Unavailable as cut:
            raised.append(cut)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            before = len(api.seen)
            tasks.start_soon(slow)
            while len(api.seen) == before:  # noqa: ASYNC110 - another thread's list
                await anyio.sleep(0.01)
            revoked = await target.issuer.revoke(credential.lease)
    api.gate.set()
    assert revoked.sessions_cut == 1
    assert [(one.code, one.effect) for one in raised] == [("target.cut", "unknown")]
    with pytest.raises(Unavailable) as gone:
        await asked(target, credential)
    assert (gone.value.code, gone.value.effect) == ("target.credential", "none")


@pytest.mark.requirement("HTTPLEASE-04")
async def test_a_credential_that_nobody_issued_or_whose_time_is_up_opens_nothing(
    target: BuiltTarget, api: ResourceServer
) -> None:
    credential = await target.issuer.issue(order(scope=ANY, ttl_ms=60))
    for odd in (forged(credential, ticket="x" * 43), forged(credential)):
        with pytest.raises(Unavailable):
            await asked(target, odd)
    async with target.target.connected(credential) as session:
        assert (await performed(session, "/a"))["status"] == 200
        await past(credential.expires_at)
        with pytest.raises(Unavailable):
            await performed(session, "/a")


@pytest.mark.requirement("HTTPLEASE-05")
@pytest.mark.parametrize(
    ("answer", "code", "effect"),
    [
        (b"", "target.lost", "unknown"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", "target.lost", "unknown"),
        (b"nonsense\r\n\r\n", "target.lost", "unknown"),
        (None, "target.late", "unknown"),
    ],
)
async def test_what_was_sent_and_not_answered_is_not_said_to_be_undone(
    answer: bytes | None, code: str, effect: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        released = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                if answer is None:
                    released.wait(5)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        target = built(keyed(f"http://127.0.0.1:{listener.getsockname()[1]}"), world(SECRETS))
        credential = await target.issuer.issue(order(scope=ANY))
        async with target.target.connected(credential) as session:
            with pytest.raises(Unavailable) as lost:
                await session.perform("read", {"path": "/a"}, tag="", seconds_max=0.5)
        released.set()
        thread.join(5)
    assert (lost.value.code, lost.value.effect) == (code, effect)


@pytest.mark.requirement("HTTPLEASE-05")
async def test_what_was_not_reached_was_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    target = built(keyed(url), world(SECRETS))
    credential = await target.issuer.issue(order(scope=ANY))
    with pytest.raises(Unavailable) as lost:
        await asked(target, credential, "/a")
    assert (lost.value.code, lost.value.effect) == ("target.unreachable", "none")


@pytest.mark.requirement("HTTPLEASE-06")
@pytest.mark.parametrize(
    ("auth", "name", "place"), [("api_key_query", "key", "key"), ("basic", "broker", "basic")]
)
async def test_keys_go_into_parameters_and_basic_and_no_agent_sets_them(
    auth: str, name: str, place: str
) -> None:
    with resource_server(by_key(CANARY, place)) as api:
        settings = HttpTargetSettings(base_url=api.url, auth=auth, secret="file:key", secret_name=name)
        assert not faults_of(settings)
        target = built(settings, world(SECRETS))
        credential = await target.issuer.issue(order(scope=ANY))
        assert (await asked(target, credential, "/a"))["status"] == 200
        assert CANARY not in repr(await asked(target, credential, "/echo"))
        if place == "key":
            for spelled in ("key", "KEY"):
                with pytest.raises(Refused):
                    await asked(target, credential, "/a", query={spelled: "mine"})


@pytest.mark.requirement("HTTPLEASE-06")
async def test_a_changed_key_is_taken_and_one_that_cannot_be_used_issues_nothing(api: ResourceServer) -> None:
    secrets = Secrets({"file:key": b"the wrong key for now"})
    target = built(keyed(api.url), world(secrets))
    credential = await target.issuer.issue(order(scope=ANY))
    assert (await asked(target, credential, "/a"))["status"] == 401
    secrets["file:key"] = CANARY.encode()
    assert (await asked(target, credential, "/a"))["status"] == 200
    for number, odd in enumerate((b"short", b"two\nlines of a key", b"\xff\xfe not a text at all"), start=2):
        secrets["file:key"] = odd
        with pytest.raises(Unavailable) as unusable:
            await target.issuer.issue(order(number, scope=ANY))
        assert unusable.value.code == "lease.target"
        assert "lines" not in unusable.value.message
    del secrets["file:key"]
    with pytest.raises(Unavailable):
        await target.issuer.issue(order(2, scope=ANY))
    assert await target.issuer.live() == (credential.lease,)
