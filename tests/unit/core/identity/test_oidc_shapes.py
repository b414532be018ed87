"""What tokens of well-known issuers give, and what is refused in them."""

from __future__ import annotations

import pytest

from answerable.core.identity.workload.attestation import checked_selector
from answerable.core.identity.workload.oidc_shapes import shaped_selectors
from answerable.errors import Unverified
from tests.worlds.token_shapes import AZURE_V1, AZURE_V2, CONTRADICTIONS, GCP, SHAPES


def given(shape, **changed):
    issuer = f"https://issuer.test{shape.path}"
    claims = {name: value for name, value in shape.with_claims(**changed).items() if value is not None}
    return set(shaped_selectors(shape.kind, {"iss": issuer, **claims}))


@pytest.mark.parametrize("name", SHAPES)
def test_a_documented_token_gives_the_selectors_of_its_shape_and_no_others(name):
    found = given(SHAPES[name])
    assert found == SHAPES[name].gives
    assert {checked_selector(one) for one in found} == found


@pytest.mark.parametrize(("name", "changed", "code"), CONTRADICTIONS)
def test_a_token_that_contradicts_itself_or_is_of_a_person_is_refused(name, changed, code):
    with pytest.raises(Unverified) as told:
        given(SHAPES[name], **changed)
    assert told.value.code == code


def test_an_instance_is_named_with_the_project_that_it_is_unique_in():
    """Anybody may give an instance of his own project this name."""
    engine = dict(GCP.claims["google"]["compute_engine"])
    for changed in ({"project_id": None}, {"project_id": "acme-prod/europe-west1-b"}, {"project_id": 7}):
        found = given(GCP, google={"compute_engine": {**engine, **changed}})
        assert not [one for one in found if one.startswith(("gcp:instance", "gcp:project"))]
    found = given(GCP, google={"compute_engine": {**engine, "zone": "z/biller-1", "instance_name": "x"}})
    assert not [one for one in found if one.startswith("gcp:instance:")]


def test_the_application_is_read_from_the_claim_of_its_version():
    """The claim of the other version is nobody's word."""
    assert not [one for one in given(AZURE_V1, appid=None, azp="evil") if one.startswith("azure:app")]
    assert not [one for one in given(AZURE_V2, azp=None, appid="evil") if one.startswith("azure:app")]


def test_what_is_no_object_gives_nothing():
    assert given(GCP, google="x", email=None) == {"gcp:service_account_id:102837465564738291012"}
    assert not set(shaped_selectors("oidc", {"iss": "x", "sub": "y"}))
