"""What goes from one process of a deployment to another: at most once, whole, and between our own processes only."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.adapters.shard_socket import answers, messages, place
from answerable.adapters.shard_socket.answers import reply_in
from answerable.adapters.shard_socket.messages import (
    action_bytes,
    action_in,
    caller_in,
    failed_bytes,
    request_in,
)
from answerable.core.action.outcome import Outcome
from answerable.core.action.request import ActionRequest
from answerable.core.canonical import encode
from answerable.core.identity.caller import VerifiedCaller
from answerable.core.identity.evidence import CallerIdentity
from answerable.core.identity.principal import UnixMillis
from answerable.core.ledger.answer import Answer
from answerable.core.ledger.tags import Tag
from answerable.errors import Broken, Malformed, Refused, Unavailable, Unverified
from answerable.flows.forward_action import forward_action
from answerable.flows.issue_mandate import issue_mandate
from answerable.flows.list_capabilities import list_capabilities
from answerable.sdk.signing import signed_mandate
from answerable.testing.builders import Bench
from answerable.testing.samples import mandate_terms, signing_key
from tests.link_world import BASE, LIMITS, door, link_of, sent, shard

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("BUDGET-07")]

A = f"{BASE}/a"
GOVERNED = (Tag.INTENT, Tag.OUTCOME, Tag.INDETERMINATE, Tag.REFUSAL, Tag.APPROVAL_ASKED)


async def two_shards(directory: Path, *, calls_max: int = 20) -> tuple[Bench, Bench]:
    """a, which owns the mandate `m-1`, and b, which knows it and the way to a."""
    a = await shard("a").registered()
    now = a.clock.now()
    terms = replace(
        mandate_terms(), calls_max=calls_max, not_before=now, expires_at=UnixMillis(now + 3_600_000)
    )
    terms = replace(terms, grants=(*terms.grants, replace(terms.grants[0], capability="crm.refund")))
    await issue_mandate(a.walk, signed_mandate(terms, audience=A, key=signing_key("alice")))
    b = shard("b", a)
    b.walk.link = link_of(directory, "b")
    return a, b


async def test_an_action_is_governed_recorded_and_performed_by_the_owner_of_its_mandate(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    async with door(tmp_path / "links", "a", a):
        answer = await sent(b)
    assert answer.outcome is not None
    assert (answer.outcome.status, answer.outcome.result, answer.log) == ("succeeded", {"ok": True}, A)
    [intent] = a.entries(Tag.INTENT)
    assert answer.intent is not None
    assert answer.receipt is not None
    assert (answer.intent.index, answer.intent.head) == (intent["index"], None)
    assert answer.receipt.head is not None
    assert A.encode() in answer.receipt.head.signed()
    assert len(a.upstream.effects) == 1
    assert not b.upstream.effects
    assert not b.entries(*GOVERNED)


async def test_what_is_of_this_shard_or_of_none_stays_here(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    a.walk.link = link_of(tmp_path / "links", "a")
    assert (await sent(a)).outcome is not None
    with pytest.raises(Refused) as told:
        await sent(b, mandate="m-9")
    assert told.value.code == "mandate.unknown"
    with pytest.raises(Refused) as told:
        await sent(b, agent="rover")
    assert told.value.code == "mandate.other_agent"
    assert len(b.entries(Tag.REFUSAL)) == 2, "what is not sent on is recorded here"


async def test_a_mandate_of_another_deployment_is_not_sent_anywhere(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    b.walk.link = link_of(tmp_path / "links", "a")
    with pytest.raises(Refused) as told:
        await sent(b)
    assert told.value.code == "mandate.other_shard"
    elsewhere = link_of(tmp_path / "links", "b")
    for origin in ("somebody.else/a", f"{BASE}/a/b", f"{BASE}/../a", f"{BASE}/heads", BASE, f"{BASE}/b"):
        assert not elsewhere.reaches(origin)
    assert elsewhere.reaches(A)
    action, caller = b.request("get_case", {"case": "4711"})
    with pytest.raises(Unavailable) as down:
        await elsewhere.forward("somebody.else/a", action, caller)
    assert (down.value.code, down.value.effect) == ("shard.refused", "none")
    assert not a.upstream.effects


async def test_refusals_and_waiting_approvals_come_back_with_where_they_are_recorded(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    async with door(tmp_path / "links", "a", a):
        with pytest.raises(Refused) as told:
            await sent(b, arguments={"case": "4712"})
        waiting = (await sent(b, "refund", {"case": "4711", "amount": 6000})).approval
    [refusal] = a.entries(Tag.REFUSAL)
    assert (told.value.code, told.value.entry_index, told.value.log) == (
        "mandate.caveat",
        refusal["index"],
        A,
    )
    assert "4712" in told.value.reasons[0]
    assert waiting == a.walk.approvals.find(waiting.id)
    assert not b.entries(*GOVERNED)


async def test_a_proof_over_another_message_is_not_sent_on(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    action, _ = b.request("get_case", {"case": "4711"})
    _, caller = b.request("get_case", {"case": "4711"})
    async with door(tmp_path / "links", "a", a):
        with pytest.raises(Unverified) as told:
            await forward_action(b.walk, action, caller)
    assert told.value.code == "proof.other_message"
    assert not a.entries(Tag.INTENT, Tag.REFUSAL)


async def test_what_is_handed_on_to_the_wrong_process_is_not_handed_on_again(tmp_path):
    """Two processes that each take the other for the owner do not send an action round in circles."""
    a, b = await two_shards(tmp_path / "links")
    c = shard("c", a)
    c.walk.link = link_of(tmp_path / "links", "c")
    async with door(tmp_path / "links", "a", a), door(tmp_path / "links", "c", c):
        action, caller = b.request("get_case", {"case": "4711"})
        with pytest.raises(Refused) as told:
            await b.walk.link.forward(f"{BASE}/c", action, caller)
    assert told.value.code == "mandate.other_shard"
    assert not a.upstream.effects


async def test_an_owner_that_is_down_means_that_nothing_happened(tmp_path):
    _, b = await two_shards(tmp_path / "links")
    with pytest.raises(Unavailable) as told:
        await sent(b)
    assert (told.value.code, told.value.effect) == ("shard.directory", "none")
    place.made_directory(tmp_path / "links")
    with pytest.raises(Unavailable) as told:
        await sent(b)
    assert (told.value.code, told.value.effect) == ("shard.down", "none")
    assert "not running" in told.value.message


class Impostor:
    """Takes connections in place of a door, and does as it is told with each. seen: messages that came whole."""

    def __init__(self, directory: Path, reply: bytes | None) -> None:
        self.directory, self.reply = directory, reply
        self.seen: list[bytes] = []
        self.connections = 0

    async def __call__(self, *, task_status) -> None:
        place.made_directory(self.directory)
        listener = await anyio.create_unix_listener(self.directory / "a.sock", mode=0o600)
        task_status.started()
        async with listener:
            await listener.serve(self._one)

    async def _one(self, stream) -> None:
        self.connections += 1
        async with stream:
            size = int.from_bytes(await stream.receive(4), "big")
            message = b""
            while len(message) < size:
                message += await stream.receive()
            self.seen.append(message)
            if self.reply is not None:
                await stream.send(len(self.reply).to_bytes(4, "big") + self.reply)


@pytest.mark.parametrize(
    "reply",
    [
        None,
        b"",
        b"\x00",
        msgspec.msgpack.encode({"type": "answered"}),
        failed_bytes(Malformed("x", code="y"))[:-1],
    ],
    ids=["nothing", "empty", "garbage", "half", "cut"],
)
async def test_an_owner_that_goes_away_after_taking_an_action_leaves_doubt_and_is_not_asked_again(
    tmp_path, reply
):
    _, b = await two_shards(tmp_path / "links")
    impostor = Impostor(tmp_path / "links", reply)
    async with anyio.create_task_group() as tasks:
        await tasks.start(impostor)
        with pytest.raises(Unavailable) as told:
            await sent(b)
        tasks.cancel_scope.cancel()
    assert (told.value.code, told.value.effect) == ("shard.lost", "unknown")
    assert (impostor.connections, len(impostor.seen)) == (1, 1)


async def test_an_answer_that_does_not_come_in_time_leaves_doubt_and_cancels_the_action(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    b.walk.link = link_of(tmp_path / "links", "b", replace(LIMITS, answer_seconds_max=0.2))
    a.upstream.after = lambda _: anyio.sleep_forever()
    async with door(tmp_path / "links", "a", a):
        with pytest.raises(Unavailable) as told:
            await sent(b)
        assert (told.value.code, told.value.effect) == ("shard.late", "unknown")
    # The door closes when the last action has ended.
    assert len(a.entries(Tag.INDETERMINATE)) == len(a.upstream.effects) == 1


async def test_a_caller_who_leaves_cancels_the_action_at_the_owner(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    begun = anyio.Event()

    async def hang(_: object) -> None:
        begun.set()
        await anyio.sleep_forever()

    a.upstream.after = hang
    async with door(tmp_path / "links", "a", a), anyio.create_task_group() as tasks:
        tasks.start_soon(sent, b)
        await begun.wait()
        tasks.cancel_scope.cancel()
    [intent] = a.entries(Tag.INTENT)
    assert a.entries(Tag.INDETERMINATE)[0]["intent"] == intent["index"]


async def test_an_owner_that_stops_lets_actions_under_way_end(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    begun, go_on = anyio.Event(), anyio.Event()
    found: list[Answer] = []

    async def wait(_: object) -> None:
        begun.set()
        await go_on.wait()

    async def act() -> None:
        found.append(await sent(b))

    a.upstream.after = wait
    async with anyio.create_task_group() as tasks, door(tmp_path / "links", "a", a):
        tasks.start_soon(act)
        await begun.wait()
        tasks.start_soon(_set_later, go_on)
    assert [answer.outcome.status for answer in found if answer.outcome] == ["succeeded"]
    assert not (tmp_path / "links" / "a.sock").exists()


async def _set_later(event: anyio.Event) -> None:
    await anyio.sleep(0.05)
    event.set()


async def test_progress_is_passed_back_and_a_caller_who_cannot_be_told_is_told_the_end(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    told: list[tuple[float, float | None, str | None]] = []

    async def govern(request, caller, *, progress=None):
        await progress(1, 3, "one")
        await progress(2.5, None, None)
        return Answer(action_id="x", outcome=Outcome(status="succeeded"))

    async def hear(done, total, text):
        told.append((done, total, text))
        raise ConnectionError

    action, caller = b.request("get_case", {"case": "4711"})
    async with door(tmp_path / "links", "a", a, govern=govern):
        answer = await b.walk.link.forward(A, action, caller, progress=hear)
    assert told == [(1, 3, "one"), (2.5, None, None)]
    assert answer.action_id == "x"


async def test_a_process_of_another_account_is_not_spoken_to(tmp_path, monkeypatch, caplog):
    """As the kernel tells it: here the one looking takes itself for another account than the one at the other end."""
    a, b = await two_shards(tmp_path / "links")
    action, caller = b.request("get_case", {"case": "4711"})
    async with door(tmp_path / "links", "a", a):
        real = place.is_own_account
        answers_of = iter([False])
        monkeypatch.setattr(
            "answerable.adapters.shard_socket.client.is_own_account",
            lambda stream: next(answers_of) if real(stream) else False,
        )
        with pytest.raises(Unavailable) as told:
            await b.walk.link.forward(A, action, caller)
        assert (told.value.code, told.value.effect) == ("shard.refused", "none")
    monkeypatch.setattr("answerable.adapters.shard_socket.client.is_own_account", real)
    monkeypatch.setattr("answerable.adapters.shard_socket.server.is_own_account", lambda _: False)
    async with door(tmp_path / "links", "a", a):
        with caplog.at_level(logging.WARNING), pytest.raises(Unavailable):
            await b.walk.link.forward(A, action, caller)
    assert "another account" in caplog.text
    assert not a.entries(Tag.INTENT)


async def test_the_kernel_is_asked_who_is_at_the_other_end(tmp_path, monkeypatch):
    place.made_directory(tmp_path / "links")
    listener = await anyio.create_unix_listener(tmp_path / "links" / "a.sock")
    async with listener, await anyio.connect_unix(tmp_path / "links" / "a.sock") as stream:
        assert place.is_own_account(stream)
        monkeypatch.setattr(place, "os", SimpleNamespace(geteuid=lambda: os.geteuid() + 1))
        assert not place.is_own_account(stream)
        monkeypatch.setattr(place, "socket", SimpleNamespace())
        assert not place.is_own_account(stream)


@pytest.mark.parametrize("spoil", ["mode", "file", "link", "owner"])
async def test_sockets_lie_in_a_directory_that_is_ours_alone(tmp_path, spoil, monkeypatch):
    directory = tmp_path / "links"
    if spoil == "file":
        directory.write_text("")
    elif spoil == "link":
        (tmp_path / "other").mkdir(mode=0o700)
        directory.symlink_to(tmp_path / "other")
    else:
        directory.mkdir(mode=0o700)
        if spoil == "mode":
            directory.chmod(0o750)
    if spoil == "owner":
        monkeypatch.setattr(place.os, "geteuid", lambda: 12345)
    a, b = await two_shards(directory)
    with pytest.raises(Unavailable) as told:
        await sent(b)
    assert (told.value.code, told.value.effect) == ("shard.directory", "none")
    with pytest.raises(BaseException) as refused:
        async with door(directory, "a", a):
            pass
    while isinstance(refused.value, BaseExceptionGroup):
        refused = SimpleNamespace(value=refused.value.exceptions[0])
    assert isinstance(refused.value, Unavailable | Malformed | OSError)


async def test_the_socket_is_for_nobody_else(tmp_path):
    a, _ = await two_shards(tmp_path / "links")
    async with door(tmp_path / "links", "a", a):
        assert (tmp_path / "links").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "links" / "a.sock").stat().st_mode & 0o777 == 0o600


def changed(message: bytes, **change: object) -> bytes:
    return msgspec.msgpack.encode({**msgspec.msgpack.decode(message), **change})


async def exchange(directory: Path, raw: bytes) -> bytes:
    """What the door of a says to these bytes, once the way there is closed or not."""
    async with await anyio.connect_unix(directory / "a.sock") as stream:
        await stream.send(raw)
        answer = b""
        while True:
            try:
                answer += await stream.receive()
            except anyio.EndOfStream:
                return answer


OTHER_ACTION = encode(
    {"arguments": {"case": "4712"}, "method": "tools/call", "server": "crm", "target": "refund"}
)


@pytest.mark.parametrize(
    "change",
    [
        {"v": 1},
        {"v": 3},
        {"to": f"{BASE}/b"},
        {"restriction": "none above 5"},
        {"delegation": ["a.b.c"]},
        {"action": OTHER_ACTION},
        {"action": b'{"arguments": {}}'},
        {"action": b"[]"},
        {"target": "refund"},
        {"server": ""},
        {"message_digest": b"short"},
        {"caller": {"agent": "scout"}},
        {"mandate_id": "\ud800".encode("utf-8", "surrogatepass")},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_message_that_is_not_wholly_understood_starts_nothing(tmp_path, change):
    a, b = await two_shards(tmp_path / "links")
    action, caller = b.request("get_case", {"case": "4711"})
    message = changed(action_bytes(A, action, caller, progress=False), **change)
    async with door(tmp_path / "links", "a", a):
        answer = await exchange(tmp_path / "links", len(message).to_bytes(4, "big") + message)
    failed = reply_in(answer[4:])
    assert isinstance(failed, messages.Failed)
    assert (failed.kind, failed.code, failed.effect) == ("unavailable", "shard.refused", "none")
    assert not a.entries(Tag.INTENT, Tag.REFUSAL)


async def test_half_a_message_a_slow_one_and_a_long_one_start_nothing(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    action, caller = b.request("get_case", {"case": "4711"})
    message = action_bytes(A, action, caller, progress=False)
    whole = len(message).to_bytes(4, "big") + message
    async with door(tmp_path / "links", "a", a, limits=replace(LIMITS, send_seconds_max=0.2)):
        assert await exchange(tmp_path / "links", whole[:-1]) == b"", "the rest did not come in time"
        async with await anyio.connect_unix(tmp_path / "links" / "a.sock") as stream:
            await stream.send(whole[:50])
        long = (LIMITS.message_bytes_max + 1).to_bytes(4, "big")
        assert b"too long" in await exchange(tmp_path / "links", long)
        long_action, _ = b.request("get_case", {"case": "x" * LIMITS.message_bytes_max})
        with pytest.raises(Unavailable) as told:
            await b.walk.link.forward(A, long_action, caller)
        assert (told.value.code, told.value.effect) == ("shard.too_long", "none")
        # Whatever was sent before, an honest action is answered.
        assert (await sent(b)).outcome is not None
    assert len(a.entries(Tag.INTENT)) == 1


async def test_more_actions_than_a_process_takes_are_turned_away_undone(tmp_path):
    a, b = await two_shards(tmp_path / "links", calls_max=100)
    go_on = anyio.Event()

    async def wait(_: object) -> None:
        await go_on.wait()

    a.upstream.after = wait
    ends: list[str] = []

    async def act() -> None:
        try:
            await sent(b)
            ends.append("done")
        except Unavailable as turned:
            ends.append(f"{turned.code} {turned.effect}")
        if len(ends) == 6:
            go_on.set()

    limits = replace(LIMITS, actions_max=4)
    async with door(tmp_path / "links", "a", a, limits=limits), anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(act)
    assert sorted(ends) == ["done"] * 4 + ["shard.refused none"] * 6
    assert len(a.upstream.effects) == 4


@pytest.mark.parametrize(
    ("error", "kind", "effect"),
    [
        (Broken("a", code="warrant.spent"), Unavailable, "unknown"),
        (Unavailable("a", code="ledger.full", port="ledger"), Unavailable, "none"),
        (Unavailable("a", code="ledger.poisoned", port="ledger", effect="unknown"), Unavailable, "unknown"),
        (ValueError("a bug"), Unavailable, "unknown"),
        (TimeoutError(), Unavailable, "unknown"),
        (Unverified("a", code="proof.other_message", step="proof"), Unverified, ""),
        (Malformed("a", code="json.size"), Malformed, ""),
    ],
)
async def test_what_goes_wrong_over_there_is_told_here_as_what_it_is(tmp_path, error, kind, effect):
    a, b = await two_shards(tmp_path / "links")

    async def govern(request, caller, *, progress=None):
        raise error

    async with door(tmp_path / "links", "a", a, govern=govern):
        with pytest.raises(kind) as told:
            await sent(b)
    assert getattr(told.value, "effect", "") == effect


async def test_an_answer_that_cannot_be_passed_on_leaves_doubt(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    for result in ({"text": "x" * LIMITS.message_bytes_max}, {"huge": 2**70}):
        a.upstream.answer = lambda _, result=result: Outcome(status="succeeded", result=result)
        async with door(tmp_path / "links", "a", a):
            with pytest.raises(Unavailable) as told:
                await sent(b)
        assert told.value.effect == "unknown"
    assert len(a.entries(Tag.OUTCOME)) == 2


async def test_what_could_be_used_elsewhere_is_listed_here_too(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    _, caller = b.request("get_case", {"case": "4711"})
    assert list_capabilities(b.walk, caller, "m-1", "crm") == list_capabilities(a.walk, caller, "m-1", "crm")


def test_everything_that_is_known_of_an_action_and_its_caller_is_handed_on():
    """A member that somebody adds and does not hand on would be a restriction that holds in one process only."""
    own = {"to", "v", "caller", "progress"}
    assert set(messages.Action.__struct_fields__) - own == set(ActionRequest.__struct_fields__)
    assert set(messages.Caller.__struct_fields__) == set(VerifiedCaller.__struct_fields__)
    assert set(messages.Identity.__struct_fields__) == set(CallerIdentity.__struct_fields__)
    assert set(answers.Answered.__struct_fields__) == set(Answer.__struct_fields__) - {"log"}
    assert set(answers.Ended.__struct_fields__) == set(Outcome.__struct_fields__)
    bench = Bench()
    action, caller = bench.request("refund", {"case": "4711", "amount": 5, "note": "é\u0000"})
    identity = CallerIdentity(
        instance="spiffe://x/y", source="unix", grade="kernel", manifest="a" * 64, drifted=True,
        manifest_grade="sidecar", measured="b" * 64, key="K",
    )  # fmt: skip
    caller = msgspec.structs.replace(caller, identity=identity, key="k", certificate="c", process="p")
    action = msgspec.structs.replace(action, delegation="a.b.c~d.e.f")
    found = action_in(action_bytes(A, action, caller, progress=True))
    assert request_in(found, LIMITS) == action
    assert caller_in(found.caller) == caller
    assert found.progress


@given(st.binary(max_size=300))
def test_no_bytes_make_a_decoder_raise_anything_else(raw):
    for decode in (action_in, reply_in):
        try:
            decode(raw)
        except Malformed:
            continue
