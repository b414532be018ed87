"""Laws of authorities: less is handed on, never more, and what is not understood is not leave to act."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from answerable.core.canonical import encode, parse
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.mandate.attenuation import meet, narrower
from answerable.core.mandate.authority import Authority, authority_in, authority_of, detail_of
from answerable.core.mandate.caveat import (
    SENSITIVITIES,
    ArgumentAtMost,
    ArgumentEquals,
    DestinationIn,
    EnvironmentIs,
    KindIn,
    ResourceIn,
    SensitivityAtMost,
    SystemIn,
)
from answerable.core.mandate.constraint import (
    Unknown,
    from_wire,
    met,
    to_wire,
)
from answerable.core.mandate.mandate import Grant, MandateId, MandateTerms, shortfall
from answerable.core.mandate.token import signed
from answerable.errors import Malformed
from answerable.testing.clock import START
from tests.worlds.delegation import (
    FACT_KEYS,
    NAMES,
    NUMBERS,
    RESERVED,
    SCALARS,
    attempts,
    authorities,
    constraints,
    permits,
    tightened,
)


@pytest.mark.requirement("DELEG-01")
@given(authorities(), authorities(), attempts(), RESERVED)
def test_what_a_narrower_authority_permits_the_wider_one_permits(one, other, attempt, reserved):
    if narrower(one, other) is None and permits(one, attempt, reserved):
        assert permits(other, attempt, reserved)


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
