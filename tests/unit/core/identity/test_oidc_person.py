"""ID tokens of people by themselves; what is built on them is in tests/attack and tests/interop."""

from __future__ import annotations

import pytest

from answerable.core.identity.people.oidc_person import person_in, verified_person
from answerable.core.identity.people.person_issuer import PersonIssuer
from answerable.errors import AnswerableError
from answerable.testing.clock import START
from tests.worlds.attestation import key_set, public_jwk
from tests.worlds.mandate import CLIENT, ISSUER, SUBJECT, id_token

TERMS = PersonIssuer(issuer=ISSUER, audience=CLIENT, login_seconds_max=600)


def verified(token: str):
    keys = key_set(public_jwk("ES256", "login"))
    return verified_person(token, key_set=keys, terms=TERMS, nonce="n", now=START)


def test_a_good_token_says_who_logged_in_and_when():
    found = verified(id_token("n"))
    assert (found.issuer, found.subject, found.logged_in_at) == (ISSUER, SUBJECT, START - 60_000)
    assert person_in(id_token("n")) == (ISSUER, SUBJECT)


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"sub": ""}, "oidc.subject"),
        ({"sub": 7}, "oidc.subject"),
        ({"nonce": 7}, "person.nonce"),
        ({"nonce": None}, "person.nonce"),
        ({"auth_time": "soon"}, "oidc.time"),
        ({"auth_time": True}, "oidc.time"),
    ],
)
def test_a_claim_that_says_nothing_counts_for_nothing(claims, code):
    with pytest.raises(AnswerableError) as told:
        verified(id_token("n", **claims) if "nonce" not in claims else id_token(claims["nonce"]))
    assert told.value.code == code
