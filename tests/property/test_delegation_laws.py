"""Laws of chains: a chain is one at every length, and nothing else is one."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.delegation_chain import chain_failure
from answerable.core.mandate.hop_signing import HopTerms
from answerable.core.mandate.hop_token import Mission, read_hop
from answerable.errors import Malformed, Unverified
from answerable.testing.delegation import (
    AGENTS,
    ISSUER,
    NOW,
    SERVICE,
    below,
    claims_in,
    forged,
    hop,
    online,
    root,
    verify,
)
from tests.worlds.delegation import (
    RESERVED,
    attempts,
    authorities,
    permits,
    tightened,
)

HOLDERS = ("orchestrator", "researcher", "writer", "clerk")


@st.composite
def chains(draw: st.DrawFn, *, most: int = 4) -> tuple[str, ...]:
    """Chains of agents that hand on as they may: each by the token service or by its own key."""
    authority = draw(authorities(constraints_max=2))
    tokens: tuple[str, ...] = (root(authority),)
    for depth in range(1, draw(st.integers(1, most))):
        authority = draw(tightened(authority))
        terms: HopTerms = hop(HOLDERS[depth], authority, jti=f"hop-{depth}", seconds=300 - 10 * depth)
        by_service = draw(st.booleans())
        tokens += (online(tokens, terms) if by_service else below(tokens, HOLDERS[depth - 1], terms),)
    return tokens


def refused(tokens: tuple[str, ...]) -> str:
    with pytest.raises((Malformed, Unverified)) as raised:
        verify(tokens)
    return raised.value.code


@pytest.mark.requirement("DELEG-05")
@given(chains())
def test_a_chain_verifies_at_every_length_and_each_beginning_is_the_same(tokens):
    whole = verify(tokens)
    for length in range(1, len(tokens) + 1):
        assert verify(tokens[:length]).hops == whole.hops[:length]


@pytest.mark.requirement("DELEG-05")
@given(chains(), attempts(), RESERVED)
def test_what_a_chain_permits_every_hop_of_it_permits(tokens, attempt, reserved):
    chain = verify(tokens)
    refusal = chain_failure(chain, attempt, reserved=reserved)
    assert (refusal is None) is all(permits(one.authority, attempt, reserved) for one in chain.hops)
    assert (refusal is None) is permits(chain.leaf.authority, attempt, reserved)
    if refusal is not None:
        above = chain.hops[: refusal[0].depth]
        assert all(permits(one.authority, attempt, reserved) for one in above)


@pytest.mark.requirement("DELEG-05")
@given(chains(), st.data())
def test_a_chain_with_a_hop_taken_out_moved_or_doubled_is_none(tokens, data):
    assume(len(tokens) > 1)
    place = data.draw(st.integers(0, len(tokens) - 2))
    refused(tokens[:place] + tokens[place + 1 :])
    refused((*tokens[: place + 1], *tokens[place:]))
    other = data.draw(st.integers(0, len(tokens) - 1))
    assume(other != place)
    moved = list(tokens)
    moved[place], moved[other] = moved[other], moved[place]
    refused(tuple(moved))


@pytest.mark.requirement("DELEG-05")
@given(chains(), chains(), st.data())
def test_a_hop_is_not_grafted_onto_another_chain(tokens, others, data):
    assume(len(tokens) > 1)
    place = data.draw(st.integers(1, len(tokens) - 1))
    assume(others[:place] != tokens[:place])
    refused((*others[:place], *tokens[place:]))


@pytest.mark.requirement("DELEG-05")
@given(chains(), st.data())
def test_a_hop_that_was_signed_anew_or_changed_in_one_character_ends_the_chain(tokens, data):
    place = data.draw(st.integers(0, len(tokens) - 1))
    stranger = data.draw(st.sampled_from(["stranger", "writer", "clerk"]))
    anew = forged(claims_in(tokens[place]), AGENTS[stranger])
    if AGENTS[stranger].public.thumbprint not in read_hop(tokens[place]).issuer:
        refused((*tokens[:place], anew, *tokens[place + 1 :]))
    at = data.draw(st.integers(0, len(tokens[place]) - 1))
    letter = data.draw(st.sampled_from("AZaz09-_."))
    assume(tokens[place][at] != letter)
    changed = tokens[place][:at] + letter + tokens[place][at + 1 :]
    refused((*tokens[:place], changed, *tokens[place + 1 :]))


@pytest.mark.requirement("DELEG-05")
@given(chains(), st.data())
def test_a_parent_that_is_issued_anew_takes_no_child_with_it(tokens, data):
    """Even by the token service itself, and even when it says the same: a child is bound to the one token above it."""
    assume(len(tokens) > 1)
    claims = {**claims_in(tokens[0]), "jti": data.draw(st.sampled_from(["a", "b"]))}
    refused((forged(claims, SERVICE), *tokens[1:]))


@pytest.mark.requirement("DELEG-03")
@given(authorities(), st.text(min_size=1, max_size=8).filter(str.isprintable), st.integers(1, 200))
def test_a_hop_survives_the_wire(authority, name, seconds):
    mission = Mission(id=name, authority_hash="sha-256:" + "B" * 43)
    token = root(authority, jti=name, expires_at=UnixMillis(NOW + seconds * 1000))
    read = read_hop(token)
    assert read.authority == authority
    assert (read.jti, read.issuer, read.agent) == (name, ISSUER, "orchestrator")
    assert read.expires_at - read.issued_at == seconds * 1000
    assert read.mission != mission
