"""Laws of delegation: less is handed on, never more; a chain is a chain at every length, and nothing else is one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from answerable.core.canonical import encode, parse
from answerable.core.identity.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.mandate.attenuation import meet, narrower
from answerable.core.mandate.authority import Authority, authority_in, authority_of, detail_of, failure
from answerable.core.mandate.caveat import (
    SENSITIVITIES,
    ArgumentAtMost,
    ArgumentEquals,
    Attempt,
    DestinationIn,
    EnvironmentIs,
    KindIn,
    ResourceIn,
    SensitivityAtMost,
    SystemIn,
)
from answerable.core.mandate.constraint import (
    TYPES,
    Constraint,
    Max,
    MaxLifetime,
    MaxSubtree,
    Min,
    NotOneOf,
    OneOf,
    Prefix,
    Rank,
    Unknown,
    from_wire,
    met,
    to_wire,
)
from answerable.core.mandate.delegation_chain import chain_failure
from answerable.core.mandate.hop_signing import HopTerms
from answerable.core.mandate.hop_token import Mission, read_hop
from answerable.core.mandate.mandate import Grant, MandateId, MandateTerms, shortfall
from answerable.core.mandate.resource_name import trick_in
from answerable.core.mandate.token import signed
from answerable.errors import Malformed, Unverified
from answerable.testing.clock import START
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

# Small worlds, so that what is drawn meets what is bounded.
CAPABILITIES = ("crm.read", "crm.refund", "crm.admin.drop", "files.read", "ping", "User.Read")
SCOPES = st.sampled_from([*CAPABILITIES, "crm.*", "crm.admin.*", "files.*"])
NAMES = st.sampled_from(
    [
        "a",
        "a/b",
        "a/b/c",
        "a/bc",
        "A/b",
        "a/../b",
        "a/%2e%2e/b",
        "a/b\u200b",
        "a/e\u0301",
        "a/é",
        "b",
        "а/b",
        "",
        "a/b ",
    ]
)
WORDS = st.sampled_from(["a", "b", "production", "staging", "email:a@x.test", "email:x.test", "host:x.test"])
NUMBERS = st.sampled_from([-3, -1, 0, 1, 2, 5, 9])
BOUNDS = st.one_of(NUMBERS, st.sampled_from([0.5, 1.5, -0.5]))
SCALARS = st.one_of(NAMES, WORDS, NUMBERS, st.booleans())
FACT_KEYS = st.sampled_from(
    [
        "resource:crm.read",
        "resource:files.read",
        "argument:crm.refund:n",
        "argument:crm.refund:a:b",
        "environment",
        "environment:crm.read",
        "sensitivity",
        "kind",
        "system",
        "destination",
        "destination:crm.refund",
        "calls",
        "money:EUR",
        "tempo",
        "resource",
        "resource:",
        "calls:crm.read",
        "environment:a:b",
    ]
)
ORDERS = st.sampled_from([("public", "internal", "confidential"), ("public", "confidential"), ("a", "b")])


@st.composite
def constraints(draw: st.DrawFn) -> Constraint:
    key = draw(FACT_KEYS)
    kind = draw(st.sampled_from([*TYPES, "novel"]))
    members = tuple({(type(one), one): one for one in draw(st.lists(SCALARS, max_size=4))}.values())
    match kind:
        case "max":
            return Max(key=key, bound=draw(BOUNDS))
        case "min":
            return Min(key=key, bound=draw(BOUNDS))
        case "one_of":
            return OneOf(key=key, members=members)
        case "not_one_of":
            return NotOneOf(key=key, members=members)
        case "prefix":
            return Prefix(key=key, prefix=draw(NAMES.filter(lambda one: one != "" and trick_in(one) is None)))
        case "rank":
            order = draw(ORDERS)
            return Rank(key=key, rank=draw(st.sampled_from(order)), order=order)
        case "max_lifetime":
            return MaxLifetime(key=key, bound=abs(draw(BOUNDS)))
        case "max_subtree":
            return MaxSubtree(key=key, bound=abs(draw(BOUNDS)))
    read = from_wire({"key": key, "novel": draw(NUMBERS)})
    assert isinstance(read, Unknown)
    return read


@st.composite
def authorities(draw: st.DrawFn, *, constraints_max: int = 3) -> Authority:
    found = draw(st.lists(constraints(), max_size=constraints_max))
    return Authority(
        scopes=tuple(draw(st.lists(SCOPES, min_size=1, max_size=3, unique=True))),
        constraints=tuple({(one.key, one.type): one for one in found}.values()),
    )


@st.composite
def attempts(draw: st.DrawFn) -> Attempt:
    arguments: dict[str, Any] = {}
    for name in ("n", "a:b"):
        if draw(st.booleans()):
            arguments[name] = draw(st.one_of(SCALARS, st.sampled_from([0.5, None, [1], {"n": 1}])))
    return Attempt(
        capability=draw(st.sampled_from(CAPABILITIES)),
        environment=draw(st.sampled_from(["production", "staging", ""])),
        resource_type="Case",
        resource_id=draw(NAMES),
        arguments=arguments,
        kind=draw(st.sampled_from(["read", "write", ""])),
        server=draw(st.sampled_from(["a", "b", ""])),
        sensitivity=draw(st.sampled_from([*SENSITIVITIES, ""])),
        destination_type=draw(st.sampled_from(["email", "host", "name", ""])),
        destinations=tuple(draw(st.lists(st.sampled_from(["a@x.test", "b@y.test", "x.test"]), max_size=2))),
    )


RESERVED = st.sampled_from([(), ("calls",), ("calls", "money:EUR")])


def permits(authority: Authority, attempt: Attempt, reserved: tuple[str, ...] = ()) -> bool:
    return failure(authority, attempt, reserved=reserved) is None


@pytest.mark.requirement("DELEG-01")
@given(authorities(), authorities(), attempts(), RESERVED)
def test_what_a_narrower_authority_permits_the_wider_one_permits(one, other, attempt, reserved):
    if narrower(one, other) is None and permits(one, attempt, reserved):
        assert permits(other, attempt, reserved)


@st.composite
def tightened(draw: st.DrawFn, parent: Authority) -> Authority:
    """Something at or below a parent, more often than chance alone would have it."""
    asked = draw(authorities())
    bounds = {(one.key, one.type): one for one in parent.constraints}
    for one in asked.constraints:
        both = met(bounds.get((one.key, one.type), one), one)
        bounds[(one.key, one.type)] = both if both is not None else bounds[(one.key, one.type)]
    scopes = draw(st.lists(st.sampled_from(parent.scopes), min_size=1, unique=True))
    return Authority(scopes=tuple(scopes), constraints=tuple(bounds.values()))


@pytest.mark.requirement("DELEG-01")
@given(st.data(), authorities(), attempts(), RESERVED)
def test_a_child_that_was_tightened_is_narrower_and_permits_nothing_its_parent_denies(
    data, parent, attempt, reserved
):
    child = data.draw(tightened(parent))
    assert narrower(child, parent) is None
    if permits(child, attempt, reserved):
        assert permits(parent, attempt, reserved)


@pytest.mark.requirement("DELEG-01")
@given(st.data(), authorities())
def test_narrower_is_an_order(data, first):
    assert narrower(first, first) is None
    second = data.draw(tightened(first))
    third = data.draw(tightened(second))
    assert narrower(third, first) is None
    if narrower(first, second) is None:
        # Two that are each narrower than the other permit the same.
        attempt = data.draw(attempts())
        assert permits(first, attempt) == permits(second, attempt)


@pytest.mark.requirement("DELEG-01")
@given(authorities(), authorities(), attempts(), RESERVED)
def test_a_meet_exceeds_neither_side(one, other, attempt, reserved):
    try:
        both = meet(one, other)
    except Malformed as error:
        assert error.code == "delegation.nothing_in_common"  # noqa: PT017
        return
    assert narrower(both, one) is None
    assert narrower(both, other) is None
    if permits(both, attempt, reserved):
        assert permits(one, attempt, reserved)
        assert permits(other, attempt, reserved)


@pytest.mark.requirement("DELEG-01")
@given(authorities(constraints_max=2), authorities(constraints_max=2), attempts(), RESERVED)
def test_a_meet_takes_nothing_that_both_sides_permit(one, other, attempt, reserved):
    if permits(one, attempt, reserved) and permits(other, attempt, reserved):
        try:
            both = meet(one, other)
        except Malformed:
            # Two prefixes or ranks of different orders are never joined, whatever they have in common.
            pairs = {(bound.key, bound.type): bound for bound in one.constraints}
            assert any(
                met(pairs[(bound.key, bound.type)], bound) is None
                for bound in other.constraints
                if (bound.key, bound.type) in pairs
            )
        else:
            assert permits(both, attempt, reserved)


@pytest.mark.requirement("DELEG-02")
@given(authorities(), attempts(), FACT_KEYS, NUMBERS)
def test_a_bound_of_a_type_that_is_not_known_refuses_everything(authority, attempt, key, units):
    unknown = from_wire({"key": key, "units": units})
    bounds = tuple(one for one in authority.constraints if (one.key, one.type) != (key, "units"))
    assert not permits(replace(authority, constraints=(*bounds, unknown)), attempt, ("calls", "money:EUR"))


@pytest.mark.requirement("DELEG-02")
@given(
    authorities(),
    attempts(),
    st.sampled_from(
        ["tempo", "resource", "resource:", "argument:crm.read", "argument:crm.read:", "environment:a:b"]
    ),
    constraints(),
)
def test_a_bound_on_a_key_that_is_not_known_refuses_everything(authority, attempt, key, bound):
    assume(not isinstance(bound, Unknown))
    strange = replace(bound, key=key)
    bounds = tuple(one for one in authority.constraints if (one.key, one.type) != (key, bound.type))
    reserved = ("calls", "money:EUR", key)
    assert not permits(replace(authority, constraints=(*bounds, strange)), attempt, reserved)


@pytest.mark.requirement("DELEG-02")
@given(constraints(), st.sampled_from([None, 0.5, [], {}, [1]]))
def test_a_fact_that_is_not_there_or_of_no_kind_passes_nothing(bound, fact):
    assert bound.failure(fact) is not None


@pytest.mark.requirement("DELEG-03")
@given(authorities())
def test_an_authority_survives_the_wire_and_has_one_spelling(authority):
    wire = encode(detail_of(authority))
    assert authority_in(parse(wire)) == authority
    assert encode(detail_of(authority_in(parse(wire)))) == wire
    shuffled = Authority(scopes=authority.scopes[::-1], constraints=authority.constraints[::-1])
    assert encode(detail_of(shuffled)) == wire


@pytest.mark.requirement("DELEG-03")
@given(constraints())
def test_a_constraint_survives_the_wire(bound):
    assert from_wire(to_wire(bound)) == bound


CAVEATS = st.one_of(
    st.lists(NAMES, min_size=1, max_size=3).map(lambda ids: ResourceIn(ids=tuple(ids))),
    st.tuples(st.sampled_from(["n", "a:b"]), SCALARS).map(lambda p: ArgumentEquals(name=p[0], value=p[1])),
    st.tuples(st.sampled_from(["n", "a:b"]), NUMBERS).map(lambda p: ArgumentAtMost(name=p[0], maximum=p[1])),
    st.sampled_from(["production", "staging"]).map(lambda name: EnvironmentIs(environment=name)),
    st.sampled_from(
        [
            DestinationIn(type="email", allowed=("x.test",)),
            DestinationIn(type="email", allowed=("a@x.test", "y.test")),
            DestinationIn(type="host", allowed=("x.test",)),
        ]
    ),
    st.sampled_from(SENSITIVITIES).map(lambda ceiling: SensitivityAtMost(ceiling=ceiling)),
    st.sampled_from([KindIn(kinds=("read",)), KindIn(kinds=("read", "write")), SystemIn(servers=("a",))]),
)


@st.composite
def mandates(draw: st.DrawFn) -> MandateTerms:
    names = draw(
        st.lists(st.sampled_from(["crm.read", "crm.refund", "files.read", "ping"]), min_size=1, max_size=3)
    )
    return MandateTerms(
        id=MandateId("m-1"),
        principal=PrincipalId("alice"),
        agent=AgentId("scout"),
        use_case="support",
        purpose="Answer a case",
        grants=tuple(
            Grant(capability=name, caveats=tuple(draw(st.lists(CAVEATS, max_size=2)))) for name in names
        ),
        caveats=tuple(draw(st.lists(CAVEATS, max_size=2))),
        calls_max=draw(st.integers(1, 9)),
        not_before=UnixMillis(START),
        expires_at=UnixMillis(START + 1000),
        budgets=draw(st.sampled_from([(), (("rows", 7),)])),
    )


@pytest.mark.requirement("DELEG-04")
@given(mandates(), attempts())
def test_the_authority_of_a_mandate_says_what_its_terms_say(terms, attempt):
    """Both ways: it permits nothing that they refuse, and refuses nothing that they permit."""
    names = [grant.capability for grant in terms.grants]
    if len(set(names)) < len(names):
        with pytest.raises(Malformed) as raised:
            authority_of(terms)
        assert raised.value.code == "delegation.ambiguous_grant"
        return
    authority = authority_of(terms)
    by_terms = shortfall(
        signed(terms, "token"), attempt=attempt, state="open", calls_used=0, now=UnixMillis(START)
    )
    assert permits(authority, attempt, ("calls", "rows")) is (by_terms is None)
    assert not permits(authority, attempt)
    if terms.budgets:
        assert not permits(authority, attempt, ("calls",)), (
            "rows that nobody counts are not there to be spent"
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
