"""Attacks on signed messages, each beside the honest message it imitates."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import Literal

import pytest

from answerable.core.identity.proof.channel import Channel
from answerable.core.identity.proof.http_signature import SignedRequest, request_from_http
from answerable.errors import Unverified
from tests.worlds.proof import BODY, ProofWorld, agent, new_key, refused, request, unix


@pytest.fixture
def world() -> ProofWorld:
    return ProofWorld()


def test_a_signed_message_proves_its_agent_with_digest_time_and_sequence(world: ProofWorld) -> None:
    first = world.verifier.verify(world.signed())
    second = world.verifier.verify(world.signed(key=world.crm_key))
    other = world.verifier.verify(world.signed(key=world.pay_key))
    assert (first.agent, first.proof, first.binding) == ("crm", "signature", world.crm_key.public.thumbprint)
    assert (first.sequence, second.sequence, other.sequence) == (1, 2, 1)
    assert first.at == world.clock.now()
    assert first.message_digest == sha256(BODY).digest()
    assert other.agent == "pay"


@pytest.mark.requirement("PROOF-02")
def test_of_64_racing_replays_exactly_one_wins(world: ProofWorld) -> None:
    message = world.signed()
    start = threading.Barrier(16)

    def attempt(number: int) -> str:
        if number < 16:
            start.wait(10)
        try:
            world.verifier.verify(message)
        except Unverified as error:
            return error.step
        return "accepted"

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(attempt, range(64)))
    assert sorted(outcomes) == ["accepted"] + ["replay"] * 63


@pytest.mark.requirement("PROOF-03")
@pytest.mark.parametrize(
    ("change", "step"),
    [
        ({"method": b"DELETE"}, "signature"),
        ({"target": b"/mcp?x=1"}, "signature"),
        ({"target": b"/MCP"}, "signature"),
        ({"body": b"{}"}, "digest"),
        ({"body": b""}, "digest"),
        ({"mandate": b"m-2"}, "signature"),
        ({"mandate": b""}, "proof"),
        ({"authority": b"other.example"}, "authority"),
        ({"content_digest": b""}, "digest"),
        ({"signature": b""}, "proof"),
    ],
)
def test_a_proof_for_one_message_fails_for_another(
    world: ProofWorld, change: dict[str, bytes], step: str
) -> None:
    honest = world.signed()
    assert refused(world.verifier, replace(honest, **change)) == step
    world.verifier.verify(honest)


@pytest.mark.requirement("PROOF-03")
def test_a_mandate_added_to_a_message_signed_without_one_is_refused(world: ProofWorld) -> None:
    assert refused(world.verifier, replace(world.signed(request(mandate="")), mandate=b"m-1")) == "proof"


@pytest.mark.requirement("PROOF-03")
def test_body_and_digest_changed_together_are_refused_by_the_signature(world: ProofWorld) -> None:
    other = world.signed(request(body=b"{}"))
    changed = replace(world.signed(), body=other.body, content_digest=other.content_digest)
    assert refused(world.verifier, changed) == "signature"


@pytest.mark.requirement("PROOF-03")
def test_a_message_made_for_another_server_cannot_be_passed_on(world: ProofWorld) -> None:
    assert refused(world.verifier, world.signed(request(host="evil.example"))) == "authority"
    assert refused(world.verifier, world.signed(request(host="gateway.example"))) == "authority"


def test_created_may_be_off_by_the_skew_and_no_more(world: ProofWorld) -> None:
    now = world.clock.now() // 1000
    for offset in (-60, 60):
        world.verifier.verify(world.signed(created=now + offset))
    for offset in (-61, 61, -86_400, 86_400, 10**9):
        assert refused(world.verifier, world.signed(created=now + offset)) == "time"


@pytest.mark.requirement("PROOF-02")
def test_a_message_from_before_a_restart_is_refused_after_it(world: ProofWorld) -> None:
    message = world.signed()
    ahead = world.signed(created=world.clock.now() // 1000 + 60)
    world.verifier.verify(message)
    world.verifier.verify(ahead)
    restarted = world.restarted()
    for seconds in (0, 1, 30, 60, 59):
        world.clock.advance(seconds)
        assert refused(restarted, message) == "epoch"
        assert refused(restarted, ahead) == "epoch"
    assert restarted.epoch in restarted.challenge("epoch")
    assert refused(restarted, world.signed(key=new_key(9))) == "key", "a stranger is not told the epoch"
    restarted.verify(world.signed(nonce=world.nonce(restarted.epoch)))


@pytest.mark.requirement("PROOF-02")
@pytest.mark.parametrize("back", [-1, -60, -121, -600, -86_400])
def test_a_clock_that_is_set_back_revives_no_message(world: ProofWorld, back: float) -> None:
    message = world.signed()
    world.verifier.verify(message)
    world.clock.advance(130)
    # Another second's message makes the memory forget what is past.
    world.verifier.verify(world.signed())
    world.clock.jump(-130)
    assert refused(world.verifier, message) == "epoch"
    world.clock.jump(back)
    assert refused(world.verifier, message) == "epoch"


@pytest.mark.requirement("PROOF-02")
def test_a_clock_that_leaps_ahead_and_back_revives_no_message(world: ProofWorld) -> None:
    message = world.signed()
    world.verifier.verify(message)
    world.clock.jump(7200)
    for _ in range(3):
        world.clock.advance(121)
        world.verifier.verify(world.signed())
    world.clock.jump(-7200 - 363)
    assert refused(world.verifier, message) == "epoch"


@pytest.mark.requirement("PROOF-02")
@pytest.mark.parametrize("seconds", [5, 500])
def test_a_clock_that_was_ahead_and_is_right_again_shuts_nobody_out(world: ProofWorld, seconds: int) -> None:
    world.verifier.verify(world.signed())
    world.clock.jump(3_600)
    ahead = world.signed()
    world.verifier.verify(ahead)
    world.clock.advance(seconds)
    world.clock.jump(-3_600)
    for _ in range(4):
        world.clock.advance(61)
        message = world.signed()
        before = world.verifier.epoch
        with suppress(Unverified):
            world.verifier.verify(message)
            continue
        assert world.verifier.epoch != before
        world.verifier.verify(world.signed())
    world.clock.advance(3_600 - 244 - seconds)
    assert refused(world.verifier, ahead) == "epoch", (
        "what it signed then does not count again when its time comes"
    )


def test_a_nonce_is_never_forgotten_inside_its_window(world: ProofWorld) -> None:
    message = world.signed(created=world.clock.now() // 1000 + 60)
    world.verifier.verify(message)
    for _ in range(120):
        world.clock.advance(1)
        world.verifier.verify(world.signed())
        assert refused(world.verifier, message) == "replay"


@pytest.mark.requirement("PROOF-09")
def test_a_full_memory_refuses_its_own_agent_alone_and_empties_with_time(world: ProofWorld) -> None:
    verifier = world.restarted(nonces_per_agent_max=10)

    def signed(**more: float) -> SignedRequest:
        return world.signed(nonce=world.nonce(verifier.epoch), **more)

    first = signed()
    verifier.verify(first)
    for _ in range(9):
        verifier.verify(signed())
    assert refused(verifier, signed()) == "quota"
    assert refused(verifier, first) == "replay"
    verifier.verify(world.signed(key=world.pay_key, nonce=world.nonce(verifier.epoch)))
    world.clock.advance(122)
    verifier.verify(signed())
    assert refused(verifier, first) == "time"


@pytest.mark.requirement("PROOF-09")
def test_forged_messages_use_up_nothing(world: ProofWorld) -> None:
    verifier = world.restarted(nonces_per_agent_max=1)
    honest = world.signed(nonce=world.nonce(verifier.epoch))
    for _ in range(5):
        forged = replace(honest, signature=b"answerable=:" + b"A" * 86 + b"==:")
        assert refused(verifier, forged) == "signature"
    verifier.verify(honest)


def test_an_unknown_key_is_refused(world: ProofWorld) -> None:
    assert refused(world.verifier, world.signed(key=new_key("stranger"))) == "key"


@pytest.mark.requirement("PROOF-04")
def test_a_key_is_used_with_its_own_algorithm_only(world: ProofWorld) -> None:
    for key, own, other in (
        (world.crm_key, b'alg="ed25519"', b'alg="ecdsa-p256-sha256"'),
        (world.pay_key, b'alg="ecdsa-p256-sha256"', b'alg="ed25519"'),
    ):
        message = world.signed(key=key)
        assert refused(
            world.verifier, replace(message, signature_input=message.signature_input.replace(own, other))
        ) == ("key")


@pytest.mark.requirement("PROOF-04")
def test_a_mac_under_a_public_key_is_refused(world: ProofWorld) -> None:
    session = world.session()
    thumbprint = world.crm_key.public.thumbprint
    with pytest.raises(Unverified):
        session.proved(1, session=thumbprint)
    honest = session.proved(1)
    named = honest.signature_input.replace(session.answer.session.encode(), thumbprint.encode())
    assert refused(world.verifier, replace(honest, signature_input=named)) == "proof"


@pytest.mark.parametrize("status", ["suspended", "retired"])
def test_an_agent_that_is_not_active_is_refused_whatever_it_proves(
    world: ProofWorld, status: Literal["suspended", "retired"]
) -> None:
    session = world.session()
    world.registry.swap(replace(world.crm, status=status), world.pay)
    assert refused(world.verifier, world.signed()) == "agent"
    assert refused(world.verifier, session.proved(1)) == "session"
    assert refused(world.verifier, request(), unix(1001)) == "agent"
    with pytest.raises(Unverified) as caught:
        world.session()
    assert caught.value.step == "agent"
    world.verifier.verify(world.signed(key=world.pay_key))


def test_a_key_that_two_agents_claim_belongs_to_neither(world: ProofWorld) -> None:
    world.registry.swap(world.crm, agent("twin", world.crm_key))
    assert refused(world.verifier, world.signed()) == "key"


def fields(message: SignedRequest) -> list[tuple[bytes, bytes]]:
    return [
        (b"host", message.authority),
        (b"answerable-mandate", message.mandate),
        (b"content-digest", message.content_digest),
        (b"signature-input", message.signature_input),
        (b"signature", message.signature),
        (b"accept", b"*/*"),
    ]


@pytest.mark.requirement("PROOF-01")
@pytest.mark.parametrize("name", [b"authorization", b"proxy-authorization"])
@pytest.mark.parametrize("value", [b"Bearer abc", b"Basic YTpi", b"", b"DPoP x"])
def test_any_authorization_field_is_refused_even_beside_a_good_proof(
    world: ProofWorld, name: bytes, value: bytes
) -> None:
    message = world.signed()
    with pytest.raises(Unverified) as caught:
        request_from_http("POST", b"/mcp", [*fields(message), (name, value)], message.body)
    assert caught.value.step == "credential"
    assert request_from_http("POST", b"/mcp", fields(message), message.body) == message


@pytest.mark.parametrize("position", range(5))
def test_a_doubled_field_is_refused_even_with_equal_values(world: ProofWorld, position: int) -> None:
    message = world.signed()
    doubled = [*fields(message), fields(message)[position]]
    with pytest.raises(Unverified) as caught:
        request_from_http("POST", b"/mcp", doubled, message.body)
    assert caught.value.step == "proof"


@pytest.mark.requirement("PROOF-11")
def test_a_stranger_learns_the_step_that_failed_and_no_more(world: ProofWorld) -> None:
    assert refused(world.verifier, request()) == "proof"
    assert refused(world.verifier, request(), Channel(connection=1, sequence=1)) == "proof"
    with pytest.raises(Unverified) as caught:
        world.verifier.verify(world.signed(key=new_key("stranger")))
    assert caught.value.code == "proof.key"
    assert caught.value.message.startswith(f"no agent has key {caught.value.key}: ")
