"""What a mandate covers, and when."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from answerable.core.mandate.caveat import Attempt, EnvironmentIs, ResourceIn
from answerable.core.mandate.mandate import END_OF_TIME, GRANTS_MAX, Grant, shortfall
from answerable.errors import Malformed
from answerable.testing.clock import START
from answerable.testing.samples import mandate

ATTEMPT = Attempt(
    capability="crm.read", environment="production", resource_type="Case", resource_id="4711", arguments={}
)


def why(given, attempt=ATTEMPT, *, state="open", used=0, now=START):
    return shortfall(given, attempt=attempt, state=state, calls_used=used, now=now)


def test_an_open_mandate_covers_what_it_names_within_its_window():
    assert why(mandate()) is None
    assert why(mandate(), used=2, now=START + 3_599_999) is None


@pytest.mark.parametrize(
    ("circumstances", "code"),
    [
        ({"state": "closed"}, "mandate.closed"),
        ({"now": START - 1}, "mandate.not_yet"),
        ({"now": START + 3_600_000}, "mandate.expired"),
        ({"used": 3}, "mandate.budget_spent"),
        ({"attempt": changed(ATTEMPT, capability="crm.refund")}, "mandate.capability_outside"),
        ({"attempt": changed(ATTEMPT, resource_id="4712")}, "mandate.caveat"),
    ],
)
def test_outside_it_covers_nothing_and_says_why(circumstances, code):
    found = why(mandate(), **circumstances)
    assert found is not None
    assert found.code == code


def test_caveats_of_the_whole_hold_for_every_grant():
    assert why(replace(mandate(), caveats=(EnvironmentIs(environment="production"),))) is None
    found = why(replace(mandate(), caveats=(EnvironmentIs(environment="staging"),)))
    assert found is not None
    assert found.code == "mandate.caveat"


def test_one_grant_that_holds_is_enough_and_the_first_reason_is_told_where_none_does():
    first, second = (Grant(capability="crm.read", caveats=(ResourceIn(ids=(i,)),)) for i in ("1", "4711"))
    assert why(replace(mandate(), grants=(first, second))) is None
    found = why(replace(mandate(), grants=(first, replace(second, caveats=(ResourceIn(ids=("2",)),)))))
    assert found is not None
    assert "covers case `1` only" in found.text


@pytest.mark.parametrize(
    "change",
    [
        {"grants": ()},
        {"grants": (Grant(capability="x"),) * (GRANTS_MAX + 1)},
        {"purpose": ""},
        {"purpose": "x" * 501},
        {"purpose": "two\nlines"},
        {"purpose": "\u001b[31mred"},
        {"calls_max": 0},
        {"expires_at": START},
        {"expires_at": START + 90 * 86_400_000 + 1},
        {"not_before": -1, "expires_at": 1},
        {"not_before": END_OF_TIME - 1, "expires_at": END_OF_TIME + 1},
    ],
)
def test_terms_out_of_bounds_cannot_be_made(change):
    with pytest.raises(Malformed) as raised:
        replace(mandate(), **change)
    assert raised.value.code == "mandate.malformed"
