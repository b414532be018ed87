"""Makes dialogues.json: whole conversations with a witness (C2SP tlog-witness), recorded at its HTTP door.

    PYTHONPATH=src:. python -m tests.vectors.answerable.witness.generate

Keys, times and trees are fixed, and Ed25519 has no chance in it, so each run gives the same bytes.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

from answerable.core.tlog.note import Note, NoteSignature, signed_note
from answerable.testing.clock import ManualClock
from tests.worlds.witness import ORIGIN, Log, cosigners, desk, door, ed25519, raw_request

FILE = Path(__file__).with_name("dialogues.json")
SECONDS_BETWEEN = 10

TRUE = Log()
FORK = Log(forked_at=4)
OTHER = Log(origin="log.example/other", seed=2)
COPY = f"/{sha256(ORIGIN.encode()).hexdigest()}/checkpoint"


@dataclass(frozen=True)
class Step:
    """One request. body: None asks for the witness's own copy."""

    says: str
    body: bytes | None
    path: str = COPY


def ask(says: str) -> Step:
    return Step(says, None)


def add(says: str, body: bytes) -> Step:
    return Step(says, body)


def changed(body: bytes, old: bytes, new: bytes) -> bytes:
    assert body.count(old) >= 1
    return body.replace(old, new, 1)


def resigned(text: bytes) -> bytes:
    return signed_note(text, key=TRUE.key, sign=ed25519(TRUE.seed).sign).encoded()


def growth() -> list[Step]:
    return [
        ask("nothing is cosigned yet: 404"),
        add("the first checkpoint needs no proof", TRUE.request(0, 3)),
        add("growth with its proof", TRUE.request(3, 8)),
        add("the same checkpoint again, no hashes", TRUE.request(8, 8)),
        add("growth to a size of two to some power", TRUE.request(8, 256)),
        add("one leaf more", TRUE.request(256, 257)),
        add("many leaves more", TRUE.request(257, 1000)),
        ask("the witness's own copy"),
    ]


def an_empty_log() -> list[Step]:
    empty, root, other = TRUE.text(0), TRUE.text(0).split(b"\n")[2], TRUE.text(8).split(b"\n")[2]
    return [
        add("size 0, with the root of the empty tree", TRUE.request(0, 0)),
        add("size 0 again", TRUE.request(0, 0)),
        add("size 0 with another root: 422", raw_request(0, (), resigned(changed(empty, root, other)))),
        add("its first leaves", TRUE.request(0, 5)),
    ]


def the_witness_tells_its_size() -> list[Step]:
    return [
        add("the first checkpoint", TRUE.request(0, 8)),
        add("a client that knows nothing asks from 0: 409", TRUE.request(0, 20)),
        add("and again with what it was told", TRUE.request(8, 20)),
        add("an older size: 409", TRUE.request(3, 30)),
        add("a size that never was cosigned: 409", TRUE.request(25, 30)),
    ]


def rollback() -> list[Step]:
    return [
        add("the first checkpoint", TRUE.request(0, 20)),
        add("the log is smaller now: 409", TRUE.request(0, 8)),
        add("it claims to have been smaller all along: 409", TRUE.request(8, 8)),
        add("the first request again: 409", TRUE.request(0, 20)),
        add("nothing has changed", TRUE.request(20, 21)),
    ]


def forged_growth() -> list[Step]:
    proof = TRUE.proof(3, 8)
    flipped = (bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:])
    return [
        add("the first checkpoint", TRUE.request(0, 3)),
        add("without a proof: 422", TRUE.request(3, 8, ())),
        add("a bit of the proof changed: 422", TRUE.request(3, 8, flipped)),
        add("the last hash missing: 422", TRUE.request(3, 8, proof[:-1])),
        add("a hash too many: 422", TRUE.request(3, 8, (*proof, bytes(32)))),
        add("the proof of another growth: 422", TRUE.request(3, 8, TRUE.proof(3, 9))),
        add("old 0 with hashes, to a witness that is at 3: 409", TRUE.request(0, 8, proof)),
        add("the true proof", TRUE.request(3, 8)),
        add("no change of size, but a proof: 422", TRUE.request(8, 8, proof)),
    ]


def a_proof_from_nothing() -> list[Step]:
    return [
        add("old 0 with hashes: 422", TRUE.request(0, 8, TRUE.proof(3, 8))),
        add("old 0 without", TRUE.request(0, 8)),
    ]


def a_fork() -> list[Step]:
    return [
        add("the first checkpoint", TRUE.request(0, 8)),
        add("another tree of the same size: 422", FORK.request(8, 8)),
        add("another tree that grew: 422", FORK.request(8, 20)),
        add("from where the trees were one: 409", FORK.request(4, 20)),
        add("the true tree", TRUE.request(8, 20)),
    ]


def who_signed() -> list[Step]:
    text = TRUE.text(3)
    ours = Note.parse(TRUE.note(3)).signatures
    strangers = signed_note(text, key=OTHER.key, sign=ed25519(OTHER.seed).sign).signatures
    wrong = TRUE.note(9).splitlines(keepends=True)[-1]
    return [
        add("a log that is not known: 404", OTHER.request(0, 3)),
        add("the known name, signed by another key of the same name: 403", Log(seed=2).request(0, 3)),
        add("a signature that does not fit: 403", changed(TRUE.request(0, 3), b"\n3\n", b"\n4\n")),
        add("signed by a stranger alone: 403", noted(text, strangers)),
        add("signed by a stranger, too", noted(text, (*strangers, *ours))),
        add(
            "a good and a bad signature of the log: 403",
            raw_request(3, TRUE.proof(3, 8), TRUE.note(8) + wrong),
        ),
        ask("the copy holds no signature of a stranger"),
    ]


def noted(text: bytes, signatures: Sequence[NoteSignature]) -> bytes:
    return raw_request(0, (), Note(text=text, signatures=tuple(signatures)).encoded())


def malformed() -> list[Step]:
    note, request = TRUE.note(3), TRUE.request(0, 3)
    bodies = {
        "nothing": b"",
        "no checkpoint": b"old 0\n\n",
        "no old size": b"\n" + note,
        "no empty line": b"old 0\n" + note,
        "a leading zero": changed(request, b"old 0", b"old 00"),
        "a sign": changed(request, b"old 0", b"old +0"),
        "two spaces": changed(request, b"old 0", b"old  0"),
        "a size over 64 bits": changed(request, b"old 0", b"old 18446744073709551616"),
        "old is larger than the checkpoint": TRUE.request(4, 3),
        "a hash that is not base64": b"old 1\n!\n\n" + note,
        "a hash of 31 bytes": raw_request(1, [bytes(31)], note),
        "64 hashes": raw_request(1, [bytes(32)] * 64, note),
        "carriage returns": request.replace(b"\n", b"\r\n"),
        "no newline in the end": request[:-1],
        "a checkpoint of two lines": raw_request(0, (), changed(note, note.split(b"\n")[2] + b"\n", b"")),
        "no signature": raw_request(0, (), TRUE.text(3) + b"\n"),
        "not UTF-8": request + b"\xff\n",
    }
    return [*(add(f"{says}: 400", body) for says, body in bodies.items()), add("nothing was taken", request)]


DIALOGUES: tuple[Callable[[], list[Step]], ...] = (
    growth,
    an_empty_log,
    the_witness_tells_its_size,
    rollback,
    forged_growth,
    a_proof_from_nothing,
    a_fork,
    who_signed,
    malformed,
)
"""Every dialogue begins with a witness that has cosigned nothing."""


async def recorded(steps: list[Step], clock: ManualClock) -> list[dict[str, Any]]:
    """The steps with the answers of a fresh witness, some seconds apart."""
    found = []
    with TemporaryDirectory(prefix="witness-") as folder, desk(Path(folder), TRUE, clock=clock) as at:
        transport = httpx2.ASGITransport(app=door(at))
        async with httpx2.AsyncClient(transport=transport, base_url="http://witness") as http:
            for step in steps:
                clock.advance(SECONDS_BETWEEN)
                method, path = ("GET", step.path) if step.body is None else ("POST", "/add-checkpoint")
                answer = await http.request(method, path, content=step.body or b"")
                # What a refusal says is for people, and every witness has its own words.
                says_it = answer.status_code in (200, 409)
                found.append(
                    {
                        "says": step.says,
                        "time": clock.now() // 1000,
                        "method": method,
                        "path": path,
                        "request": text_or_base64(step.body or b""),
                        "status": answer.status_code,
                        "content_type": answer.headers["content-type"] if answer.status_code == 409 else None,
                        "answer": text_or_base64(answer.content) if says_it else None,
                    }
                )
    return found


def text_or_base64(content: bytes) -> dict[str, str]:
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": b64encode(content).decode()}


def made() -> dict[str, Any]:
    """The whole file as a value."""
    clock = ManualClock()
    witness = cosigners()[0].key
    return {
        "spec": "https://c2sp.org/tlog-witness, https://c2sp.org/tlog-cosignature (Ed25519)",
        "witness": {"vkey": witness.formatted(), "ed25519_seed": (bytes([9]) * 32).hex()},
        "log": {"vkey": TRUE.key.formatted(), "ed25519_seed": (bytes([1]) * 32).hex()},
        "dialogues": [
            {"name": make.__name__.replace("_", " "), "steps": asyncio.run(recorded(make(), clock))}
            for make in DIALOGUES
        ],
    }


def encoded(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(encoded(made()))
