"""The judge inside the handshake: no bytes of ours before its word, none after its no."""

from __future__ import annotations

import ssl

import pytest

from answerable.adapters.bundle_http.serving import LiveTLS
from answerable.adapters.bundle_http.svid_handshake import svid_context
from tests.worlds.federation import Authority


def shaken(client, server):
    """Both ends through a handshake in memory. Raises ssl.SSLError of the client."""
    ways = [ssl.MemoryBIO() for _ in range(4)]
    ours = client.wrap_bio(ways[0], ways[1])
    theirs = server.wrap_bio(ways[2], ways[3], server_side=True)
    for _ in range(10):
        done = 0
        for end in (ours, theirs):
            try:
                end.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                pass
            ways[2].write(ways[1].read())
            ways[0].write(ways[3].read())
        if done == 2:
            return ours
    raise AssertionError("the handshake did not end")


def live(authority):
    tls, leaf = LiveTLS(), authority.svid()
    tls.use_svid((*leaf.chain, authority.der), leaf.pkcs8)
    return tls, (*leaf.chain, authority.der)


def test_the_judge_sees_the_whole_chain_as_it_was_sent():
    seen: list[tuple[bytes, ...]] = []
    tls, chain = live(Authority("a.example"))
    assert shaken(svid_context(seen.append), tls.context).version() == "TLSv1.3"
    assert seen == [chain]


def test_the_no_of_the_judge_ends_the_handshake():
    def judge(_chain):
        raise ssl.SSLError("no")

    tls, _ = live(Authority("a.example"))
    with pytest.raises(ssl.SSLError):
        shaken(svid_context(judge), tls.context)


def test_a_chain_that_is_too_long_never_comes_before_the_judge():
    seen: list[tuple[bytes, ...]] = []
    authority = Authority("a.example")
    tls, leaf = LiveTLS(), authority.svid()
    tls.use_svid((*leaf.chain, *[authority.der] * 10), leaf.pkcs8)
    with pytest.raises(ssl.SSLError):
        shaken(svid_context(seen.append), tls.context)
    assert seen == []


def test_each_handshake_gets_the_newest_certificate():
    seen: list[tuple[bytes, ...]] = []
    tls, first = live(Authority("a.example"))
    shaken(svid_context(seen.append), tls.context)
    leaf = Authority("b.example").svid()
    tls.use_svid(leaf.chain, leaf.pkcs8)
    shaken(svid_context(seen.append), tls.context)
    assert seen == [first, leaf.chain]
