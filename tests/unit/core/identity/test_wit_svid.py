"""A WIT-SVID names a workload and its key; it has no audience, and is worth nothing without the key."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws as jose
from joserfc.jwk import ECKey, OKPKey

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.identity.svid.svid_keys import jwk_text
from answerable.core.identity.svid.trust_bundle import TrustBundle
from answerable.core.identity.svid.wit_svid import WitSvid, verified_wit_svid, wit_svid
from answerable.errors import Malformed, Unverified
from tests.worlds.svid import (
    AGENT,
    KID,
    NOW,
    ec_key,
    jwt_claims,
    jwt_header,
    only,
    rsa_key,
    token,
    token_bundle,
    wit_claims,
    wit_header,
)

SECOND = NOW // 1000
KEY = jwk_text(ec_key().public_key())
CONFIRMED: dict[str, Any] = wit_claims()["cnf"]["jwk"]


def judged(text: str, *, bundle: TrustBundle | None = None, now: int = NOW) -> WitSvid:
    return verified_wit_svid(text, bundle_of=only(bundle or token_bundle()), now=UnixMillis(now))


def refusal(text: str, **more: Any) -> str:
    with pytest.raises((Malformed, Unverified)) as caught:
        judged(text, **more)
    return caught.value.code.removeprefix("svid.")


def ours(**changes: Any) -> str:
    return wit_svid(
        **{
            "id": AGENT,
            "jwk": KEY,
            "issued_at": NOW,
            "expires_at": UnixMillis(NOW + 300_000),
            "kid": f"{KID}-wit",
            "sign": ec_key("tokens"),
            **changes,
        }
    )


def confirming(**changes: Any) -> dict[str, Any]:
    jwk = {name: value for name, value in {**CONFIRMED, **changes}.items() if value is not None}
    return wit_claims(cnf={"jwk": jwk})


def test_our_token_verifies_and_gives_the_key_to_ask_proof_from() -> None:
    svid = judged(ours(jti="once"))
    assert (svid.id, svid.key, svid.algorithm, svid.expires_at) == (AGENT, KEY, "ES256", NOW + 300_000)
    assert svid.claims["jti"] == "once"
    assert "jti" not in judged(ours()).claims


def test_our_token_has_the_header_and_claims_of_the_standard_and_no_audience() -> None:
    read = jose.extract_compact(ours().encode())
    assert read.headers() == {"alg": "ES256", "kid": f"{KID}-wit", "typ": "wit+jwt"}
    claims = json.loads(read.payload)
    assert claims.keys() == {"sub", "iat", "exp", "cnf"}
    assert claims["cnf"] == {"jwk": {**json.loads(KEY), "alg": "ES256"}}


@pytest.mark.parametrize(
    ("key", "alg", "expected"),
    [
        (ec_key("a"), None, "ES256"),
        (ec_key("b", ec.SECP384R1), None, "ES384"),
        (ec_key("c", ec.SECP521R1), None, "ES512"),
        *((rsa_key(), name, name) for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
    ],
)
def test_a_workload_may_hold_a_key_for_any_of_the_nine_algorithms(
    key: Any, alg: str | None, expected: str
) -> None:
    text = jwk_text(key.public_key(), alg=alg)
    svid = judged(ours(jwk=json.loads(text)))
    assert svid.algorithm == expected
    assert svid.key == jwk_text(key.public_key())


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (wit_header(kid=None), "malformed"),
        (wit_header(kid="other"), "kid"),
        (wit_header(kid=KID), "kid"),
        (wit_header(typ=None), "type"),
        (wit_header(typ="JWT"), "type"),
        (wit_header(typ="wpt+jwt"), "type"),
        (wit_header(typ="WIT+JWT"), "type"),
        (wit_header(typ="application/wit+jwt"), "type"),
        (wit_header(jku="https://example.net"), "malformed"),
    ],
)
def test_a_header_with_one_surprise_is_refused(header: dict[str, Any], code: str) -> None:
    assert refusal(token(header, wit_claims())) == code


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        (wit_claims(sub=None), "id"),
        (wit_claims(sub="wimse://example.org/agent"), "id"),
        (wit_claims(sub="spiffe://example.org"), "id"),
        (wit_claims(sub="spiffe://example.net/agent"), "trust_domain"),
        (wit_claims(exp=None), "expired"),
        (wit_claims(exp=SECOND), "expired"),
        (wit_claims(exp="soon"), "malformed"),
        (wit_claims(nbf=SECOND + 31), "not_yet_valid"),
        (wit_claims(aud="bank"), "audience"),
        (wit_claims(aud=[]), "audience"),
        (wit_claims(iss="https://issuer.example"), "issuer"),
        (wit_claims(iss=" HTTPS://issuer.example"), "issuer"),
        (wit_claims(iss="http://issuer.example"), "issuer"),
        (wit_claims(iss=7), "issuer"),
        (wit_claims(cnf=None), "cnf"),
        (wit_claims(cnf="key"), "cnf"),
        (wit_claims(cnf={}), "cnf"),
        (wit_claims(cnf={"jwk": "key"}), "cnf"),
        (wit_claims(cnf={"jwk": CONFIRMED, "kid": "a"}), "cnf"),
        (wit_claims(cnf={"jwk": CONFIRMED, "jku": "https://example.net"}), "cnf"),
        (confirming(alg=None), "cnf"),
        (confirming(alg="ES384"), "cnf"),
        (confirming(alg="EdDSA"), "cnf"),
        (confirming(alg="none"), "cnf"),
        (confirming(alg=7), "cnf"),
        (confirming(kty=None), "cnf"),
        (confirming(crv="secp256k1"), "cnf"),
        (confirming(d="AAAA"), "cnf"),
        (confirming(y=None), "cnf"),
        (confirming(use="enc"), "cnf"),
        (confirming(key_ops=["deriveKey"]), "cnf"),
        (confirming(x="A" * 43), "cnf"),
        (confirming(kty="oct", k="AAAA", alg="HS256"), "cnf"),
    ],
)
def test_claims_with_one_fault_are_refused(claims: dict[str, Any], code: str) -> None:
    assert refusal(token(wit_header(), claims)) == code


def test_an_ed25519_key_cannot_be_confirmed() -> None:
    key = OKPKey.generate_key("Ed25519").as_dict(private=False)
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": key["x"], "alg": "EdDSA"}
    assert refusal(token(wit_header(), wit_claims(cnf={"jwk": jwk}))) == "cnf"
    with pytest.raises(Malformed) as caught:
        ours(jwk=jwk)
    assert caught.value.code == "svid.cnf"


@pytest.mark.parametrize(
    "claims",
    [
        wit_claims(iss="spiffe://example.org", jti="a", iat=SECOND + 999, nbf=SECOND + 30, extra={"a": 1}),
        confirming(kid="mine", use="sig", key_ops=["verify"]),
    ],
)
def test_what_the_standard_leaves_open_is_accepted(claims: dict[str, Any]) -> None:
    assert judged(token(wit_header(), claims)).key == KEY


def test_a_jwt_svid_is_no_wit_svid_and_its_key_signs_none() -> None:
    assert refusal(token(jwt_header(), jwt_claims())) == "type"
    assert refusal(token(wit_header(kid=KID), wit_claims())) == "kid"


def test_a_token_signed_by_the_key_it_confirms_is_refused() -> None:
    assert refusal(token(wit_header(), wit_claims(), ec_key())) == "signature"


def test_without_the_bundle_of_its_domain_a_token_is_worth_nothing() -> None:
    with pytest.raises(Unverified) as caught:
        verified_wit_svid(ours(), bundle_of=lambda _: None, now=NOW)
    assert caught.value.code == "svid.trust_domain"


def test_a_flipped_bit_in_header_claims_or_signature_is_refused() -> None:
    text = ours()
    for place, character in enumerate(text):
        if character != ".":
            other = "B" if character == "A" else "A"
            assert refusal(text[:place] + other + text[place + 1 :])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"jwk": "[]"}, "key.kind"),
        ({"jwk": "{"}, "json.syntax"),
        ({"jwk": {}}, "key.kind"),
        ({"jwk": ECKey.import_key(ec_key()).as_dict(private=True)}, "key.private"),
        ({"jwk": jwk_text(rsa_key().public_key())}, "svid.cnf"),
        ({"id": spiffe_id("spiffe://example.org")}, "svid.issue"),
        ({"expires_at": NOW}, "svid.issue"),
        ({"jti": "j" * 257}, "svid.issue"),
        ({"kid": ""}, "svid.issue"),
    ],
)
def test_a_token_that_nobody_could_verify_is_not_issued(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Malformed) as caught:
        ours(**changes)
    assert caught.value.code == code
