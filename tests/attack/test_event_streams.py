"""Strangers, other receivers and liars at the streams of events, and where messages could be led."""

from __future__ import annotations

import json
import stat
from typing import Any

import anyio
import httpx2
import pytest

from answerable.adapters.event_http import HttpEventPost
from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.mandate.revocation import revocable
from answerable.errors import Malformed, Refused, Unavailable
from answerable.flows.events import manage_streams as streams
from answerable.flows.events.poll_events import Poll, poll_events, poll_in
from answerable.flows.ledger.announce import announce_new
from answerable.ports.event_post import ANSWER_BYTES_MAX
from answerable.testing.builders import Bench
from answerable.testing.samples import signing_key
from tests.stand_ins.bundle_server import OurEndpoint
from tests.worlds.event import EventClient, announcing, desk_on, stream, waiting
from tests.worlds.federation import Authority
from tests.worlds.parts import revoked
from tests.worlds.token import token_world
from tests.worlds.token_server import Said, serving

pytestmark = pytest.mark.anyio
PUSH = "urn:ietf:rfc:8935"
LISTED = "https://siem.example/events"


async def bench() -> Bench:
    return await Bench().registered()


def pushed_to(url: Any) -> dict[str, Any]:
    return {"delivery": {"method": PUSH, "endpoint_url": url}}


@pytest.mark.requirement("SSF-05")
async def test_strangers_and_agents_that_are_not_listed_have_no_streams(tmp_path):
    async with token_world(tmp_path, settings=announcing("researcher")) as world:
        name = (await EventClient(world, "researcher").made())["stream_id"]
        asks = [
            ("POST", "/ssf/streams", {}),
            ("GET", "/ssf/streams", None),
            ("GET", f"/ssf/streams?stream_id={name}", None),
            ("PATCH", "/ssf/streams", {"stream_id": name, "description": "mine"}),
            ("PUT", "/ssf/streams", {"stream_id": name}),
            ("DELETE", f"/ssf/streams?stream_id={name}", None),
            ("GET", f"/ssf/status?stream_id={name}", None),
            ("POST", "/ssf/status", {"stream_id": name, "status": "disabled"}),
            ("POST", "/ssf/subjects/add", {"stream_id": name, "subject": {"format": "opaque", "id": "x"}}),
            ("POST", "/ssf/subjects/remove", {"stream_id": name, "subject": {"format": "opaque", "id": "x"}}),
            ("POST", "/ssf/verify", {"stream_id": name}),
            ("POST", f"/ssf/poll/{name}", {}),
        ]
        before = world.product.events.register.find(name)
        for method, path, body in asks:
            nobody = await EventClient(world, "writer", by="nothing").ask(method, path, body)
            assert nobody.status_code == 401, path
            assert nobody.headers["www-authenticate"]
            unlisted = await EventClient(world, "writer").ask(method, path, body)
            assert (unlisted.status_code, unlisted.json()["answerable_code"]) == (
                403,
                "event_stream.receiver",
            ), path
        assert world.product.events.register.find(name) == before


@pytest.mark.requirement("SSF-05")
async def test_no_receiver_reads_changes_polls_or_ends_the_stream_of_another_one_or_learns_that_it_is_there(
    tmp_path,
):
    async with token_world(tmp_path, settings=announcing("researcher", "writer")) as world:
        mine = (await EventClient(world, "researcher").made())["stream_id"]
        thief = EventClient(world, "writer")
        own = (await thief.made())["stream_id"]
        await revoked(world.walk, revocable("token", "t-1"), by="alice")
        (jti,) = await EventClient(world, "researcher").events(mine)
        before = world.product.events.register.find(mine)
        for name in (mine, "A" * 22):
            said = {}
            for method, path, body in (
                ("GET", f"/ssf/streams?stream_id={name}", None),
                ("PATCH", "/ssf/streams", {"stream_id": name, "description": "mine"}),
                ("PUT", "/ssf/streams", {"stream_id": name}),
                ("DELETE", f"/ssf/streams?stream_id={name}", None),
                ("GET", f"/ssf/status?stream_id={name}", None),
                ("POST", "/ssf/status", {"stream_id": name, "status": "disabled"}),
                (
                    "POST",
                    "/ssf/subjects/remove",
                    {"stream_id": name, "subject": {"format": "opaque", "id": "x"}},
                ),
                ("POST", "/ssf/verify", {"stream_id": name}),
                ("POST", f"/ssf/poll/{name}", {"ack": [jti]}),
            ):
                answer = await thief.ask(method, path, body)
                said[path, method] = answer.status_code, answer.json()["description"].replace(name, "")
            assert {status for status, _ in said.values()} == {404}
            assert len({text for _, text in said.values()}) == 1
        # Nor by its own stream.
        await thief.poll(own, ack=[jti], returnImmediately=True)
        assert world.product.events.register.find(mine) == before
        assert (await EventClient(world, "researcher").events(mine)).keys() == {jti}
        assert [one["stream_id"] for one in (await thief.ask("GET", "/ssf/streams")).json()] == [own]


@pytest.mark.requirement("SSF-05")
async def test_credentials_that_are_repeated_forged_or_for_another_request_open_nothing(tmp_path):
    async with token_world(tmp_path, settings=announcing("researcher")) as world:
        client = EventClient(world, "researcher", "assertion")
        once = "Bearer " + world.assertion("researcher")
        assert (await client.ask("GET", "/ssf/streams", authorization=once)).status_code == 200
        bad = {
            "used before": once,
            "of another key": "Bearer " + world.assertion("researcher", key=signing_key("writer")),
            "of an unlisted one's name": "Bearer " + world.assertion("researcher", sub="writer"),
            "for another server": "Bearer " + world.assertion("researcher", aud="https://another.example"),
            "run out": "Bearer " + world.assertion("researcher", exp=world.now() // 1000 - 3_600),
            "no statement": "Bearer abc",
            "no SVID": "Bearer "
            + world.assertion("researcher", sub="spiffe://answerable.local/agent/researcher/1"),
            "a password": "Basic cmVzZWFyY2hlcjp4",
            "unsigned": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJyZXNlYXJjaGVyIn0.",
            "an event of ours": "Bearer "
            + world.product.events.key.signed({"sub": "researcher"}, typ="secevent+jwt"),
            "a token for actions": "Bearer "
            + signed_statement({"sub": "x"}, typ="at+jwt", key=signing_key("writer")),
        }
        for why, value in bad.items():
            answer = await client.ask("GET", "/ssf/streams", authorization=value)
            assert answer.status_code in (400, 401), why
        async with httpx2.AsyncClient(trust_env=False) as http:
            # Nothing stands in a URL, which logs keep.
            url = f"{world.url}/ssf/streams?access_token={world.assertion('researcher')}"
            assert (await http.get(url)).status_code == 401
            # Nor do web pages ask.
            fresh = {
                "authorization": "Bearer " + world.assertion("researcher"),
                "origin": "https://evil.example",
            }
            assert (await http.get(f"{world.url}/ssf/streams", headers=fresh)).status_code == 403
            rebound = {"authorization": "Bearer " + world.assertion("researcher"), "host": "evil.example"}
            assert (await http.get(f"{world.url}/ssf/streams", headers=rebound)).status_code == 421


@pytest.mark.requirement("SSF-05")
async def test_bodies_that_are_odd_large_or_deep_are_refused_in_words(tmp_path):
    async with token_world(tmp_path, settings=announcing("researcher")) as world:
        client = EventClient(world, "researcher", "assertion")
        for content in (b"[]", b"{", b'{"a":1,"a":2}', b"[" * 100_000, b"x" * 300_000, b'{"stream_id":7}'):
            async with httpx2.AsyncClient(trust_env=False) as http:
                headers = {"authorization": "Bearer " + world.assertion("researcher")}
                answer = await http.patch(f"{world.url}/ssf/streams", content=content, headers=headers)
            assert answer.status_code in (400, 413)
            assert answer.json()["err"] == "invalid_request"
        answer = await client.ask("GET", "/ssf/streams?stream_id=a&stream_id=b")
        assert answer.status_code == 400
        assert (await client.ask("DELETE", "/ssf/streams")).status_code == 400


@pytest.mark.requirement("SSF-09")
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8765/oauth/token", "http://169.254.169.254/latest/meta-data", "https://localhost/",
        "https://[::1]/", "file:///etc/passwd", "gopher://siem.example/", "https://siem.example/events/", LISTED + "?x",
        "https://siem.example/events/../admin", "https://siem.example:444/events", "https://siem.example./events",
        "https://SIEM.example/events", "https://siem.example@evil.example/events", "http://siem.example/events",
        " https://siem.example/events", "", None, 7, ["https://siem.example/events"],
    ],
)  # fmt: skip
async def test_events_are_pushed_only_to_what_the_owner_lists_letter_by_letter(url):
    desk = desk_on(
        await bench(),
        receivers={"scout": frozenset({LISTED}), "rover": frozenset({"https://rover.example/"})},
    )
    made = await streams.create_stream(desk, "scout", pushed_to(LISTED))
    for act in (
        lambda: streams.create_stream(desk, "scout", pushed_to(url)),
        lambda: streams.change_stream(
            desk, "scout", {"stream_id": made["stream_id"], **pushed_to(url)}, whole=False
        ),
        lambda: streams.change_stream(
            desk, "scout", {"stream_id": made["stream_id"], **pushed_to(url)}, whole=True
        ),
        # What is listed for another one is not for this one.
        lambda: streams.create_stream(desk, "rover", pushed_to(LISTED)),
    ):
        with pytest.raises(Malformed) as raised:
            await act()
        assert raised.value.code in ("event_stream.endpoint", "event_stream.member")
    assert [one.endpoint for one in desk.register.streams()] == [LISTED]


@pytest.mark.requirement("SSF-09")
@pytest.mark.parametrize(
    "sent",
    [
        {"delivery": {"method": PUSH, "endpoint_url": LISTED, "authorization_header": "x\r\nHost: evil"}},
        {"delivery": {"method": PUSH, "endpoint_url": LISTED, "authorization_header": 7}},
        {"delivery": {"method": PUSH, "endpoint_url": LISTED, "authorization_header": "x" * 5_000}},
        {"delivery": {"method": "urn:ietf:rfc:8936", "endpoint_url": "https://elsewhere.example/"}},
        {"delivery": {"method": "urn:other"}}, {"delivery": []}, {"delivery": {}},
        {"events_requested": "all"}, {"events_requested": [1]}, {"events_requested": ["u"] * 65},
        {"events_requested": ["u" * 3_000]}, {"description": 7}, {"description": "a\nb"},
        {"aud": "writer"}, {"iss": "https://evil.example"}, {"events_supported": []},
        {"events_delivered": ["urn:x"]}, {"min_verification_interval": 0},
    ],
)  # fmt: skip
async def test_what_a_receiver_may_not_say_of_a_stream_changes_nothing(sent):
    desk = desk_on(await bench(), receivers={"scout": frozenset({LISTED})})
    made = await streams.create_stream(desk, "scout", {})
    with pytest.raises(Malformed) as raised:
        await streams.change_stream(desk, "scout", {"stream_id": made["stream_id"], **sent}, whole=False)
    assert raised.value.code == "event_stream.member"
    assert await streams.read_streams(desk, "scout") == [made]


@pytest.mark.requirement("SSF-05")
async def test_streams_that_a_receiver_makes_at_once_are_counted_one_after_the_other():
    desk = desk_on(await bench())
    refused: list[str] = []

    async def make() -> None:
        try:
            await streams.create_stream(desk, "scout", {})
        except Refused as error:
            refused.append(error.code)

    async with anyio.create_task_group() as tasks:
        for _ in range(12):
            tasks.start_soon(make)
    assert (refused, len(desk.register.streams())) == (["event_stream.count"] * 4, 8)


@pytest.mark.requirement("SSF-05")
async def test_how_many_streams_and_subjects_a_receiver_has_is_bounded():
    desk = desk_on(await bench())
    made = [await streams.create_stream(desk, "scout", {}) for _ in range(8)]
    with pytest.raises(Refused) as raised:
        await streams.create_stream(desk, "scout", {})
    assert raised.value.code == "event_stream.count"
    asked = {"stream_id": made[0]["stream_id"]}
    for number in range(1_000):
        await streams.remove_subject(
            desk, "scout", asked | {"subject": {"format": "opaque", "id": str(number)}}
        )
    await streams.remove_subject(desk, "scout", asked | {"subject": {"format": "opaque", "id": "7"}})
    with pytest.raises(Refused) as raised:
        await streams.remove_subject(desk, "scout", asked | {"subject": {"format": "opaque", "id": "more"}})
    assert raised.value.code == "event_stream.count"
    for subject in ("x", {}, {"format": 7}, {"format": "opaque", "id": "x" * 3_000}):
        with pytest.raises(Malformed):
            await streams.add_subject(desk, "scout", asked | {"subject": subject})


@pytest.mark.requirement("SSF-07")
async def test_acknowledgements_that_are_repeated_foreign_or_made_up_take_nothing():
    made = await bench()
    desk = desk_on(made)
    for name, receiver in (("s-1", "scout"), ("s-2", "rover")):
        desk.register.put(stream(name, receiver=receiver))
    await announce_new(desk)
    for token in ("t-1", "t-2", "t-3"):
        await revoked(made.walk, revocable("token", token), by="alice")
    await announce_new(desk)
    ids = [one.id for one in desk.register.waiting("s-1", count_max=9)]
    # Never given: whoever knows its id cannot make it go.
    answer = await poll_events(desk, "scout", "s-1", Poll(acks=tuple(ids), count_max=1, at_once=True))
    assert list(answer["sets"]) == ids[:1]
    assert answer["moreAvailable"] is True
    errors = dict.fromkeys(ids[1:], "invalid_key")
    answer = await poll_events(
        desk, "scout", "s-1", Poll(acks=(*ids, "made up"), errors=errors, count_max=1, at_once=True)
    )
    assert list(answer["sets"]) == ids[1:2]
    assert desk.register.find("s-1").refused == 0
    for _ in range(2):
        await poll_events(desk, "scout", "s-1", Poll(acks=(ids[0],), count_max=0))
    assert [one["sub_id"]["jti"] for one in waiting(desk, "s-1")] == ["t-2", "t-3"]
    assert len(waiting(desk, "s-2")) == 3


@pytest.mark.requirement("SSF-07")
async def test_polls_of_one_stream_that_do_not_wait_end_beside_each_other():
    desk, answers = desk_on(await bench()), []
    desk.register.put(stream())

    async def polling() -> None:
        answers.append(await poll_events(desk, "scout", "s-1", Poll(at_once=True)))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(polling)
    assert (answers, desk.polls) == ([{"sets": {}, "moreAvailable": False}] * 3, {})


@pytest.mark.requirement("SSF-07")
async def test_what_is_pushed_is_not_polled_besides():
    desk = desk_on(await bench(), receivers={"scout": frozenset({LISTED})})
    desk.register.put(stream(method="push", endpoint=LISTED))
    with pytest.raises(Malformed) as raised:
        await poll_events(desk, "scout", "s-1", Poll(at_once=True))
    assert raised.value.code == "event_stream.member"


@pytest.mark.requirement("SSF-07")
@pytest.mark.parametrize(
    "sent",
    [
        {"ack": "x"}, {"ack": [1]}, {"ack": ["x"] * 1_001}, {"ack": ["x" * 300]}, {"setErrs": []},
        {"setErrs": {"x": "y"}}, {"setErrs": {"x": {"err": 7}}}, {"maxEvents": -1}, {"maxEvents": "1"},
        {"maxEvents": True}, {"returnImmediately": 1},
    ],
)  # fmt: skip
def test_a_poll_that_is_odd_is_refused_whole(sent):
    with pytest.raises(Malformed) as raised:
        poll_in(sent)
    assert raised.value.code == "event_stream.member"


@pytest.mark.requirement("SSF-09")
async def test_a_receiver_leads_a_message_nowhere_and_fills_no_memory(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    post = HttpEventPost(answer_seconds_max=5.0)
    with serving() as server:
        for status in (301, 302, 303, 307, 308):
            server.answers["/"] = Said(status=status, headers={"location": f"{server.url}/inside"})
            assert (await post.post(server.url + "/", {}, b"x")).status == status
        server.answers["/"] = Said(body=b"x" * 5_000_000, headers={"set-cookie": "a=b"})
        answer = await post.post(server.url + "/", {}, b"x")
        assert len(answer.body) == ANSWER_BYTES_MAX
        await post.post(server.url + "/", {}, b"x")
        assert {one.path for one in server.seen} == {"/"}
        assert all("cookie" not in one.headers for one in server.seen)


@pytest.mark.requirement("SSF-09")
async def test_a_receiver_that_never_answers_or_is_no_receiver_costs_a_bounded_time():
    async def silent(sock: anyio.abc.SocketStream) -> None:
        await anyio.sleep_forever()

    async def babbling(sock: anyio.abc.SocketStream) -> None:
        await sock.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await sock.send(b"x-more: and more\r\n")
            await anyio.sleep(0.01)

    for behave in (silent, babbling):
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.listeners[0].extra(anyio.abc.SocketAttribute.local_address)[1]  # noqa: S610
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, behave)
            with pytest.raises(Unavailable) as raised:
                await HttpEventPost(answer_seconds_max=0.5).post(f"http://127.0.0.1:{port}/", {}, b"x")
            assert (raised.value.code, raised.value.effect) == ("event_post.unreachable", "unknown")
            tasks.cancel_scope.cancel()
    with pytest.raises(Unavailable):
        await HttpEventPost(answer_seconds_max=1.0).post("http://127.0.0.1:1/", {}, b"x")
    with pytest.raises(Malformed):
        HttpEventPost(answer_seconds_max=1.0, authorities=b"no certificate")


@pytest.mark.requirement("SSF-05")
async def test_what_is_kept_of_a_stream_is_nobody_elses_to_read(tmp_path):
    async with token_world(tmp_path, settings=announcing(f"researcher {LISTED}")) as world:
        secret = {
            "delivery": {"method": PUSH, "endpoint_url": LISTED, "authorization_header": "Bearer very-secret"}
        }
        await EventClient(world, "researcher").made(**secret)
        databases = [*(tmp_path / "house").glob("answerable.db*")]
        assert databases
        assert all(stat.S_IMODE(one.stat().st_mode) == 0o600 for one in databases)
        assert "very-secret" not in repr(world.product.events.register.streams())
        assert "very-secret" not in json.dumps(world.entries())


@pytest.mark.requirement("SSF-09")
async def test_over_tls_only_a_receiver_whose_certificate_counts_for_its_name_gets_a_message():
    ours, web = Authority("ours.example"), Authority()
    endpoint = OurEndpoint(ours.bundle())
    endpoint.tls.use_pem(*web.leaf("127.0.0.1").pem())
    async with endpoint.open():
        believing = HttpEventPost(answer_seconds_max=5.0, authorities=web.pem)
        # It is no receiver, and says so: the message has reached it.
        assert (await believing.post(endpoint.url(), {}, b"x")).status == 405
        for post, url in (
            (HttpEventPost(answer_seconds_max=5.0), endpoint.url()),
            (HttpEventPost(answer_seconds_max=5.0, authorities=Authority().pem), endpoint.url()),
            (believing, endpoint.url().replace("127.0.0.1", "localhost")),
        ):
            with pytest.raises(Unavailable) as raised:
                await post.post(url, {}, b"x")
            assert "its certificate" in raised.value.message
