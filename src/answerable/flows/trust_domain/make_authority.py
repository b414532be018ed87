"""Create one authority generation, and check that stored keys are the ones it was created with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.core.identity.keys.port_key import PortKey
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.svid.authority import BACKDATE_MILLIS, Authority, key_names
from answerable.core.identity.svid.certificate_rules import check_signing, read_certificate
from answerable.core.identity.svid.svid_keys import jwk_text, thumbprint
from answerable.core.identity.svid.x509_svid import authority_certificate
from answerable.errors import Unverified, shown
from answerable.errors.codes.identity import (
    AUTHORITY_DOMAIN,
    AUTHORITY_KEY,
    AUTHORITY_KEYS_CHANGED,
    AUTHORITY_KEYS_MISSING,
)
from answerable.errors.codes.ledger import REGISTER_CORRUPT

if TYPE_CHECKING:
    from answerable.core.identity.names.spiffe_id import TrustDomain
    from answerable.core.identity.svid.authority import TrustLimits
    from answerable.ports.authority_keys import AuthorityKeys
    from answerable.ports.entropy import Entropy

PORT = "authority_keys"
SERIAL_BYTES = 20


def made_authority(
    authority_id: str,
    *,
    domain: TrustDomain,
    keys: AuthorityKeys,
    entropy: Entropy,
    now: UnixMillis,
    limits: TrustLimits,
) -> Authority:
    """Create three durable keys, and a certificate over the first. Raises Unavailable."""
    x509_name, jwt_name, wit_name = key_names(authority_id)
    public = keys.create(x509_name)
    jwt, wit = jwk_text(keys.create(jwt_name)), jwk_text(keys.create(wit_name))
    not_before = UnixMillis(whole_second(now) - BACKDATE_MILLIS)
    not_after = UnixMillis(whole_second(now) + limits.ca_seconds * 1000)
    certificate = authority_certificate(
        domain=domain,
        key=PortKey(public, lambda message: keys.sign(x509_name, message)),
        serial=new_serial(entropy),
        not_before=not_before,
        not_after=not_after,
    )
    return Authority(
        id=authority_id,
        state="prepared",
        certificate=certificate,
        jwt_kid=thumbprint(jwt),
        jwt_jwk=jwt,
        wit_kid=thumbprint(wit),
        wit_jwk=wit,
        not_before=not_before,
        not_after=not_after,
        prepared_at=now,
        since=now,
    )


def new_serial(entropy: Entropy) -> int:
    """Return 159 random bits, which fill the 20 octets of a serial number (RFC 5280, section 4.1.2.2)."""
    return int.from_bytes(entropy.bytes(SERIAL_BYTES), "big") >> 1 or 1


def whole_second(now: UnixMillis) -> UnixMillis:
    """Round down to a whole second, the resolution of certificates and claims."""
    return UnixMillis(now // 1000 * 1000)


def checked_keys(authority: Authority, keys: AuthorityKeys) -> tuple[PortKey, PortKey, PortKey]:
    """Return the X.509, JWT and WIT signing key of a generation.

    Raises Unavailable: `authority_keys.missing` if a key is missing, `authority_keys.changed` if a key is not the one
    the generation was created with, and what `keys` raises.
    """
    of_certificate = x509.load_der_x509_certificate(authority.certificate).public_key()
    if not isinstance(of_certificate, ec.EllipticCurvePublicKey):
        raise AUTHORITY_KEY(f"authority {authority.id} has no key on P-256")
    return (
        _checked_key(authority, authority.x509_key, jwk_text(of_certificate), keys),
        _checked_key(authority, authority.jwt_key, authority.jwt_jwk, keys),
        _checked_key(authority, authority.wit_key, authority.wit_jwk, keys),
    )


def require_ours(authority: Authority, domain: TrustDomain) -> None:
    """Raise Unavailable: `authority.domain` if the generation is of another trust domain, `register.corrupt` if its
    certificate is not an authority's."""
    try:
        name = check_signing(read_certificate(authority.certificate))
    except Unverified as error:
        message = f"authority {shown(authority.id, 40)} in the register cannot be read: {error.message}"
        raise REGISTER_CORRUPT(message, port=PORT) from None
    if name is None or name.trust_domain != domain:
        raise AUTHORITY_DOMAIN(
            f"authority {authority.id} belongs to trust domain {shown(name)}, but this server is "
            f"set to {shown(domain)}: restore the setting, or remove the authority, which "
            "invalidates everything that it signed"
        )


def _checked_key(authority: Authority, name: str, jwk: str, keys: AuthorityKeys) -> PortKey:
    found = keys.public(name)
    if found is None:
        raise AUTHORITY_KEYS_MISSING(
            f"the key `{name}` of the trust domain's {authority.state} authority is missing: "
            f"restore it from a backup, or remove authority {authority.id}, which invalidates "
            "everything that it signed"
        )
    if jwk_text(found) != jwk:
        raise AUTHORITY_KEYS_CHANGED(
            f"the key `{name}` does not belong to authority {authority.id}: restore its key from "
            "a backup, or remove the authority, which invalidates everything that it signed"
        )
    return PortKey(found, lambda message: keys.sign(name, message))
