"""A mandate on the wire."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.mandate.caveat import CAVEATS_MAX
from answerable.core.mandate.token import (
    MANDATE,
    MANDATE_TYP,
    claims_of,
    signed,
    terms_of,
    verify_mandate,
)
from answerable.errors import Malformed, Unverified
from answerable.testing.samples import AUDIENCE, mandate, mandate_terms, signing_key

CLAIMS = [one.name for one in MANDATE.table() if one.needed]


def keys_of(principal):
    return (signing_key(principal).public,) if principal in ("alice", "bob") else ()


def verified(token, audience=AUDIENCE):
    return verify_mandate(token, keys_of=keys_of, audience=audience)


def token_with(**changes):
    claims = {**claims_of(mandate_terms(), audience=AUDIENCE), **changes}
    kept = {name: value for name, value in claims.items() if value is not ...}
    return signed_statement(kept, typ=MANDATE_TYP, key=signing_key("alice"))


def test_a_signed_mandate_is_verified_whole_and_keeps_its_token():
    assert verified(mandate().token) == mandate()
    assert mandate() == signed(mandate_terms(), mandate().token)


def test_a_mandate_for_another_deployment_is_refused():
    with pytest.raises(Unverified) as raised:
        verified(mandate().token, audience="elsewhere")
    assert (raised.value.code, raised.value.step) == ("mandate.audience", "mandate")


@pytest.mark.parametrize("issuer", ["bob", "mallory"])
def test_a_key_signs_for_its_own_principal_only(issuer):
    with pytest.raises(Unverified) as raised:
        verified(token_with(iss=issuer))
    assert raised.value.code == "mandate.key"


@pytest.mark.parametrize("claim", CLAIMS)
def test_no_claim_may_be_missing(claim):
    with pytest.raises(Malformed, match=f"`{claim}`"):
        verified(token_with(**{claim: ...}))


def test_an_unknown_claim_refuses():
    with pytest.raises(Malformed, match="`max_amount` is unknown"):
        verified(token_with(max_amount=5))


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("value", [None, 1.5, True, {}, [None], -1, ""])
def test_a_claim_of_another_type_or_value_refuses(claim, value):
    if (claim, value) in [("aud", "")]:
        with pytest.raises(Unverified):
            verified(token_with(**{claim: value}))
        return
    with pytest.raises((Malformed, Unverified)):
        verified(token_with(**{claim: value}))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"grants": [["crm.read", [[99, "x"]]]]}, "caveat.unknown"),
        ({"caveats": [[99]]}, "caveat.unknown"),
        ({"caveats": [[1]]}, "caveat.malformed"),
        ({"caveats": [[4, "x"]] * (CAVEATS_MAX + 1)}, "mandate.malformed"),
        ({"grants": [["crm.read"]]}, "mandate.malformed"),
        ({"grants": [["crm.read", [], 1]]}, "mandate.malformed"),
        ({"grants": [["CRM Read", []]]}, "name.invalid"),
        ({"grants": []}, "mandate.malformed"),
        ({"jti": "a b"}, "mandate.malformed"),
        ({"jti": "x" * 65}, "mandate.malformed"),
        ({"sub": "Scout"}, "name.invalid"),
        ({"aud": [AUDIENCE]}, "mandate.audience"),
    ],
)
def test_claims_that_are_not_understood_refuse(change, code):
    with pytest.raises((Malformed, Unverified)) as raised:
        verified(token_with(**change))
    assert raised.value.code == code


def test_terms_read_back_are_the_terms():
    terms = replace(mandate_terms(), caveats=mandate_terms().grants[0].caveats)
    assert terms_of(claims_of(terms, audience="x")) == terms


@pytest.mark.requirement("BUDGET-06")
def test_budgets_are_a_claim_that_is_absent_where_there_are_none():
    assert "budgets" not in claims_of(mandate_terms(), audience=AUDIENCE)
    terms = replace(mandate_terms(), budgets=(("money:EUR", 5), ("rows", 0)))
    claims = claims_of(terms, audience=AUDIENCE)
    assert claims["budgets"] == {"money:EUR": 5, "rows": 0}
    assert terms_of(claims) == terms
    assert verified(token_with(budgets={"rows": 7})).budgets == (("rows", 7),)


@pytest.mark.requirement("BUDGET-06")
@pytest.mark.parametrize(
    ("budgets", "code"),
    [
        ({}, "mandate.malformed"),
        ([["rows", 5]], "mandate.malformed"),
        (None, "mandate.malformed"),
        ({"lines": 5}, "budget.name"),
        ({"calls": 5}, "budget.name"),
        ({"money:eur": 5}, "budget.name"),
        ({"rows": -1}, "budget.amount"),
        ({"rows": True}, "budget.amount"),
        ({"rows": 1.5}, "budget.amount"),
    ],
)
def test_a_budget_that_is_not_understood_refuses(budgets, code):
    with pytest.raises(Malformed) as told:
        verified(token_with(budgets=budgets))
    assert told.value.code == code


@pytest.mark.requirement("BUDGET-06")
def test_terms_with_budgets_in_any_other_order_are_none():
    with pytest.raises(Malformed):
        replace(mandate_terms(), budgets=(("rows", 1), ("bytes", 1)))
