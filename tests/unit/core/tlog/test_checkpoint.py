"""Attacks on checkpoints: spelling, origin, signer."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from answerable.core.tlog.checkpoint import EXTENSION_LINES_MAX, Checkpoint, verified_checkpoint
from answerable.core.tlog.merkle import EMPTY_ROOT, SIZE_MAX, leaf_hash
from answerable.core.tlog.note import VerifierKey, signed_note
from answerable.errors import Malformed, Unverified

ORIGIN = "ledger.example/one"
ROOT = leaf_hash(b"entry")
R64 = b64encode(ROOT).decode()
PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
KEY = VerifierKey.ed25519(ORIGIN, PRIVATE.public_key().public_bytes_raw())
STRANGER = VerifierKey.ed25519(
    ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\x08" * 32).public_key().public_bytes_raw()
)


def malformed_code(attempt: Callable[[], object]) -> str:
    with pytest.raises(Malformed) as caught:
        attempt()
    return caught.value.code


def failed_step(attempt: Callable[[], object]) -> str:
    with pytest.raises(Unverified) as caught:
        attempt()
    return caught.value.step


def checkpoint(**changed: Any) -> Checkpoint:
    return Checkpoint(**{"origin": ORIGIN, "size": 1, "root": ROOT, **changed})


@pytest.mark.parametrize(
    "value",
    [
        checkpoint(),
        checkpoint(size=0, root=EMPTY_ROOT),
        checkpoint(size=SIZE_MAX, extensions=("one", "two è")),
        checkpoint(extensions=("x",) * EXTENSION_LINES_MAX),
        checkpoint(origin="spaces and + are only discouraged"),
    ],
)
def test_a_checkpoint_is_written_as_it_is_read(value: Checkpoint) -> None:
    assert Checkpoint.parse(value.text()) == value


def test_the_text_has_origin_size_and_root_on_a_line_each() -> None:
    assert checkpoint(size=12).text() == f"{ORIGIN}\n12\n{R64}\n".encode()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "note.newline"),
        ("\n", "checkpoint.line"),
        (f"o\n1\n{R64}", "note.newline"),
        ("o\n1\n", "checkpoint.line"),
        (f"\n1\n{R64}\n", "checkpoint.line"),
        (f"o\n1\n{R64}\n\n", "checkpoint.line"),
        (f"o\n1\n{R64}\n\nx\n", "checkpoint.line"),
        (f"o\n1\n{R64}\n" + "x\n" * (EXTENSION_LINES_MAX + 1), "checkpoint.line"),
        (f"o\n1\n{R64}\n" + "x\n" * 1000, "checkpoint.line"),
        (f"o\n01\n{R64}\n", "tlog.decimal"),
        (f"o\n+1\n{R64}\n", "tlog.decimal"),
        (f"o\n-1\n{R64}\n", "tlog.decimal"),
        (f"o\n1 \n{R64}\n", "tlog.decimal"),
        (f"o\n1_0\n{R64}\n", "tlog.decimal"),
        (f"o\n\u0661\n{R64}\n", "tlog.decimal"),
        (f"o\n\n{R64}\n", "tlog.decimal"),
        (f"o\n{2**64}\n{R64}\n", "tlog.decimal"),
        (f"o\n{'9' * 5000}\n{R64}\n", "tlog.decimal"),
        (f"o\n1\n{R64[:-4]}\n", "checkpoint.root"),
        (f"o\n1\n{R64[:-5]}=\n", "tlog.base64"),
        (f"o\n1\n{b64encode(ROOT[:31]).decode()}\n", "checkpoint.root"),
        (f"o\n1\n{b64encode(ROOT + ROOT).decode()}\n", "checkpoint.root"),
        (f"o\n0\n{R64}\n", "checkpoint.root"),
        (f"o\r\n1\r\n{R64}\r\n", "note.control"),
    ],
)
def test_what_is_not_a_checkpoint_in_its_one_spelling_is_refused(text: str, code: str) -> None:
    assert malformed_code(lambda: Checkpoint.parse(text.encode())) == code


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"origin": ""}, "checkpoint.line"),
        ({"origin": "a\nb"}, "checkpoint.line"),
        ({"origin": "a\ud800"}, "checkpoint.line"),
        ({"extensions": ("",)}, "checkpoint.line"),
        ({"extensions": ("x",) * (EXTENSION_LINES_MAX + 1)}, "checkpoint.line"),
        ({"size": -1}, "checkpoint.size"),
        ({"size": SIZE_MAX + 1}, "checkpoint.size"),
        ({"root": b""}, "checkpoint.root"),
        ({"size": 0}, "checkpoint.root"),
    ],
)
def test_a_checkpoint_that_could_not_be_read_back_is_not_made(changed: dict[str, Any], code: str) -> None:
    assert malformed_code(lambda: checkpoint(**changed)) == code


def signed(value: Checkpoint) -> bytes:
    return signed_note(value.text(), key=KEY, sign=PRIVATE.sign).encoded()


def test_a_checkpoint_signed_by_the_log_is_trusted() -> None:
    assert verified_checkpoint(signed(checkpoint()), origin=ORIGIN, log_keys=[STRANGER, KEY]) == checkpoint()


def test_a_checkpoint_of_another_log_under_the_same_key_is_not_trusted() -> None:
    other = signed(checkpoint(origin="ledger.example/two"))
    assert (
        failed_step(lambda: verified_checkpoint(other, origin=ORIGIN, log_keys=[KEY])) == "checkpoint.origin"
    )


def test_a_checkpoint_signed_by_a_stranger_or_changed_afterwards_is_not_trusted() -> None:
    encoded = signed(checkpoint())
    assert (
        failed_step(lambda: verified_checkpoint(encoded, origin=ORIGIN, log_keys=[STRANGER])) == "note.signer"
    )
    grown = encoded.replace(b"\n1\n", b"\n2\n")
    assert failed_step(lambda: verified_checkpoint(grown, origin=ORIGIN, log_keys=[KEY])) == "note.signature"


def test_a_note_of_the_log_that_is_no_checkpoint_is_not_taken_for_one() -> None:
    encoded = signed_note(b"hello\n", key=KEY, sign=PRIVATE.sign).encoded()
    assert (
        malformed_code(lambda: verified_checkpoint(encoded, origin=ORIGIN, log_keys=[KEY]))
        == "checkpoint.line"
    )
