"""Workload tokens: whose, for whom, how long, and the selectors they give."""

from __future__ import annotations

import json

import pytest

from answerable.core.identity.workload.oidc_claims import IssuerTerms, token_hint, verified_workload
from answerable.errors import AnswerableError, Malformed
from answerable.testing.clock import START
from tests.worlds.attestation import (
    ACTIONS,
    AUDIENCE,
    CLUSTER,
    ISSUER,
    SECONDS,
    claims,
    github_claims,
    key_set,
    kubernetes_claims,
    public_jwk,
    token,
    unsigned_token,
)

KEYS = key_set(public_jwk("ES256"))
TERMS = IssuerTerms(issuer=ISSUER, audience=AUDIENCE)
ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA",
)  # fmt: skip


def verified(text, *, keys=KEYS, terms=TERMS, now=START):
    return verified_workload(text, key_set=keys, terms=terms, now=now)


def code_of(text, **given):
    with pytest.raises(AnswerableError) as told:
        verified(text, **given)
    return told.value.code


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_accepted_algorithm_verifies(algorithm):
    found = verified(token(claims(), algorithm), keys=key_set(public_jwk(algorithm)))
    assert found.selectors == (
        "oidc:aud:answerable",
        "oidc:iss:https://issuer.test",
        "oidc:sub:workload-1",
    )
    assert (found.issuer, found.subject, found.expires_at) == (ISSUER, "workload-1", START + 600_000)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"iss": ISSUER + "/"}, "oidc.issuer"),
        ({"iss": None}, "oidc.issuer"),
        ({"iss": [ISSUER]}, "oidc.issuer"),
        ({"aud": None}, "oidc.audience"),
        ({"aud": "other"}, "oidc.audience"),
        ({"aud": []}, "oidc.audience"),
        ({"aud": [AUDIENCE, "other"]}, "oidc.audience"),
        ({"aud": [AUDIENCE, AUDIENCE]}, "oidc.audience"),
        ({"aud": [[AUDIENCE]]}, "oidc.audience"),
        ({"exp": None}, "oidc.time"),
        ({"exp": "9999999999"}, "oidc.time"),
        ({"exp": True}, "oidc.time"),
        ({"exp": 1e12}, "oidc.time"),
        ({"iat": None}, "oidc.time"),
        ({"nbf": -1}, "oidc.time"),
        ({"exp": SECONDS - 60, "iat": SECONDS - 600, "nbf": None}, "oidc.expired"),
        ({"nbf": SECONDS + 61}, "oidc.future"),
        ({"iat": SECONDS + 61, "nbf": None}, "oidc.future"),
        ({"exp": SECONDS + 86_401}, "oidc.lifetime"),
        ({"exp": SECONDS, "iat": SECONDS, "nbf": None}, "oidc.lifetime"),
        ({"sub": None}, "oidc.subject"),
        ({"sub": ""}, "oidc.subject"),
        ({"sub": "x" * 256}, "oidc.subject"),
        ({"sub": 7}, "oidc.subject"),
    ],
)
def test_claims_that_are_not_as_expected_are_refused(changed, code):
    assert code_of(token(claims(**changed))) == code


def test_a_minute_of_skew_is_forgiven_both_ways():
    assert verified(token(claims(exp=SECONDS - 59, iat=SECONDS - 600, nbf=None)))
    assert verified(token(claims(nbf=SECONDS + 60)))
    assert verified(token(claims(exp=SECONDS + 0.5)))


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"typ": "wit+jwt"}, "oidc.type"),
        ({"typ": "dpop+jwt"}, "oidc.type"),
        ({"jku": "https://evil.test/keys"}, "oidc.header"),
        ({"x5u": "https://evil.test/keys"}, "oidc.header"),
        ({"cty": "JWT"}, "oidc.header"),
        ({"kid": "other"}, "oidc.key"),
    ],
)
def test_headers_that_would_change_the_reading_are_refused(header, code):
    assert code_of(token(claims(), **header)) == code


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_types_of_workload_tokens_are_accepted(typ):
    assert verified(token(claims(), typ=typ)).subject == "workload-1"


def test_microsofts_thumbprint_headers_are_read_over():
    assert verified(token(claims(), x5t="abc")).subject == "workload-1"


@pytest.mark.parametrize(
    "text", ["", "a.b", "a.b.c.d", "x" * 16_385, unsigned_token([1]) + "AAAA", unsigned_token({}) + "A="]
)
def test_what_is_no_token_is_malformed(text):
    with pytest.raises(Malformed) as told:
        token_hint(text)
    assert told.value.code == "oidc.malformed"


def test_claims_given_twice_are_malformed():
    text = token(claims())
    head, _, mac = text.split(".")
    from base64 import urlsafe_b64encode

    twice = json.dumps(claims()).replace('"sub"', '"iss": "x", "sub"').encode()
    assert code_of(f"{head}.{urlsafe_b64encode(twice).decode().rstrip('=')}.{mac}") == "oidc.signature"
    with pytest.raises(Malformed):
        token_hint(f"{head}.{urlsafe_b64encode(twice).decode().rstrip('=')}.{mac}")


def test_a_hint_is_what_is_written():
    hint = token_hint(token(claims(iss="anything")))
    assert (hint.issuer, hint.kid) == ("anything", "ES256-issuer")
    assert token_hint(token(claims(iss=7), kid=None)).issuer == ""


@pytest.mark.parametrize("alg", ["none", "HS256", "ES256K", ""])
def test_algorithms_that_are_not_on_the_list_are_refused(alg):
    assert code_of(unsigned_token(claims(), alg, kid="ES256-issuer") + "AAAA") == "oidc.algorithm"


def test_a_changed_byte_of_the_claims_does_not_verify():
    head, body, mac = token(claims()).split(".")
    other = token(claims(sub="workload-2")).split(".")[1]
    assert code_of(f"{head}.{other}.{mac}") == "oidc.signature"
    assert code_of(f"{head}.{body}.{mac[:-4]}AAAA") == "oidc.signature"


def test_claims_become_selectors_and_what_cannot_be_written_does_not():
    found = verified(
        token(
            claims(
                groups=["ops", "x" * 600, 7, None],
                email_verified=True,
                admin=False,
                level=3,
                nested={"a": "b"},
                jti="x",
                **{"https://a.test/claim": "v", "k8s": "prod"},
            )
        )
    )
    assert [one for one in found.selectors if "claim" in one] == [
        "oidc:claim.admin:false",
        "oidc:claim.email_verified:true",
        "oidc:claim.groups:ops",
        "oidc:claim.k8s:prod",
    ]


def test_a_kubernetes_service_account_token_gives_its_selectors():
    terms = IssuerTerms(issuer=CLUSTER, audience=AUDIENCE, kind="kubernetes")
    found = verified(token(kubernetes_claims(), typ=None), terms=terms)
    assert {one for one in found.selectors if one.startswith("k8s:")} == {
        "k8s:ns:prod",
        "k8s:sa:biller",
        "k8s:sa_uid:9b9e0a52-0b9f-4c0e-9d4f-0a1c6b2d3e4f",
        "k8s:pod:biller-5c4d",
        "k8s:pod_uid:1d3e0a52-0b9f-4c0e-9d4f-0a1c6b2d3e4f",
        "k8s:node:node-1",
        "k8s:node_uid:7a0e0a52-0b9f-4c0e-9d4f-0a1c6b2d3e4f",
    }
    bare = {"namespace": "prod", "serviceaccount": {"name": "biller"}}
    found = verified(token(kubernetes_claims(**{"kubernetes.io": bare})), terms=terms)
    assert {one for one in found.selectors if one.startswith("k8s:")} == {"k8s:ns:prod", "k8s:sa:biller"}


@pytest.mark.parametrize(
    "changed",
    [
        {"sub": "system:serviceaccount:prod:other"},
        {"kubernetes.io": None},
        {"kubernetes.io": {"namespace": "prod"}},
        {"kubernetes.io": {"namespace": "prod", "serviceaccount": {"name": "a:b"}}},
        {"kubernetes.io": {"namespace": 7, "serviceaccount": {"name": "biller"}}},
    ],
)
def test_a_kubernetes_token_must_tell_the_same_twice(changed):
    terms = IssuerTerms(issuer=CLUSTER, audience=AUDIENCE, kind="kubernetes")
    assert code_of(token(kubernetes_claims(**changed)), terms=terms) == "oidc.kubernetes"


def test_a_github_token_gives_its_selectors():
    terms = IssuerTerms(issuer=ACTIONS, audience=AUDIENCE, kind="github")
    found = verified(token(github_claims()), terms=terms)
    assert {
        "github:repository:acme/biller",
        "github:ref:refs/heads/main",
        "github:environment:production",
        "github:workflow:deploy",
        "github:job_workflow_ref:acme/shared/.github/workflows/release.yml@refs/tags/v2",
    } <= set(found.selectors)


def test_other_issuers_cannot_speak_for_kubernetes_or_github():
    for body in (kubernetes_claims(iss=ISSUER), github_claims(iss=ISSUER)):
        assert not [one for one in verified(token(body)).selectors if not one.startswith("oidc:")]
