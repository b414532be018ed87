"""Attacks on requests to witnesses: spelling, length, and checkpoints that are none."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from answerable.core.tlog.merkle import SIZE_MAX, consistency_proof, reader_over
from answerable.core.tlog.note import NOTE_BYTES_MAX
from answerable.core.tlog.witnessing import (
    BODY_BYTES_MAX,
    HEAD_BYTES_MAX,
    WITNESS_PROOF_HASHES_MAX,
    AddCheckpoint,
)
from tests.worlds.tlog import LEAVES, ed25519_log, malformed_code, signed_by

NOTE = signed_by(ed25519_log()).encoded()
PROOF = consistency_proof(old_size=11, new_size=21, hash_at=reader_over(LEAVES))
REQUEST = AddCheckpoint(old_size=11, proof=PROOF, checkpoint=NOTE)
H64 = b64encode(LEAVES[0])


def test_the_example_of_the_specification_is_read_and_written_back() -> None:
    body = (
        "old 20852014\n"
        "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
        "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
        "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n"
        "/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n"
        "\n"
        "example.com/behind-the-sofa\n"
        "20852163\n"
        "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
        "\n"
        "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+"
        "zyWE+xeMcTOAYQ8=\n"
        "— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5"
        "Rovnzv++qbSzm9Q=\n"
    ).encode()
    request = AddCheckpoint.parse(body)
    assert (request.old_size, len(request.proof)) == (20852014, 4)
    assert request.checkpoint == body[body.index(b"example.com") :]
    assert request.encoded() == body


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST,
        AddCheckpoint(old_size=0, proof=(), checkpoint=NOTE),
        AddCheckpoint(old_size=21, proof=(), checkpoint=NOTE),
        AddCheckpoint(old_size=SIZE_MAX, proof=(LEAVES[0],) * WITNESS_PROOF_HASHES_MAX, checkpoint=NOTE),
        # For the witness to refuse with its own status, not for the parser.
        AddCheckpoint(old_size=0, proof=(LEAVES[0],), checkpoint=NOTE),
    ],
)
def test_a_request_is_written_as_it_is_read(request_: AddCheckpoint) -> None:
    assert AddCheckpoint.parse(request_.encoded()) == request_
    assert len(request_.encoded()) <= HEAD_BYTES_MAX + len(NOTE)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "witness.request"),
        (b"\n\n", "witness.request"),
        (b"old 1\n", "witness.request"),
        (b"old 1\n" + NOTE, "tlog.base64"),
        (NOTE, "witness.request"),
        (b"\n" + NOTE, "witness.request"),
        (b"new 1\n\n" + NOTE, "witness.request"),
        (b"Old 1\n\n" + NOTE, "witness.request"),
        (b"old\n\n" + NOTE, "witness.request"),
        (b"old \n\n" + NOTE, "tlog.decimal"),
        (b"old  1\n\n" + NOTE, "tlog.decimal"),
        (b"old 01\n\n" + NOTE, "tlog.decimal"),
        (b"old -1\n\n" + NOTE, "tlog.decimal"),
        (b"old 1 \n\n" + NOTE, "tlog.decimal"),
        (b"old 1\r\n\n" + NOTE, "tlog.decimal"),
        (b"old 18446744073709551616\n\n" + NOTE, "tlog.decimal"),
        (b"old 1\n" + H64[:-1] + b"\n\n" + NOTE, "tlog.base64"),
        (b"old 1\nQQ==\n\n" + NOTE, "proof.hash_length"),
        (b"old 1\n" + b"QQ==\n" * 64 + b"\n" + NOTE, "proof.length"),
        (b"old 1\n" + (H64 + b"\n") * 64 + b"\n" + NOTE, "witness.request"),
        (b"old 1\n\xc3\xa9\n\n" + NOTE, "witness.request"),
        (b"old 1\n\n" + NOTE[:-1], "note.newline"),
        (b"old 1\n\n" + NOTE + b"\n", "note.signature_line"),
        (b"old 1\n\n", "note.newline"),
        (b"old 1\n\n" + b"x" * (NOTE_BYTES_MAX + 1), "note.size"),
        (b"x" * (BODY_BYTES_MAX + 1), "witness.request_size"),
        (b"x" * BODY_BYTES_MAX, "witness.request"),
    ],
)
def test_what_is_not_a_request_in_its_one_spelling_is_refused(body: bytes, code: str) -> None:
    assert malformed_code(lambda: AddCheckpoint.parse(body)) == code


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"old_size": -1}, "witness.old_size"),
        ({"old_size": SIZE_MAX + 1}, "witness.old_size"),
        ({"proof": (LEAVES[0],) * 64}, "proof.length"),
        ({"proof": (b"short",)}, "proof.hash_length"),
        ({"checkpoint": b"no note\n"}, "note.signature_count"),
    ],
)
def test_a_request_that_could_not_be_read_back_is_not_made(changed: dict[str, Any], code: str) -> None:
    assert malformed_code(partial(replace, REQUEST, **changed)) == code
