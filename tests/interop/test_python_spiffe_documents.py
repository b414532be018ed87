"""The documents that we make, read by the `spiffe` package of others (it knows no WIT-SVIDs)."""

from __future__ import annotations

import warnings

import pytest
import spiffe
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.svid.jwt_svid import jwt_svid, verified_jwt_svid
from answerable.core.identity.svid.trust_bundle import encoded_jwt_bundle
from tests.worlds.svid import AGENT, DOMAIN, KID, ec_key, only, our_authority, our_leaf, rsa_key, token_bundle


@pytest.mark.requirement("SPIFFE-08")
def test_our_leaf_is_an_x509_svid_to_others() -> None:
    key = ec_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    svid = spiffe.X509Svid.parse_raw(our_leaf(), key)
    assert str(svid.spiffe_id) == str(AGENT)


@pytest.mark.requirement("SPIFFE-08")
@pytest.mark.parametrize("key", [ec_key("tokens"), rsa_key()])
def test_our_jwt_bundle_is_one_to_others_and_our_token_verifies_under_it(key: object) -> None:
    domain = spiffe.TrustDomain(DOMAIN)
    bundle = token_bundle(key)
    theirs = spiffe.JwtBundle.parse(domain, encoded_jwt_bundle(bundle))
    assert theirs.jwt_authorities.keys() == bundle.jwt_authorities.keys()


@pytest.mark.requirement("SPIFFE-08")
def test_our_token_verifies_with_others_at_present_and_not_when_changed() -> None:
    # Their reader takes the time from the machine, so this token lives from 2026 to 2100.
    text = jwt_svid(
        id=AGENT,
        audience=("bank",),
        issued_at=UnixMillis(1_767_225_600_000),
        expires_at=UnixMillis(4_102_444_800_000),
        kid=KID,
        sign=ec_key("tokens"),
    )
    now = UnixMillis(1_795_500_000_000)
    assert verified_jwt_svid(text, audience="bank", bundle_of=only(token_bundle()), now=now).id == AGENT
    bundle = spiffe.JwtBundle.parse(spiffe.TrustDomain(DOMAIN), encoded_jwt_bundle(token_bundle()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = spiffe.JwtSvid.parse_and_validate(text, bundle, {"bank"})
        assert (str(read.spiffe_id), set(read.audience)) == (str(AGENT), {"bank"})
        for changed, audience in (
            (text[:-2] + ("AA" if text[-2:] != "AA" else "BA"), "bank"),
            (text, "shop"),
        ):
            with pytest.raises(Exception):  # noqa: B017 - whatever theirs is called
                spiffe.JwtSvid.parse_and_validate(changed, bundle, {audience})


@pytest.mark.requirement("SPIFFE-08")
def test_our_authority_is_an_x509_bundle_to_others() -> None:
    theirs = spiffe.X509Bundle.parse_raw(spiffe.TrustDomain(DOMAIN), our_authority())
    (read,) = theirs.x509_authorities
    assert read.public_bytes(Encoding.DER) == our_authority()
