"""Who may speak at the sockets between processes, and what is understood there: the rest starts nothing."""

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
from msgspec import structs

from answerable.adapters.shard_socket import answers, messages, place
from answerable.adapters.shard_socket.answers import reply_in
from answerable.adapters.shard_socket.messages import (
    action_bytes,
    action_in,
    caller_in,
    request_in,
)
from answerable.core.action.outcome import Outcome
from answerable.core.action.request import ActionRequest
from answerable.core.canonical import encode
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.core.identity.workload.evidence import CallerIdentity
from answerable.core.ledger.answer import Answer
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Unavailable
from answerable.testing.builders import Bench
from tests.worlds.link import BASE, LIMITS, A, door, sent, two_shards

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("BUDGET-07")]

GOVERNED = (Tag.INTENT, Tag.OUTCOME, Tag.INDETERMINATE, Tag.REFUSAL, Tag.APPROVAL_ASKED)


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
            await b.walk.live.link.forward(A, action, caller)
        assert (told.value.code, told.value.effect) == ("shard.refused", "none")
    monkeypatch.setattr("answerable.adapters.shard_socket.client.is_own_account", real)
    monkeypatch.setattr("answerable.adapters.shard_socket.server.is_own_account", lambda _: False)
    async with door(tmp_path / "links", "a", a):
        with caplog.at_level(logging.WARNING), pytest.raises(Unavailable):
            await b.walk.live.link.forward(A, action, caller)
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
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
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
        {"v": 2},
        {"v": 4},
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
            await b.walk.live.link.forward(A, long_action, caller)
        assert (told.value.code, told.value.effect) == ("shard.too_long", "none")
        # Whatever was sent before, an honest action is answered.
        assert (await sent(b)).outcome is not None
    assert len(a.entries(Tag.INTENT)) == 1


def test_everything_that_is_known_of_an_action_and_its_caller_is_handed_on():
    """A member that somebody adds and does not hand on would be a restriction that holds in one process only."""
    own = {"to", "v", "caller", "progress"}
    # What policy narrows, what was prepared and what is asked for a card the process that decides puts in, after the
    # action was handed on.
    theirs = {"asked", "prepared", "preview_of"}
    assert set(messages.Action.__struct_fields__) - own == set(ActionRequest.__struct_fields__) - theirs
    # Reasons for people only stay where the people are asked.
    assert "internal" not in answers.Waiting.__struct_fields__
    assert set(messages.Caller.__struct_fields__) == set(VerifiedCaller.__struct_fields__)
    assert set(messages.Identity.__struct_fields__) == set(CallerIdentity.__struct_fields__)
    assert set(answers.Answered.__struct_fields__) == set(Answer.__struct_fields__) - {"log"}
    # A broker's code is for the process that asked the broker.
    assert set(answers.Ended.__struct_fields__) == set(Outcome.__struct_fields__) - {"code"}
    bench = Bench()
    action, caller = bench.request("refund", {"case": "4711", "amount": 5, "note": "é\u0000"})
    identity = CallerIdentity(
        instance="spiffe://x/y",
        source="unix",
        grade="kernel",
        manifest="a" * 64,
        drifted=True,
        manifest_grade="sidecar",
        manifest_fields=(("code_digest", "kernel"), ("prompt_digest", "sidecar")),
        measured="b" * 64,
        key="i" * 43,
    )
    caller = msgspec.structs.replace(
        caller, identity=identity, key="k" * 43, certificate="c" * 43, process="p" * 43
    )
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


@pytest.mark.requirement("PREPARE-01")
def test_what_was_prepared_in_another_process_is_told_here_too():
    for told in (
        None,
        {"code": "prepared.none", "kept": False, "why": "é"},
        {"digest": "sha256:0", "kept": True},
    ):
        answer = Answer(action_id="a-1", outcome=Outcome(status="succeeded", prepared=told))
        reply = reply_in(answers.answer_bytes(answer))
        assert isinstance(reply, answers.Answered)
        assert answers.answer_in(reply, "log.example") == structs.replace(answer, log="log.example")


@pytest.mark.requirement("OBL-05")
def test_what_was_narrowed_in_another_process_is_told_here_too():
    for narrowed in (b"", b'{"amount":5000}'):
        answer = Answer(action_id="a-1", outcome=Outcome(status="succeeded"), narrowed=narrowed)
        reply = reply_in(answers.answer_bytes(answer))
        assert isinstance(reply, answers.Answered)
        assert answers.answer_in(reply, "log.example").narrowed == narrowed
    for odd in (b'{"b":1, "a":2}', b"\xff", b"{"):
        reply = reply_in(answers.answer_bytes(Answer(action_id="a-1", narrowed=odd)))
        with pytest.raises(Malformed):
            answers.answer_in(reply, "log.example")
