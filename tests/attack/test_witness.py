"""Attacks on a witness, over its own door and on real files: none gets a history cosigned that does not go on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import httpx2
import pytest

from answerable.apps.witness import application
from answerable.core.tlog.cosignature import verified_cosignatures
from answerable.core.tlog.note import Note, signed_note
from answerable.core.tlog.witnessing import BODY_BYTES_MAX
from answerable.flows.ledger.cosign_checkpoint import cosign_checkpoint
from answerable.ports.witness import Cosigned
from answerable.testing.clock import ManualClock
from tests.worlds.witness import (
    ORIGIN,
    Door,
    Log,
    at_door,
    cosigners,
    desk,
    ed25519,
    raw_request,
)

pytestmark = pytest.mark.anyio

TRUE = Log()
FALSE = Log(forked_at=2)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def witness(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Door]:
    async with at_door(tmp_path / "w", TRUE, clock=clock) as opened:
        yield opened


@pytest.mark.requirement("WITNESS-01")
async def test_growth_with_a_proof_is_cosigned_and_remembered(witness: Door) -> None:
    for old, size in ((0, 3), (3, 3), (3, 8), (8, 300)):
        answer = await witness.add(TRUE.request(old, size))
        assert answer.status_code == 200
        note = Note.parse(TRUE.text(size) + b"\n" + answer.content)
        (found,) = verified_cosignatures(note, cosigners=[one.key for one in cosigners()])
        assert found.timestamp == witness.desk.clock.now() // 1000
        assert witness.newest() == size
    assert witness.evidence() == []


@pytest.mark.requirement("WITNESS-02")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda proof: proof[:-1],
        lambda proof: (*proof, proof[-1]),
        lambda proof: (),
        lambda proof: (bytes(32), *proof[1:]),
        lambda proof: tuple(reversed(proof)),
        lambda proof: FALSE.proof(3, 8),
    ],
)
async def test_forged_growth_is_not_cosigned(witness: Door, spoil: Callable[..., Any]) -> None:
    await witness.add(TRUE.request(0, 3))
    assert (await witness.add(TRUE.request(3, 8, spoil(TRUE.proof(3, 8))))).status_code == 422
    assert (await witness.add(FALSE.request(3, 8))).status_code == 422
    assert witness.newest() == 3
    assert set(witness.evidence()) == {"unproven"}
    assert (await witness.add(TRUE.request(3, 8))).status_code == 200


@pytest.mark.requirement("WITNESS-02")
async def test_a_proof_from_nothing_is_no_proof(witness: Door) -> None:
    assert (await witness.add(TRUE.request(0, 8, TRUE.proof(3, 8)))).status_code == 422
    assert witness.newest() == 0
    empty = TRUE.text(0).replace(TRUE.text(0).split(b"\n")[2], TRUE.text(8).split(b"\n")[2])
    note = signed_note(empty, key=TRUE.key, sign=ed25519(1).sign).encoded()
    assert (await witness.add(raw_request(0, (), note))).status_code == 422


@pytest.mark.requirement("WITNESS-02")
@pytest.mark.requirement("WITNESS-05")
async def test_a_second_history_of_the_same_size_is_not_cosigned_and_kept_as_evidence(witness: Door) -> None:
    await witness.add(TRUE.request(0, 8))
    for old in (8, 0, 5):
        answer = await witness.add(FALSE.request(old, 8, ()))
        assert answer.status_code == (422 if old == 8 else 409)
    (found,) = witness.desk.register.evidence(ORIGIN)
    assert (found.kind, found.size) == ("fork", 8)
    assert FALSE.note(8) in found.request
    assert TRUE.text(8) in found.known


@pytest.mark.requirement("WITNESS-03")
@pytest.mark.requirement("WITNESS-05")
async def test_a_rollback_is_answered_with_the_size_that_is_known(witness: Door) -> None:
    await witness.add(TRUE.request(0, 8))
    for body in (TRUE.request(0, 5), TRUE.request(3, 5), FALSE.request(5, 6)):
        answer = await witness.add(body)
        assert (answer.status_code, answer.content) == (409, b"8\n")
        assert answer.headers["content-type"] == "text/x.tlog.size"
    assert witness.newest() == 8
    assert witness.evidence() == ["older", "older"], "one for each checkpoint that the log signed"


@pytest.mark.requirement("WITNESS-03")
async def test_a_replayed_older_request_gets_nothing_cosigned(witness: Door) -> None:
    first = TRUE.request(0, 3)
    assert (await witness.add(first)).status_code == 200
    assert (await witness.add(TRUE.request(3, 8))).status_code == 200
    answer = await witness.add(first)
    assert (answer.status_code, answer.content) == (409, b"8\n")
    assert witness.newest() == 8


@pytest.mark.requirement("WITNESS-01")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (Log(origin="log.example/other").request(0, 3), 404),
        (Log(seed=2).request(0, 3), 403),
        (TRUE.request(0, 3).replace(b"\n3\n", b"\n4\n"), 403),
        (raw_request(0, (), TRUE.note(3) + TRUE.note(4).splitlines(keepends=True)[-1]), 403),
        (TRUE.request(4, 3), 400),
        (b"", 400),
        (b"old 0\n", 400),
        (TRUE.request(0, 3).replace(b"old 0", b"old 00"), 400),
        (TRUE.request(0, 3).replace(b"old 0", b"old -1"), 400),
        (TRUE.request(0, 3).replace(b"\n", b"\r\n"), 400),
        (TRUE.request(0, 3)[:-1], 400),
        (TRUE.request(0, 3) + b"\0", 400),
        (raw_request(1, [bytes(32)] * 64, TRUE.note(3)), 400),
        (raw_request(1, [bytes(31)], TRUE.note(3)), 400),
        (b"\xff" * 100, 400),
        (raw_request(0, (), TRUE.note(3).replace(TRUE.text(3).split(b"\n")[2], b"AAAA")), 400),
        (b"x" * (BODY_BYTES_MAX + 1), 413),
    ],
)
async def test_each_bad_request_has_its_own_answer_and_changes_nothing(
    witness: Door, body: bytes, status: int
) -> None:
    await witness.add(TRUE.request(0, 2))
    answer = await witness.add(body)
    assert answer.status_code == status, answer.text
    assert (witness.newest(), witness.evidence()) == (2, [])


@pytest.mark.requirement("WITNESS-01")
async def test_signatures_of_strangers_are_ignored_and_not_passed_on(witness: Door) -> None:
    stranger = Log(origin="stranger.example", seed=3)
    by_stranger = signed_note(TRUE.text(3), key=stranger.key, sign=ed25519(3).sign).signatures
    note = Note.parse(TRUE.note(3))
    body = raw_request(0, (), Note(text=note.text, signatures=(*by_stranger, *note.signatures)).encoded())
    assert (await witness.add(body)).status_code == 200
    shown = await witness.http.get(f"/{sha256(ORIGIN.encode()).hexdigest()}/checkpoint")
    assert shown.status_code == 200
    names = [one.name for one in Note.parse(shown.content).signatures]
    assert names == [ORIGIN, "witness.example/w1"]


@pytest.mark.requirement("WITNESS-06")
async def test_the_own_copy_is_served_by_hash_of_the_origin_only(witness: Door) -> None:
    known = sha256(ORIGIN.encode()).hexdigest()
    assert (await witness.http.get(f"/{known}/checkpoint")).status_code == 404, "nothing is cosigned yet"
    await witness.add(TRUE.request(0, 8))
    shown = await witness.http.get(f"/{known}/checkpoint")
    note = Note.parse(shown.content)
    note.verify([TRUE.key])
    assert len(verified_cosignatures(note, cosigners=[one.key for one in cosigners()])) == 1
    for other in (known.upper(), known[:-1], "..%2f..%2fkey.jwk", sha256(b"x").hexdigest()):
        assert (await witness.http.get(f"/{other}/checkpoint")).status_code == 404


@pytest.mark.requirement("WITNESS-05")
async def test_what_strangers_can_make_never_crowds_out_proof_of_a_fork(witness: Door) -> None:
    await witness.add(TRUE.request(0, 100))
    for size in range(1, 60):
        await witness.add(TRUE.request(0, size))
        await witness.add(TRUE.request(100, 100 + size, ()))
    assert (await witness.add(FALSE.request(100, 100, ()))).status_code == 422
    kinds = witness.evidence()
    assert kinds.count("older") == 16
    assert kinds.count("unproven") == 16
    assert kinds.count("fork") == 1


@pytest.mark.requirement("WITNESS-05")
async def test_one_checkpoint_sent_in_many_wrappings_is_one_piece_of_evidence(
    witness: Door, tmp_path: Path
) -> None:
    await witness.add(TRUE.request(0, 8))
    for old in range(8):
        await witness.add(TRUE.request(old, 8).replace(TRUE.note(8), FALSE.note(8)))
    (found,) = (tmp_path / "w/logs").glob("*/evidence/*")
    stored = json.loads(found.read_bytes())
    assert stored["kind"] == "fork"
    assert Note.parse(stored["known"].encode()).text == TRUE.text(8)


@pytest.mark.requirement("WITNESS-08")
async def test_times_of_cosignatures_never_go_back(
    witness: Door, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    def time_of(answer: httpx2.Response, size: int) -> int:
        note = Note.parse(TRUE.text(size) + b"\n" + answer.content)
        return verified_cosignatures(note, cosigners=[one.key for one in cosigners()])[0].timestamp

    first = time_of(await witness.add(TRUE.request(0, 3)), 3)
    clock.jump(-60)
    assert time_of(await witness.add(TRUE.request(3, 4)), 4) == first
    clock.jump(-1)
    for _ in range(3):
        failed = await witness.add(TRUE.request(4, 5))
        assert (failed.status_code, failed.text[:20]) == (503, "witness.clock_back: ")
    assert [one.getMessage()[:18] for one in caplog.records] == ["witness.clock_back"]
    assert witness.newest() == 4
    clock.jump(100)
    assert time_of(await witness.add(TRUE.request(4, 5)), 5) > first


@pytest.mark.requirement("WITNESS-07")
async def test_a_damaged_memory_is_logged_once_for_each_cause_and_when_it_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(application, "time", SimpleNamespace(monotonic=lambda: now[0]))
    async with at_door(tmp_path / "w", TRUE) as door:
        await door.add(TRUE.request(0, 3))
        [kept] = (tmp_path / "w").rglob("checkpoint")
        whole = kept.read_bytes()
        causes = (b"", whole.replace(b"log.example/one", b"log.example/two"))
        for content in (causes[0], causes[0], causes[1], causes[0], whole):
            kept.write_bytes(content)
            for _ in range(3):
                now[0] += application.APART_SECONDS / 8
                answer = await door.add(TRUE.request(3, 3))
                assert answer.status_code == (200 if content == whole else 500)
        assert len(caplog.records) == len({one.getMessage() for one in caplog.records}) == 2
        now[0] += application.APART_SECONDS
        kept.write_bytes(causes[0])
        for _ in range(3):
            assert (await door.add(TRUE.request(3, 3))).status_code == 500
    assert len(caplog.records) == 3
    assert {one.levelname for one in caplog.records} == {"ERROR"}


@pytest.mark.requirement("WITNESS-09")
async def test_a_witness_with_both_keys_cosigns_with_both(tmp_path: Path) -> None:
    with desk(tmp_path / "w", TRUE, lattice=True) as at:
        answer = cosign_checkpoint(at, TRUE.request(0, 8))
        assert isinstance(answer, Cosigned)
        note = Note.parse(TRUE.text(8) + b"\n" + answer.signatures)
        keys = [one.key for one in cosigners(lattice=True)]
        assert {one.cosigner for one in verified_cosignatures(note, cosigners=keys)} == set(keys)


@pytest.mark.requirement("WITNESS-01")
async def test_a_body_that_comes_too_slowly_is_given_up(tmp_path: Path) -> None:
    from answerable.apps.witness.application import WitnessServices, witness_app

    def never(_: bytes) -> Cosigned:
        raise AssertionError("an unfinished body was judged")

    app = witness_app(WitnessServices(cosign=never, newest=lambda _: None), body_seconds_max=0.05)

    async def dripping() -> AsyncIterator[bytes]:
        while True:
            yield b"o"
            await anyio.sleep(0.01)

    sent: list[dict[str, Any]] = []
    pieces = dripping()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": await anext(pieces), "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/add-checkpoint", "headers": [], "query_string": b""}
    await app(scope, receive, send)
    assert sent[0]["status"] == 408
