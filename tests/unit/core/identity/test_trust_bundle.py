"""Bundle documents are read strictly, unknown kinds of keys are no keys, and no document names its own domain."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from answerable.core.base64url import to_base64url
from answerable.core.canonical import parse
from answerable.core.identity.svid.svid_keys import KID_CHARS_MAX, jwk_text, thumbprint
from answerable.core.identity.svid.trust_bundle import (
    DOMAINS_MAX,
    KEYS_MAX,
    TrustBundle,
    encoded_bundle,
    encoded_bundle_map,
    encoded_jwt_bundle,
    encoded_wit_bundle,
    parse_bundle,
    parse_bundle_map,
    parse_jwt_bundle,
    parse_wit_bundle,
)
from answerable.errors import Malformed
from tests.worlds.svid import (
    DOMAIN,
    OTHER_DOMAIN,
    certificate,
    ec_key,
    our_authority,
    root,
    rsa_key,
    signer,
    token_bundle,
)


def members(key: Any = None, **changes: Any) -> dict[str, Any]:
    """A public JWK as it stands in a bundle."""
    jwk = json.loads(jwk_text((key or ec_key("tokens")).public_key()))
    return {name: value for name, value in {**jwk, **changes}.items() if value is not None}


def jwt_entry(**changes: Any) -> dict[str, Any]:
    return members(**{"use": "jwt-svid", "kid": "key-1", **changes})


def x509_entry(der: bytes = b"", **changes: Any) -> dict[str, Any]:
    return members(
        **{
            "key": root().key,
            "use": "x509-svid",
            "x5c": [b64encode(der or root().der).decode()],
            **changes,
        }
    )


def read(*entries: Any, **more: Any) -> TrustBundle:
    return parse_bundle(json.dumps({"keys": entries, **more}).encode(), domain=DOMAIN)


def refusal(*entries: Any, **more: Any) -> str:
    with pytest.raises(Malformed) as caught:
        read(*entries, **more)
    return caught.value.code


def test_each_key_goes_where_its_use_says() -> None:
    bundle = read(
        x509_entry(),
        jwt_entry(),
        jwt_entry(use="wit-svid", kid="key-2", key=ec_key("wit")),
        spiffe_sequence=7,
        spiffe_refresh_hint=60,
    )
    assert bundle.x509_authorities == (root().der,)
    assert bundle.jwt_authorities == {"key-1": jwk_text(ec_key("tokens").public_key())}
    assert bundle.wit_authorities == {"key-2": jwk_text(ec_key("wit").public_key())}
    assert (bundle.trust_domain, bundle.sequence, bundle.refresh_hint) == (DOMAIN, 7, 60)
    assert not bundle.is_empty


def test_a_bundle_without_keys_trusts_nothing_and_is_read_as_such() -> None:
    bundle = read()
    assert bundle.is_empty
    assert (bundle.sequence, bundle.refresh_hint) == (None, None)


def test_what_a_document_says_about_its_own_domain_is_ignored() -> None:
    bundle = read(jwt_entry(), trust_domain="example.net", spiffe_id="spiffe://example.net")
    assert bundle.trust_domain == DOMAIN


@pytest.mark.parametrize(
    "entry",
    [
        jwt_entry(use="tls"),
        jwt_entry(use=None),
        jwt_entry(use="JWT-SVID"),
        jwt_entry(use=7),
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "use": "jwt-svid", "kid": "a"},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "use": "jwt-svid"},
        jwt_entry(crv="secp256k1"),
        jwt_entry(alg="ES512"),
        jwt_entry(alg="ESP256"),
        jwt_entry(key_ops=["sign"]),
        jwt_entry(key_ops="verify"),
        x509_entry(x5c=None),
        x509_entry(x5c=[]),
        x509_entry(kty="AKP", kid="a"),
        {"use": "later-svid"},
    ],
)
def test_a_key_of_an_unknown_kind_or_use_is_ignored_and_the_others_count(entry: dict[str, Any]) -> None:
    bundle = read(entry, jwt_entry(kid="good"))
    assert list(bundle.jwt_authorities) == ["good"]
    assert bundle.x509_authorities == ()


def test_rsa_keys_of_less_than_2048_bits_or_with_a_huge_exponent_are_no_keys() -> None:
    big = json.loads(jwk_text(rsa_key().public_key()))
    assert read(jwt_entry(key=None, **big)).jwt_authorities != {}
    for changes in (
        {"n": to_base64url(b"\xff" * 255)},
        {"n": to_base64url(b"\x7f" + b"\xff" * 255)},
        {"n": to_base64url(b"\xff" * 1025)},
        {"e": to_base64url(b"\xff" * 4)},
    ):
        assert read({**big, "use": "jwt-svid", "kid": "a", **changes}).is_empty


def test_an_rsa_key_keeps_the_algorithm_that_narrows_it_and_an_ec_key_needs_none() -> None:
    rsa_members = json.loads(jwk_text(rsa_key().public_key(), alg="PS256"))
    assert rsa_members["alg"] == "PS256"
    narrowed = read({**rsa_members, "use": "jwt-svid", "kid": "a"}).jwt_authorities["a"]
    assert json.loads(narrowed) == rsa_members
    assert "alg" not in json.loads(read(jwt_entry(alg="ES256")).jwt_authorities["key-1"])


def test_members_that_say_nothing_about_the_key_are_dropped() -> None:
    entry = jwt_entry(key_ops=["verify"], x5t="abc", note={"a": 1})
    assert read(entry) == read(jwt_entry())


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        (["key"], "bundle.key"),
        ([jwt_entry(kid=None)], "bundle.kid"),
        ([jwt_entry(kid="")], "bundle.kid"),
        ([jwt_entry(kid=5)], "bundle.kid"),
        ([jwt_entry(kid="k" * (KID_CHARS_MAX + 1))], "bundle.kid"),
        ([jwt_entry(), jwt_entry()], "bundle.kid"),
        ([jwt_entry(use="wit-svid", kid=None)], "bundle.kid"),
        ([jwt_entry(use="wit-svid"), jwt_entry(use="wit-svid")], "bundle.kid"),
        ([jwt_entry(), jwt_entry(use="wit-svid")], "bundle.kid"),
        ([jwt_entry(kty=None)], "bundle.key"),
        ([jwt_entry(crv=None)], "bundle.key"),
        ([jwt_entry(x=None)], "bundle.key"),
        ([jwt_entry(x="AAAA")], "bundle.key"),
        ([jwt_entry(x="A" * 43, y="A" * 43)], "bundle.key"),
        ([jwt_entry(x="=" + "A" * 42)], "bundle.key"),
        ([jwt_entry(x="A" * 42 + "B")], "bundle.key"),
        ([jwt_entry(d="AAAA")], "bundle.key"),
        ([jwt_entry(kty="oct", k="AAAA")], "bundle.key"),
        ([jwt_entry(kty="RSA", n="AAAA", e="AQAB")], "bundle.key"),
        ([jwt_entry(kty="RSA", n=to_base64url(b"\xff" * 256), e="Ag")], "bundle.key"),
        ([x509_entry(kid="a")], "bundle.kid"),
        ([x509_entry(x5c="AAAA")], "bundle.authority"),
        ([x509_entry(x5c=[5])], "bundle.authority"),
        ([x509_entry(x5c=["AAA="])], "bundle.authority"),
        ([x509_entry(x5c=["!!!!"])], "bundle.authority"),
        ([x509_entry(x5c=["AAB="])], "bundle.authority"),
        ([x509_entry(x5c=[""])], "bundle.authority"),
        ([x509_entry(key=ec_key("tokens"))], "bundle.key"),
    ],
)
def test_a_broken_key_spoils_the_whole_document(entries: list[Any], code: str) -> None:
    assert refusal(*entries, jwt_entry(kid="good")) == code


def test_an_x509_entry_has_exactly_one_certificate() -> None:
    text = b64encode(root().der).decode()
    assert refusal(x509_entry(x5c=[text, text])) == "bundle.authority"


def test_an_authority_that_may_not_sign_is_refused() -> None:
    own = root()
    for der in (
        signer("root", key=own.key, authority=False).der,
        signer("root", key=own.key, authority=None).der,
        signer("root", key=own.key, flags=("digital_signature",)).der,
        signer("root", key=own.key, flags=None).der,
        signer("root", key=own.key, uris=("spiffe://example.org/agent",)).der,
        signer("root", key=own.key, uris=("spiffe://example.org", "spiffe://example.net")).der,
        signer("root", key=own.key, uris=("https://example.org",)).der,
        certificate(issuer=own, key=own.key),
        own.der + b"\x00",
        own.der[:-1],
    ):
        assert refusal(x509_entry(der)) == "bundle.authority"


def test_an_authority_without_a_spiffe_id_or_of_another_domain_may_be_in_a_bundle() -> None:
    for uris in ((), ("spiffe://upstream.example",)):
        der = signer("root", key=root().key, uris=uris).der
        assert read(x509_entry(der)).x509_authorities == (der,)


def test_an_authority_given_twice_counts_once() -> None:
    assert read(x509_entry(), x509_entry()).x509_authorities == (root().der,)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "json.syntax"),
        (b"[]", "bundle.kind"),
        (b"{}", "bundle.keys"),
        (b'{"keys":{}}', "bundle.keys"),
        (b'{"keys":null}', "bundle.keys"),
        (b'{"keys":[],"keys":[]}', "json.duplicate_member"),
        (b'{"keys":[{"kty":"EC","kty":"RSA"}]}', "json.duplicate_member"),
        (b'{"keys":[],"spiffe_sequence":-1}', "bundle.sequence"),
        (b'{"keys":[],"spiffe_sequence":1.5}', "bundle.sequence"),
        (b'{"keys":[],"spiffe_sequence":true}', "bundle.sequence"),
        (b'{"keys":[],"spiffe_sequence":null}', "bundle.sequence"),
        (b'{"keys":[],"spiffe_sequence":"1"}', "bundle.sequence"),
        (b'{"keys":[],"spiffe_sequence":18446744073709551616}', "json.integer_range"),
        (b'{"keys":[],"spiffe_refresh_hint":-1}', "bundle.refresh_hint"),
        (b'{"keys":[],"spiffe_refresh_hint":"60"}', "bundle.refresh_hint"),
        (b'{"keys":[' + b"[" * 20 + b"]" * 20 + b"]}", "json.depth"),
    ],
)
def test_a_document_that_is_no_bundle_is_refused(text: bytes, code: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_bundle(text, domain=DOMAIN)
    assert caught.value.code == code


def test_size_and_number_of_keys_are_bounded() -> None:
    assert refusal(*[{"use": "other"}] * (KEYS_MAX + 1)) == "bundle.size"
    with pytest.raises(Malformed) as caught:
        parse_bundle(b" " * 2_000_000, domain=DOMAIN)
    assert caught.value.code == "json.size"


def test_a_bundle_cannot_be_changed_through_what_it_was_made_of() -> None:
    keys = {"a": jwk_text(ec_key("tokens").public_key())}
    bundle = TrustBundle(trust_domain=DOMAIN, jwt_authorities=keys)
    keys.clear()
    assert list(bundle.jwt_authorities) == ["a"]


def test_one_kid_for_a_jwt_key_and_a_wit_key_is_refused_when_a_bundle_is_made() -> None:
    jwk = jwk_text(ec_key("tokens").public_key())
    with pytest.raises(Malformed) as caught:
        TrustBundle(trust_domain=DOMAIN, jwt_authorities={"a": jwk}, wit_authorities={"a": jwk})
    assert caught.value.code == "bundle.kid"


def full_bundle() -> TrustBundle:
    return token_bundle(x509_authorities=(our_authority(), root().der), sequence=0, refresh_hint=300)


def test_what_was_written_reads_back_the_same() -> None:
    for bundle in (full_bundle(), TrustBundle(trust_domain=DOMAIN)):
        assert parse_bundle(encoded_bundle(bundle), domain=DOMAIN) == bundle


def test_the_jwt_bundle_holds_jwt_keys_with_kid_and_without_use() -> None:
    bundle = full_bundle()
    document = json.loads(encoded_jwt_bundle(bundle))
    assert document.keys() == {"keys"}
    (entry,) = document["keys"]
    assert entry.keys() == {"kty", "crv", "x", "y", "kid"}
    read_back = parse_jwt_bundle(encoded_jwt_bundle(bundle), domain=DOMAIN)
    assert read_back == TrustBundle(trust_domain=DOMAIN, jwt_authorities=bundle.jwt_authorities)
    wits = parse_wit_bundle(encoded_wit_bundle(bundle), domain=DOMAIN)
    assert wits == TrustBundle(trust_domain=DOMAIN, wit_authorities=bundle.wit_authorities)


def test_a_plain_key_set_with_keys_of_another_use_gives_only_its_own() -> None:
    bundle = parse_jwt_bundle(encoded_bundle(full_bundle()), domain=DOMAIN)
    assert list(bundle.jwt_authorities) == list(full_bundle().jwt_authorities)
    assert bundle.x509_authorities == ()
    assert not bundle.wit_authorities


def test_a_bundle_map_keeps_domains_apart_and_leaves_refresh_hints_out() -> None:
    ours = full_bundle()
    theirs = TrustBundle(trust_domain=OTHER_DOMAIN)
    read_back = parse_bundle_map(encoded_bundle_map({DOMAIN: ours, OTHER_DOMAIN: theirs}))
    assert read_back == {DOMAIN: replace(ours, refresh_hint=None), OTHER_DOMAIN: theirs}
    assert encoded_bundle_map({}) == b'{"trust_domains":{}}'


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"[]", "bundle.kind"),
        (b"{}", "bundle.kind"),
        (b'{"trust_domains":[]}', "bundle.kind"),
        (b'{"trust_domains":{"a.b":{"keys":[]},"a.b":{"keys":[]}}}', "json.duplicate_member"),
        (b'{"trust_domains":{"a.b":{"keys":[]},"A.b":{"keys":[]}}}', "spiffe_id.trust_domain"),
        (b'{"trust_domains":{"spiffe://a.b":{"keys":[]}}}', "spiffe_id.trust_domain"),
        (b'{"trust_domains":{"a.b":{}}}', "bundle.keys"),
        (b'{"trust_domains":{"a.b":[]}}', "bundle.kind"),
    ],
)
def test_a_bundle_map_with_a_fault_is_refused_whole(text: bytes, code: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_bundle_map(text)
    assert caught.value.code == code


def test_a_bundle_map_holds_a_bounded_number_of_domains() -> None:
    domains: dict[str, Any] = {f"d{n}.example": {"keys": []} for n in range(DOMAINS_MAX + 1)}
    with pytest.raises(Malformed) as caught:
        parse_bundle_map(json.dumps({"trust_domains": domains}).encode())
    assert caught.value.code == "bundle.size"


def test_a_key_on_another_curve_or_of_another_kind_has_no_jwk_here() -> None:
    for key in (ec.generate_private_key(ec.SECP256K1()), ed25519.Ed25519PrivateKey.generate()):
        with pytest.raises(Malformed) as caught:
            jwk_text(key.public_key())
        assert caught.value.code == "key.kind"
    with pytest.raises(Malformed) as caught:
        jwk_text(ec_key().public_key(), alg="RS256")
    assert caught.value.code == "key.algorithm"


def test_the_thumbprint_is_that_of_rfc_7638_whatever_algorithm_is_noted() -> None:
    # RFC 7638, section 3.1.
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi"
        "FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9"
        "c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1j"
        "F44-csFCur-kEgU8awapJzKnqDKgw"
    )
    jwk = read({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "use": "jwt-svid", "kid": "2011-04-29"})
    text = jwk.jwt_authorities["2011-04-29"]
    assert isinstance(parse(text.encode()), dict)
    assert thumbprint(text) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
