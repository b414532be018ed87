"""A JWT-SVID names a workload to one audience, by a key of its domain, with a header that holds no surprise."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws as jose
from joserfc.jwk import OctKey, OKPKey

from answerable.core.base64url import to_base64url
from answerable.core.identity.keys.compact_jws import TOKEN_CHARS_MAX
from answerable.core.identity.keys.port_key import PortKey
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.identity.svid import svid_keys
from answerable.core.identity.svid.jwt_svid import (
    AUDIENCE_CHARS_MAX,
    AUDIENCES_MAX,
    JwtSvid,
    jwt_svid,
    verified_jwt_svid,
)
from answerable.core.identity.svid.svid_claims import SECONDS_MAX, SKEW_MILLIS
from answerable.core.identity.svid.svid_keys import jwk_text
from answerable.core.identity.svid.trust_bundle import TrustBundle
from answerable.errors import Malformed, Unverified
from tests.worlds.svid import (
    AGENT,
    DOMAIN,
    KID,
    NOW,
    OTHER_DOMAIN,
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


def judged(
    text: str, *, audience: str = "bank", bundle: TrustBundle | None = None, now: int = NOW
) -> JwtSvid:
    return verified_jwt_svid(
        text, audience=audience, bundle_of=only(bundle or token_bundle()), now=UnixMillis(now)
    )


def refusal(text: str, **more: Any) -> str:
    with pytest.raises((Malformed, Unverified)) as caught:
        judged(text, **more)
    return caught.value.code.removeprefix("svid.")


def ours(**changes: Any) -> str:
    return jwt_svid(
        **{
            "id": AGENT,
            "audience": ("bank",),
            "issued_at": NOW,
            "expires_at": UnixMillis(NOW + 300_000),
            "kid": KID,
            "sign": ec_key("tokens"),
            **changes,
        }
    )


def test_our_token_verifies_and_says_who_to_whom_and_until_when() -> None:
    svid = judged(ours())
    assert (svid.id, svid.audience, svid.expires_at) == (AGENT, ("bank",), NOW + 300_000)
    assert svid.claims == {"sub": str(AGENT), "aud": ["bank"], "iat": SECOND, "exp": SECOND + 300}


def test_our_header_holds_alg_kid_and_typ_and_nothing_else() -> None:
    header = jose.extract_compact(ours().encode()).headers()
    assert header == {"alg": "ES256", "kid": KID, "typ": "JWT"}


def test_a_key_that_is_elsewhere_signs_through_its_port() -> None:
    real = ec_key("tokens")
    key = PortKey(real.public_key(), lambda message: real.sign(message, ec.ECDSA(hashes.SHA256())))
    assert judged(ours(sign=key)).id == AGENT


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ec_key("a"), "ES256"),
        (ec_key("b", ec.SECP384R1), "ES384"),
        (ec_key("c", ec.SECP521R1), "ES512"),
        *((rsa_key(), name) for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
    ],
)
def test_the_nine_algorithms_verify_with_keys_that_fit_them(key: Any, algorithm: str) -> None:
    text = token(jwt_header(alg=algorithm), jwt_claims(), key)
    assert judged(text, bundle=token_bundle(key)).id == AGENT


def test_a_longest_rsa_signature_has_room() -> None:
    key = rsa_key(4096)
    assert judged(token(jwt_header(alg="RS512"), jwt_claims(), key), bundle=token_bundle(key)).id == AGENT
    assert svid_keys.RSA_BITS_MAX == 8192


@pytest.mark.parametrize(
    ("signing", "algorithm", "published"),
    [
        (ec_key("b", ec.SECP384R1), "ES384", ec_key("tokens")),
        (rsa_key(), "RS256", ec_key("tokens")),
        (ec_key("tokens"), "ES256", rsa_key()),
    ],
)
def test_an_algorithm_of_another_kind_of_key_is_refused(signing: Any, algorithm: str, published: Any) -> None:
    text = token(jwt_header(alg=algorithm), jwt_claims(), signing)
    assert refusal(text, bundle=token_bundle(published)) == "algorithm"


def test_an_rsa_key_that_names_its_algorithm_signs_with_no_other() -> None:
    narrowed = {KID: jwk_text(rsa_key().public_key(), alg="PS256")}
    bundle = token_bundle(jwt_authorities=narrowed)
    assert judged(token(jwt_header(alg="PS256"), jwt_claims(), rsa_key()), bundle=bundle).id == AGENT
    assert refusal(token(jwt_header(alg="RS256"), jwt_claims(), rsa_key()), bundle=bundle) == "algorithm"


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_eddsa_macs_and_none_are_refused_before_any_key_is_used() -> None:
    registry = jose.JWSRegistry(algorithms=["EdDSA", "HS256", "none"])
    claims = json.dumps(jwt_claims()).encode()
    secret = OctKey.import_key(jwk_text(ec_key("tokens").public_key()))
    edwards = OKPKey.generate_key("Ed25519")
    for name, key in (("HS256", secret), ("EdDSA", edwards)):
        text = jose.serialize_compact(jwt_header(alg=name), claims, key, registry=registry)
        assert refusal(text) == "algorithm"
    unsigned = f"{part(json.dumps(jwt_header(alg='none')))}.{part(claims.decode())}"
    assert refusal(f"{unsigned}.") == "malformed"
    assert refusal(f"{unsigned}.AAAA") == "algorithm"


def part(text: str) -> str:
    return to_base64url(text.encode())


@pytest.mark.parametrize(
    "header",
    [
        '{"alg":"ES256","kid":7,"typ":"JWT"}',
        '{"alg":"ES256","kid":"key-1","typ":["JWT"]}',
        '{"alg":"ES256","kid":"key-1","crit":["b64"],"b64":false}',
        '{"alg":"ES256","kid":"key-1","kid":"key-1"}',
        '{"alg":"ES256","kid":"key-1","\\u006bid":"key-1"}',
        '{"kid":"key-1"}',
        '["ES256"]',
        '{"alg":"ES256","kid":"' + "k" * 600 + '"}',
    ],
)
def test_a_header_that_could_be_read_in_two_ways_is_refused(header: str) -> None:
    assert refusal(f"{part(header)}.{part(json.dumps(jwt_claims()))}.{'A' * 86}") == "malformed"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (jwt_header(kid=None), "malformed"),
        (jwt_header(kid="other"), "kid"),
        (jwt_header(kid=f"{KID}-wit"), "kid"),
        (jwt_header(typ="wit+jwt"), "type"),
        (jwt_header(typ="jwt"), "type"),
        (jwt_header(typ=""), "type"),
        (jwt_header(cty="JWT"), "malformed"),
        (jwt_header(jku="https://example.net/keys"), "malformed"),
        (jwt_header(x5u="https://example.net/keys"), "malformed"),
        (jwt_header(jwk={"kty": "EC"}), "malformed"),
    ],
)
def test_a_header_with_one_surprise_is_refused(header: dict[str, Any], code: str) -> None:
    assert refusal(token(header, jwt_claims())) == code


@pytest.mark.parametrize("kind", ["JWT", "JOSE", None])
def test_the_type_may_be_jwt_or_jose_or_absent(kind: str | None) -> None:
    assert judged(token(jwt_header(typ=kind), jwt_claims())).id == AGENT


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sub": None}, "id"),
        ({"sub": 7}, "id"),
        ({"sub": "scout"}, "id"),
        ({"sub": "spiffe://example.org"}, "id"),
        ({"sub": "spiffe://example.org/a/"}, "id"),
        ({"sub": "spiffe://example.net/agent"}, "trust_domain"),
        ({"aud": None}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": ""}, "audience"),
        ({"aud": 7}, "audience"),
        ({"aud": ["bank", 7]}, "audience"),
        ({"aud": ["bank", ""]}, "audience"),
        ({"aud": ["shop"]}, "audience"),
        ({"aud": "Bank"}, "audience"),
        ({"aud": ["bank "]}, "audience"),
        ({"exp": None}, "expired"),
        ({"exp": SECOND}, "expired"),
        ({"exp": SECOND - 1}, "expired"),
        ({"exp": str(SECOND + 60)}, "malformed"),
        ({"exp": True}, "malformed"),
        ({"exp": -1}, "malformed"),
        ({"exp": SECONDS_MAX + 1}, "malformed"),
        ({"nbf": SECOND + SKEW_MILLIS // 1000 + 1}, "not_yet_valid"),
        ({"nbf": "now"}, "malformed"),
        ({"iat": []}, "malformed"),
    ],
)
def test_claims_with_one_fault_are_refused(changes: dict[str, Any], code: str) -> None:
    assert refusal(token(jwt_header(), jwt_claims(**changes))) == code


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "bank"},
        {"aud": ["shop", "bank"]},
        {"exp": SECOND + 0.5},
        {"nbf": SECOND + SKEW_MILLIS // 1000},
        {"nbf": 0},
        {"iat": SECOND + 86_400},
        {"iat": None},
        {"jti": "a", "tenant": {"a": [1]}},
        {"sub": "SPIFFE://Example.ORG/agent/scout/1"},
    ],
)
def test_what_the_standard_leaves_open_is_accepted(changes: dict[str, Any]) -> None:
    assert judged(token(jwt_header(), jwt_claims(**changes))).id == AGENT


def test_an_empty_audience_is_nobodys() -> None:
    assert refusal(token(jwt_header(), jwt_claims()), audience="") == "audience"


def test_the_end_comes_with_the_millisecond() -> None:
    text = token(jwt_header(), jwt_claims())
    assert judged(text, now=NOW + 299_999).id == AGENT
    assert refusal(text, now=NOW + 300_000) == "expired"


def test_a_token_is_judged_by_the_bundle_of_its_own_domain_alone() -> None:
    text = token(jwt_header(), jwt_claims(sub="spiffe://example.net/agent"))
    both = {DOMAIN: token_bundle(), OTHER_DOMAIN: token_bundle(ec_key("theirs"), trust_domain=OTHER_DOMAIN)}
    with pytest.raises(Unverified) as caught:
        verified_jwt_svid(text, audience="bank", bundle_of=both.get, now=NOW)
    assert caught.value.code == "svid.signature"
    swapped = {OTHER_DOMAIN: token_bundle()}
    with pytest.raises(Unverified) as caught:
        verified_jwt_svid(text, audience="bank", bundle_of=swapped.get, now=NOW)
    assert caught.value.code == "svid.trust_domain"


def test_a_wit_svid_is_no_jwt_svid_and_its_key_signs_none() -> None:
    assert refusal(token(wit_header(), wit_claims(aud=["bank"]))) == "type"
    assert (
        refusal(token(jwt_header(), jwt_claims()), bundle=replace(token_bundle(), jwt_authorities={}))
        == "kid"
    )


def test_a_flipped_bit_in_header_claims_or_signature_is_refused() -> None:
    text = ours()
    for place, character in enumerate(text):
        if character != ".":
            other = "B" if character == "A" else "A"
            assert refusal(text[:place] + other + text[place + 1 :])


@pytest.mark.parametrize(
    "text",
    ["", "a.b", "a.b.c", "....", "a" * (TOKEN_CHARS_MAX + 1), '{"payload":"","signatures":[]}', "é.é.é"],
)
def test_what_is_no_compact_token_is_refused(text: str) -> None:
    assert refusal(text) == "malformed"


@pytest.mark.parametrize("claims", [b"[]", b'"a"', b"{", b'{"sub":"a","sub":"b"}', b'{"exp":NaN}', b"\xff"])
def test_claims_that_are_no_strict_json_object_are_refused(claims: bytes) -> None:
    text = svid_keys.signed_token({"kid": KID, "typ": "JWT"}, claims, ec_key("tokens"))
    assert refusal(text) == "malformed"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"audience": ()}, "svid.audience"),
        ({"audience": ("",)}, "svid.audience"),
        ({"audience": ("a",) * (AUDIENCES_MAX + 1)}, "svid.audience"),
        ({"audience": ("a" * (AUDIENCE_CHARS_MAX + 1),)}, "svid.audience"),
        ({"id": spiffe_id("spiffe://example.org")}, "svid.issue"),
        ({"expires_at": NOW}, "svid.issue"),
        ({"issued_at": UnixMillis(-1000)}, "svid.issue"),
        ({"expires_at": UnixMillis((SECONDS_MAX + 1) * 1000)}, "svid.issue"),
        ({"kid": ""}, "svid.issue"),
        ({"kid": "k" * 257}, "svid.issue"),
        ({"audience": ("é\U0001f600" * 1024,) * 16}, "svid.issue"),
        ({"audience": ("\ud800",)}, "json.surrogate"),
    ],
)
def test_a_token_that_nobody_could_verify_is_not_issued(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Malformed) as caught:
        ours(**changes)
    assert caught.value.code == code


def test_a_key_that_canonical_jwk_did_not_write_verifies_nothing() -> None:
    for jwk in ("[]", '{"e":"AQAB","kty":"RSA","n":"AQAB"}'):
        bundle = token_bundle(jwt_authorities={KID: jwk})
        with pytest.raises(Malformed) as caught:
            judged(token(jwt_header(), jwt_claims()), bundle=bundle)
        assert caught.value.code == "key.kind"
