"""Our published dialogues with a witness: made again byte for byte, and checked without our own note code."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.vectors.answerable.witness.generate import FILE, encoded, made

pytestmark = pytest.mark.requirement("WITNESS-17")

VECTORS: dict[str, Any] = json.loads(FILE.read_text())
STEPS = [(dialogue["name"], step) for dialogue in VECTORS["dialogues"] for step in dialogue["steps"]]


def test_the_published_file_is_what_the_witness_answers() -> None:
    assert FILE.read_text() == encoded(made()), "run the generator, and look at what changed"


def test_every_status_of_the_protocol_is_there() -> None:
    assert {step["status"] for _, step in STEPS} == {200, 400, 403, 404, 409, 422}


@pytest.mark.parametrize(
    ("name", "step"), STEPS, ids=lambda value: value if isinstance(value, str) else value["says"]
)
def test_each_answer_is_the_one_that_the_step_names(name: str, step: dict[str, Any]) -> None:
    named = re.search(r": (\d{3})$", step["says"])
    assert step["status"] == (int(named[1]) if named else 200)
    if step["status"] == 409:
        assert step["content_type"] == "text/x.tlog.size"
        assert re.fullmatch(r"[0-9]+\n", step["answer"]["text"])
    if step["status"] == 200:
        text = (
            step["answer"]["text"] if step["method"] == "GET" else step["request"]["text"].split("\n\n", 1)[1]
        )
        text = text.split("\n\n", 1)[0] + "\n"
        key = Ed25519PrivateKey.from_private_bytes(
            bytes.fromhex(VECTORS["witness"]["ed25519_seed"])
        ).public_key()
        name, key_id, public = VECTORS["witness"]["vkey"].split("+", 2)
        assert b64decode(public) == b"\x04" + key.public_bytes_raw()
        line = next(one for one in step["answer"]["text"].splitlines() if one.startswith(f"— {name} "))
        signature = b64decode(line.rsplit(" ", 1)[1])
        time = int.from_bytes(signature[4:12], "big")
        assert signature[:4].hex() == key_id
        assert time == step["time"] or step["method"] == "GET"
        key.verify(signature[12:], f"cosignature/v1\ntime {time}\n{text}".encode())
