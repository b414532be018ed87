"""Whatever a stranger sends as a note, request, policy, proof, key, tile or bundle: it is read, or Malformed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.cosignature import verified_cosignatures
from answerable.core.tlog.merkle import inclusion_proof, reader_over
from answerable.core.tlog.note import Note, VerifierKey
from answerable.core.tlog.policy import Group, Log, Policy, Witness, parse_policy, verified_checkpoint_under
from answerable.core.tlog.proof import TlogProof
from answerable.core.tlog.tile import decode_bundle, encode_bundle, parse_tile_path, tile_path
from answerable.core.tlog.witnessing import AddCheckpoint
from answerable.errors import Malformed, Unverified
from tests.worlds.tlog import LEAVES, ORIGIN, ed25519_log, ed25519_witness, ml_dsa_44, signed_by

LOG, OWN = ed25519_log(), ml_dsa_44(ORIGIN)
ONE, TWO, LATTICE = ed25519_witness("w/1"), ed25519_witness("w/2"), ml_dsa_44("w/3")
POLICY = Policy(
    logs=(Log(key=LOG.key, url="https://log.example"), Log(key=OWN.key)),
    witnesses=(
        Witness(name="one", key=ONE.key, url="https://one.example"),
        Witness(name="two", key=TWO.key),
        Witness(name="three", key=LATTICE.key),
    ),
    groups=(
        Group(name="g", threshold=1, members=("one", "two")),
        Group(name="h", threshold=2, members=("g", "three")),
    ),
    quorum="h",
)
NOTE = signed_by(LOG, ONE).encoded()
FULL = signed_by(LOG, OWN, ONE, LATTICE)
PROOF = TlogProof(
    index=4,
    hashes=inclusion_proof(index=4, size=21, hash_at=reader_over(LEAVES)),
    checkpoint=NOTE,
    extra=b"anything",
)

PIECES = [b"\n", b"\n\n", b" ", b"=", b"+", b"0", b"9" * 30, b"\x00", b"\xff", "— ".encode(), b"none"]

# What each parser makes of bytes, as the bytes it would write.
PARSERS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "note": (NOTE, lambda data: Note.parse(data).encoded()),
    "checkpoint": (FULL.text, lambda data: Checkpoint.parse(data).text()),
    "request": (
        AddCheckpoint(old_size=3, proof=tuple(LEAVES[:3]), checkpoint=NOTE).encoded(),
        lambda data: AddCheckpoint.parse(data).encoded(),
    ),
    "proof": (PROOF.encoded(), lambda data: TlogProof.parse(data).encoded()),
    "key": (ONE.key.formatted().encode(), lambda data: VerifierKey.parse(text_of(data)).formatted().encode()),
    "bundle": (
        encode_bundle([b"one", b"", b"three"]),
        lambda data: encode_bundle(decode_bundle(data, count=3)),
    ),
    "tile": (tile_path(3, 1_234_067, 17).encode(), lambda data: path_of(data)),
}


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def path_of(data: bytes) -> bytes:
    name = parse_tile_path(text_of(data))
    if name is None:
        raise Malformed("no tile", code="tile.name")
    return name.path.encode()


def require_message(fault: Malformed | Unverified) -> None:
    """One line, of bounded length, whatever was sent."""
    if "\n" in fault.message or len(fault.message) > 600:
        raise AssertionError(fault.message)


@st.composite
def edits(draw: st.DrawFn, start: bytes) -> bytes:
    """The bytes after a few changes: parts cut out, repeated, replaced."""
    data = start
    for _ in range(draw(st.integers(1, 4))):
        low = draw(st.integers(0, len(data)))
        high = draw(st.integers(low, min(len(data), low + 40)))
        put = draw(
            st.one_of(
                st.just(b""),
                st.binary(max_size=4),
                st.sampled_from(PIECES),
                st.just(data[low:high] * 2),
            )
        )
        data = data[:low] + put + data[high:]
    return data


@pytest.mark.requirement("TLOG-04")
@pytest.mark.parametrize("name", list(PARSERS))
@given(st.data())
def test_every_parser_reads_one_spelling_or_refuses(name: str, data: st.DataObject) -> None:
    start, parsed = PARSERS[name]
    assert parsed(start) == start
    for sent in (data.draw(edits(start)), data.draw(st.binary(max_size=100))):
        try:
            assert parsed(sent) == sent
        except Malformed as fault:
            require_message(fault)


@pytest.mark.requirement("TLOG-10")
@given(st.data())
def test_an_edited_policy_is_read_back_or_refused(data: st.DataObject) -> None:
    assert parse_policy(POLICY.text()) == POLICY
    try:
        policy = parse_policy(data.draw(edits(POLICY.text())))
    except Malformed as fault:
        require_message(fault)
        return
    assert parse_policy(policy.text()) == policy


@pytest.mark.requirement("TLOG-08")
@given(st.data())
def test_an_edited_checkpoint_is_verified_or_refused_and_is_the_one_that_was_signed(
    data: st.DataObject,
) -> None:
    encoded = FULL.encoded()
    sent = data.draw(edits(encoded))
    try:
        checkpoint, cosignatures = verified_checkpoint_under(sent, POLICY, origin=ORIGIN)
    except (Malformed, Unverified) as fault:
        require_message(fault)
        return
    # Lines by others may come and go; what was signed, and by whom, may not.
    assert checkpoint.text() == FULL.text
    assert {one.cosigner for one in cosignatures} == {ONE.key, LATTICE.key}
    assert cosignatures == verified_cosignatures(FULL, cosigners=[one.cosigner for one in cosignatures])
