"""What a connection proves, and what it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.identity.proof.channel import Channel
from answerable.errors import Malformed
from answerable.flows.tokens.proof_limits import ProofLimits
from tests.worlds.proof import AUTHORITY, ProofWorld, agent, refused, request, unix


@pytest.fixture
def world() -> ProofWorld:
    return ProofWorld()


@pytest.mark.requirement("PROOF-08")
def test_a_unix_peer_and_a_certificate_prove_their_agent_with_digest_and_sequence(world: ProofWorld) -> None:
    message = request()
    peer = world.verifier.verify(message, unix(1001, connection=4, sequence=9))
    assert (peer.agent, peer.proof, peer.sequence) == ("crm", "unix_peer", 9)
    assert peer.binding == "unix:uid=1001,gid=1001,pid=7,started=99,connection=4"
    certified = world.verifier.verify(message, Channel(connection=5, sequence=1, certificate="c" * 64))
    assert (certified.agent, certified.proof) == ("crm", "mtls")
    assert (
        certified.message_digest
        == peer.message_digest
        == world.verifier.verify(world.signed()).message_digest
    )


def test_a_channel_tells_the_user_id_only_where_the_kernel_does() -> None:
    assert (unix(1001).uid, Channel(connection=1, sequence=1, certificate="c").uid) == (1001, None)


@pytest.mark.requirement("PROOF-08")
def test_a_channel_that_belongs_to_nobody_or_to_two_is_refused(world: ProofWorld) -> None:
    world.registry.swap(world.crm, agent("twin", uids=(1001,)))
    assert refused(world.verifier, request(), unix(1001)) == "channel"
    assert refused(world.verifier, request(), unix(0)) == "channel"
    assert (
        refused(world.verifier, request(), Channel(connection=1, sequence=1, certificate="d" * 64))
        == "channel"
    )
    assert refused(world.verifier, request(), Channel(connection=1, sequence=1)) == "proof"


@pytest.mark.requirement("PROOF-08")
def test_a_message_of_a_connection_counts_once(world: ProofWorld) -> None:
    world.verifier.verify(request(), unix(1001, sequence=1))
    world.verifier.verify(request(), unix(1001, sequence=3))
    for sequence in (1, 2, 3, 0):
        assert refused(world.verifier, request(), unix(1001, sequence=sequence)) == "replay"
    world.verifier.verify(request(), unix(1001, connection=2, sequence=1))


@pytest.mark.requirement("PROOF-08")
def test_a_forgotten_connection_is_refused_and_a_new_one_is_not(world: ProofWorld) -> None:
    verifier = world.restarted(connections_max=2)
    for connection in (1, 2, 3):
        verifier.verify(request(), unix(1001, connection=connection))
    assert refused(verifier, request(), unix(1001, connection=1, sequence=2)) == "replay"
    verifier.verify(request(), unix(1001, connection=2, sequence=2))
    verifier.verify(request(), unix(1001, connection=4))


def test_a_bad_proof_is_not_excused_by_a_good_channel(world: ProofWorld) -> None:
    broken = replace(world.signed(), body=b"{}")
    assert refused(world.verifier, broken, unix(1001)) == "digest"
    # And a good one speaks for its own agent, whoever holds the connection.
    assert world.verifier.verify(world.signed(key=world.pay_key), unix(1001)).agent == "pay"


@pytest.mark.parametrize(
    "wrong",
    [{"session_seconds": 0}, {"session_seconds": 3601}, {"skew_seconds_max": 0}, {"nonces_per_agent_max": 0}],
)
def test_limits_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(Malformed):
        ProofLimits(authorities=frozenset({AUTHORITY}), **wrong)
