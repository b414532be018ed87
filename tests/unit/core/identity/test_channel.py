"""What a connection says of who is at its other end."""

from __future__ import annotations

import pytest

from answerable.core.identity.proof.channel import Channel, PeerCredentials

PEER = PeerCredentials(pid=1, uid=2, gid=3)
CERTIFICATE = "ab" * 32


@pytest.mark.parametrize(
    ("peer", "certificate", "is_bound"),
    [(None, CERTIFICATE, True), (None, "", False), (PEER, "", False), (PEER, CERTIFICATE, False)],
)
def test_a_certificate_binds_where_there_is_one_and_no_unix_peer(peer, certificate, is_bound):
    channel = Channel(connection=1, sequence=1, peer=peer, certificate=certificate)
    assert bool(channel.certificate_thumbprint) is is_bound
