"""Laws of proofs: whatever byte is flipped, the proof fails, and nothing a stranger sends does more than fail."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.identity.proof.channel import Channel
from answerable.core.identity.proof.http_signature import SignedRequest, request_from_http
from answerable.core.identity.proof.replay import ReplayMemory
from answerable.core.identity.proof.session import WINDOW, SequenceWindow
from answerable.errors import Malformed, Unverified
from tests.worlds.proof import ProofWorld

WORLD = ProofWorld()
SESSION = WORLD.session()
KINDS = ("ed25519", "ecdsa", "mac")
NAMES = tuple(field.name for field in fields(SignedRequest))


SEQUENCES = itertools.count(1)


def proved(kind: str) -> SignedRequest:
    if kind == "mac":
        return SESSION.proved(next(SEQUENCES))
    return WORLD.signed(key=WORLD.crm_key if kind == "ed25519" else WORLD.pay_key)


@pytest.mark.requirement("PROOF-03")
@given(st.sampled_from(KINDS), st.sampled_from(NAMES), st.integers(0, 2**16), st.integers(1, 255))
def test_flipping_any_byte_of_message_or_proof_fails(kind: str, name: str, place: int, flip: int) -> None:
    honest = proved(kind)
    # A part that is left out, as most messages leave out hops, is one that somebody adds a byte to.
    value = bytearray(getattr(honest, name) or bytes(1))
    value[place % len(value)] ^= flip
    with pytest.raises(Unverified):
        WORLD.verifier.verify(replace(honest, **{name: bytes(value)}))
    WORLD.verifier.verify(honest)


@pytest.mark.requirement("PROOF-03")
@pytest.mark.parametrize("kind", KINDS)
def test_flipping_the_lowest_bit_of_every_single_byte_fails(kind: str) -> None:
    honest = proved(kind)
    for name in NAMES:
        value = getattr(honest, name)
        for place in range(len(value)):
            changed = value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
            with pytest.raises(Unverified):
                WORLD.verifier.verify(replace(honest, **{name: changed}))
    WORLD.verifier.verify(honest)


@pytest.mark.requirement("PROOF-03")
@given(
    st.sampled_from(KINDS),
    st.sampled_from(NAMES),
    st.tuples(st.integers(0, 2**16), st.integers(0, 2**16)),
    st.binary(max_size=4),
)
def test_cutting_or_adding_bytes_anywhere_fails(
    kind: str, name: str, places: tuple[int, int], added: bytes
) -> None:
    honest = proved(kind)
    # How long a proof is depends on how many there were: nothing is drawn by that.
    value = getattr(honest, name)
    start, end = sorted(place % (len(value) + 1) for place in places)
    changed = value[:start] + added + value[end:]
    if changed != value:
        with pytest.raises(Unverified):
            WORLD.verifier.verify(replace(honest, **{name: changed}))
    WORLD.verifier.verify(honest)


@pytest.mark.requirement("PROOF-11")
@given(
    st.text(max_size=20),
    st.binary(max_size=60),
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    b"host",
                    b"signature",
                    b"signature-input",
                    b"content-digest",
                    b"answerable-mandate",
                    b"authorization",
                ]
            ),
            st.binary(max_size=300)
            | st.sampled_from([b"a", SESSION.proved(1).signature_input, b"answerable=:AA==:"]),
        ),
        max_size=8,
    ),
    st.binary(max_size=50),
)
def test_whatever_strangers_send_is_unverified_and_nothing_worse(
    method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    try:
        message = request_from_http(method, target, headers, body)
    except Unverified:
        return
    for verify in (
        lambda: WORLD.verifier.verify(message),
        lambda: WORLD.verifier.verify(message, Channel(connection=1, sequence=1)),
        lambda: WORLD.verifier.open_session(message),
    ):
        with pytest.raises((Unverified, Malformed)):
            verify()


@pytest.mark.requirement("PROOF-05")
@given(st.lists(st.integers(1, 40) | st.integers(1, 3 * WINDOW), max_size=200))
def test_the_window_never_accepts_twice_and_misses_nothing_recent(sequences: list[int]) -> None:
    window, seen, highest = SequenceWindow(), set[int](), 0
    for sequence in sequences:
        expected = sequence not in seen and sequence > highest - WINDOW
        assert window.accept(sequence) is expected
        seen.add(sequence)
        highest = max(highest, sequence)


@pytest.mark.requirement("PROOF-02")
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-400, 400), st.integers(0, 200)), max_size=60))
def test_no_nonce_passes_twice_whatever_the_wall_clock_does(
    steps: list[tuple[int, int, int]],
) -> None:
    # Each step: which of six messages is sent again, how the wall clock jumps, how many seconds pass. A message keeps
    # the `created` that it was first signed with, and is only offered while it passes the check of time.
    memory = ReplayMemory(nonces_max=100, retention_seconds=121)
    wall, monotonic = 10_000, 0.0
    created: dict[int, int] = {}
    accepted: set[int] = set()
    for message, jump, passed in steps:
        wall += jump + passed
        monotonic += passed
        made = created.setdefault(message, wall)
        if (
            made > 0
            and abs(made - wall) <= 60
            and memory.accept(str(message), created=made, at=monotonic) == "new"
        ):
            assert message not in accepted
            accepted.add(message)
