"""Attacks on sessions and their MACs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from answerable.core.identity.proof.session import SESSION_TARGET, WINDOW, encode_offer
from answerable.errors import Malformed, Unverified
from tests.worlds.proof import ProofWorld, agent, refused, request


@pytest.fixture
def world() -> ProofWorld:
    return ProofWorld()


@pytest.mark.requirement("PROOF-05")
def test_a_session_proves_its_agent_message_by_message(world: ProofWorld) -> None:
    session = world.session()
    assert session.opened.caller.proof == "signature"
    caller = world.verifier.verify(session.proved(1))
    assert (caller.agent, caller.proof, caller.sequence) == ("crm", "session_mac", 1)
    assert caller.binding == f"session:{session.answer.session}"


@pytest.mark.requirement("PROOF-05")
def test_sequence_numbers_may_overtake_each_other_and_count_once(world: ProofWorld) -> None:
    session = world.session()
    for sequence in (3, 1, 2, 700, 10):
        world.verifier.verify(session.proved(sequence))
    for sequence in (3, 1, 2, 700, 10):
        assert refused(world.verifier, session.proved(sequence)) == "replay"
    world.verifier.verify(session.proved(700 + WINDOW))
    assert refused(world.verifier, session.proved(700)) == "replay"
    assert refused(world.verifier, session.proved(4)) == "replay"
    world.verifier.verify(session.proved(701))


@pytest.mark.requirement("PROOF-02")
def test_of_64_racing_copies_of_a_mac_exactly_one_wins(world: ProofWorld) -> None:
    session = world.session()
    message = session.proved(5)

    def attempt(_: int) -> bool:
        try:
            world.verifier.verify(message)
        except Unverified:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(attempt, range(64))) == 1


@pytest.mark.requirement("PROOF-05")
def test_a_mac_whose_sequence_was_changed_is_refused_and_uses_up_nothing(world: ProofWorld) -> None:
    session = world.session()
    honest = session.proved(1)
    changed = replace(honest, signature_input=honest.signature_input.replace(b'nonce="1"', b'nonce="999999"'))
    assert refused(world.verifier, changed) == "signature"
    world.verifier.verify(honest)


@pytest.mark.requirement("PROOF-05")
@pytest.mark.parametrize(
    ("change", "step"),
    [
        ({"method": b"GET"}, "signature"),
        ({"target": b"/other"}, "signature"),
        ({"body": b"{}"}, "digest"),
        ({"mandate": b"m-2"}, "signature"),
        ({"authority": b"other.example"}, "authority"),
    ],
)
def test_a_mac_for_one_message_fails_for_another(
    world: ProofWorld, change: dict[str, bytes], step: str
) -> None:
    assert refused(world.verifier, replace(world.session().proved(1), **change)) == step


@pytest.mark.requirement("PROOF-05")
def test_the_session_of_another_agent_cannot_be_named(world: ProofWorld) -> None:
    crm, pay = world.session(), world.session(key=world.pay_key)
    assert refused(world.verifier, crm.proved(1, session=pay.answer.session)) == "signature"
    assert refused(world.verifier, crm.proved(1, session="0" * 26)) == "session"


@pytest.mark.requirement("PROOF-05")
def test_a_session_ends_with_its_lifetime_whatever_the_wall_clock_says(world: ProofWorld) -> None:
    session = world.session()
    world.clock.advance(3599)
    world.verifier.verify(session.proved(1))
    world.clock.advance(1)
    world.clock.jump(-3000)
    assert refused(world.verifier, session.proved(2)) == "session"


def test_a_mac_that_was_held_back_is_refused(world: ProofWorld) -> None:
    session = world.session()
    message = session.proved(1)
    world.clock.advance(62)
    assert refused(world.verifier, message) == "time"


@pytest.mark.requirement("PROOF-05")
def test_a_session_ends_for_good_when_its_agent_is_suspended_or_its_key_removed(world: ProofWorld) -> None:
    session = world.session()
    for gone in (
        replace(world.crm, status="suspended"),
        replace(world.crm, keys=()),
        agent("else", world.crm_key),
    ):
        world.registry.swap(gone, world.pay)
        assert refused(world.verifier, session.proved(1)) == "session"
        world.registry.swap(world.crm, world.pay)
        assert refused(world.verifier, session.proved(1)) == "session"
        session = world.session()
        world.verifier.verify(session.proved(1))
        session = world.session()


@pytest.mark.requirement("PROOF-05")
def test_sessions_do_not_outlive_a_restart(world: ProofWorld) -> None:
    session = world.session()
    assert refused(world.restarted(), session.proved(1)) == "session"


@pytest.mark.requirement("PROOF-09")
def test_too_many_sessions_end_the_least_used_of_the_same_agent(world: ProofWorld) -> None:
    verifier = world.restarted(sessions_per_agent_max=3)
    other = world.session(key=world.pay_key, verifier=verifier)
    sessions = []
    for _ in range(3):
        sessions.append(world.session(verifier=verifier))
        world.clock.advance(1)
    verifier.verify(sessions[0].proved(1))
    world.clock.advance(1)
    sessions.append(world.session(verifier=verifier))
    assert refused(verifier, sessions[1].proved(1)) == "session"
    for session in (sessions[0], sessions[2], sessions[3], other):
        verifier.verify(session.proved(2))


def test_a_session_is_opened_only_by_a_signed_post_to_its_path(world: ProofWorld) -> None:
    offer = encode_offer(b"\x09" + b"\x00" * 31)
    target = SESSION_TARGET.decode()
    wrong = [
        world.signed(request(method="PUT", target=target, body=offer, mandate="")),
        world.signed(request(target="/mcp", body=offer, mandate="")),
        world.session().proved(1, request(target=target, body=offer, mandate="")),
    ]
    for message in wrong:
        with pytest.raises(Unverified):
            world.verifier.open_session(message)
    handshake = world.signed(request(target=target, body=offer, mandate=""))
    world.verifier.open_session(handshake)
    with pytest.raises(Unverified) as caught:
        world.verifier.open_session(handshake)
    assert caught.value.step == "replay"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"version":1}',
        b'{"version":2,"x25519":"CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}',
        b'{"version":true,"x25519":"CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}',
        b'{"version":1,"x25519":"CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","x25519":"AA"}',
        b'{"version":1,"x25519":"CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","more":1}',
        b'{"version":1,"x25519":7}',
        b'{"version":1,"x25519":"CQAA"}',
        encode_offer(bytes(32)),
        encode_offer(b"\x01" + bytes(31)),
    ],
)
def test_an_offer_that_is_malformed_or_of_low_order_opens_nothing(world: ProofWorld, body: bytes) -> None:
    with pytest.raises(Malformed):
        world.verifier.open_session(
            world.signed(request(target=SESSION_TARGET.decode(), body=body, mandate=""))
        )


@pytest.mark.requirement("PROOF-09")
def test_sessions_that_ended_take_no_room(world: ProofWorld) -> None:
    verifier = world.restarted(sessions_per_agent_max=1, session_seconds=10)
    ended = world.session(key=world.pay_key, verifier=verifier)
    world.clock.advance(10)
    current = world.session(verifier=verifier)
    assert refused(verifier, ended.proved(1)) == "session"
    verifier.verify(current.proved(1))


def test_a_session_goes_on_through_changes_of_the_registry_that_do_not_concern_it(world: ProofWorld) -> None:
    session = world.session()
    world.registry.swap(world.crm)
    world.verifier.verify(session.proved(1))
