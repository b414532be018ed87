"""Laws of places, data and handing on: the unknown is refused, what is added only restricts, one spelling is one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.mandate.caveat import (
    SENSITIVITIES,
    Attempt,
    DestinationIn,
    KindIn,
    SensitivityAtMost,
    SystemIn,
    from_wire,
    to_wire,
)
from answerable.core.mandate.delegability import Delegability
from answerable.core.mandate.token import claims_of, terms_of
from answerable.core.registry.documents.capability import ACTION_KINDS
from answerable.core.registry.documents.destination import normalised
from answerable.errors import Malformed
from answerable.testing.samples import mandate_terms

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
HOSTS = st.lists(NAMES, min_size=2, max_size=4).map(".".join)
CAVEATS = st.one_of(
    st.lists(HOSTS, min_size=1, max_size=4).map(
        lambda found: DestinationIn(type="host", allowed=tuple(found))
    ),
    st.sampled_from(SENSITIVITIES).map(lambda found: SensitivityAtMost(ceiling=found)),
    st.lists(st.sampled_from(ACTION_KINDS), min_size=1).map(lambda found: KindIn(kinds=tuple(found))),
    st.lists(NAMES, min_size=1).map(lambda found: SystemIn(servers=tuple(found))),
)
UNKNOWN = Attempt(capability="c", environment="e", resource_type="R", resource_id="r", arguments={})


@pytest.mark.requirement("MISSION-02", "MISSION-03")
@given(caveat=CAVEATS)
def test_a_caveat_survives_the_wire_and_lets_nothing_unknown_pass(caveat):
    assert from_wire(to_wire(caveat)) == caveat
    assert caveat.failure(UNKNOWN) is not None


@pytest.mark.requirement("MISSION-03")
@given(ceiling=st.sampled_from(SENSITIVITIES), found=st.one_of(st.sampled_from(SENSITIVITIES), st.text()))
def test_a_ceiling_lets_through_what_is_no_more_sensitive(ceiling, found):
    attempt = Attempt(
        capability="c", environment="e", resource_type="R", resource_id="r", arguments={}, sensitivity=found
    )
    below = found in SENSITIVITIES and SENSITIVITIES.index(found) <= SENSITIVITIES.index(ceiling)
    assert (SensitivityAtMost(ceiling=ceiling).failure(attempt) is None) == below


@pytest.mark.requirement("MISSION-02")
@given(kind=st.sampled_from(("email", "host", "name")), text=st.text(max_size=60))
def test_what_has_a_spelling_keeps_it(kind, text):
    try:
        found = normalised(kind, text)
    except Malformed:
        return
    assert normalised(kind, found) == found
    assert found.isascii()


@pytest.mark.requirement("MISSION-02")
@given(
    host=HOSTS, other=HOSTS, place=st.sampled_from(("https://{}/", "HTTPS://{}", "{}", "https://{}:443/x"))
)
def test_a_host_is_reached_by_its_own_name_only(host, other, place):
    attempt = Attempt(
        capability="c",
        environment="e",
        resource_type="R",
        resource_id="r",
        arguments={},
        destination_type="host",
        destinations=(normalised("host", place.format(other)),),
    )
    assert (DestinationIn(type="host", allowed=(host,)).failure(attempt) is None) == (host == other)


@pytest.mark.requirement("MISSION-04", "MISSION-08")
@given(
    depth=st.integers(1, 16),
    width=st.integers(1, 100),
    to=st.lists(NAMES.map("agent:{}".format), min_size=1, max_size=8, unique=True),
)
def test_handing_on_survives_the_wire_and_is_left_out_where_it_is_not_allowed(depth, width, to):
    told = replace(mandate_terms(), delegability=Delegability(depth_max=depth, width_max=width, to=tuple(to)))
    assert terms_of(claims_of(told, audience="here")) == told
    assert (
        claims_of(mandate_terms(), audience="here")
        .keys()
        .isdisjoint({"delegation", "application", "id_token"})
    )
