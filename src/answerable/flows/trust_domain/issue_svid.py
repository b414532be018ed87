"""Issue SVIDs of this trust domain: X.509-SVID, JWT-SVID and WIT-SVID.

The caller has authenticated the workload; this flow checks only the name. Nothing is issued beyond the validity of the
signing authority. Each SVID is verified with this domain's own bundle before it is returned. Times are rounded down to
seconds, the resolution of certificates and claims.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from cryptography import x509

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.svid.jwt_svid import jwt_svid, verified_jwt_svid
from answerable.core.identity.svid.wit_svid import verified_wit_svid, wit_svid
from answerable.core.identity.svid.x509_svid import leaf_certificate, verified_x509_svid
from answerable.errors import Unavailable, Unverified, shown
from answerable.errors.codes.identity import SVID_ISSUE, SVID_ISSUED
from answerable.flows.trust_domain.make_authority import new_serial, whole_second

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.core.identity.svid.svid_keys import SVIDPublicKey
    from answerable.core.identity.svid.x509_svid import X509Svid
    from answerable.core.identity.workload.instance import ShownManifest
    from answerable.flows.trust_domain.keep_trust_domain import Signing, TrustDomainState
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy

LEAF_BACKDATE_MILLIS: Final = 30_000
"""An X.509-SVID is valid from this long before its issue, for clocks that are behind; never before its authority."""

_CHANGED_MEANWHILE: Final = frozenset(
    {"authority_keys.missing", "svid.path", "svid.kid", "svid.trust_domain"}
)
"""Errors from signing with an authority that is being withdrawn."""

Made = TypeVar("Made")


class SvidIssuer:
    """Issues SVIDs with the active authority. Thread-safe; blocks if the store of authority keys does.

    Each call raises Malformed (`svid.issue`) for an id that is not a workload of this trust domain, Unavailable
    (`authority.*`, `authority_keys.*`) if nothing may be signed now, and Broken (`svid.issued`) if the result does not
    verify, for example because of a wrong key.
    """

    def __init__(self, *, desk: TrustDomainState, clock: Clock, entropy: Entropy) -> None:
        self._desk = desk
        self._clock = clock
        self._entropy = entropy

    def x509(self, id: SpiffeId, public_key: SVIDPublicKey) -> X509Svid:
        """Issue a certificate over this key, whose possession the caller has checked. 1 hour unless the limits differ.

        Also raises Malformed (`svid.issue`) for an unsupported kind of key.
        """

        def made(signing: Signing, now: UnixMillis) -> X509Svid:
            authority = signing.authority
            leaf = leaf_certificate(
                id=id,
                public_key=public_key,
                issuer=x509.load_der_x509_certificate(authority.certificate),
                serial=new_serial(self._entropy),
                not_before=max(UnixMillis(whole_second(now) - LEAF_BACKDATE_MILLIS), authority.not_before),
                not_after=_end(signing, now, self._desk.limits.x509_seconds),
                sign=signing.x509,
            )
            return verified_x509_svid((leaf,), bundle_of=self._desk.bundle, now=now)

        return self._issued(id, made)

    def jwt(self, id: SpiffeId, audience: tuple[str, ...], *, manifest: ShownManifest | None = None) -> str:
        """Issue a JWT-SVID (a bearer token) for these audiences. 5 minutes unless the limits differ.

        `manifest`: the one the workload was measured against, as the caller has checked. Also raises as `jwt_svid` for
        invalid audiences.
        """

        def made(signing: Signing, now: UnixMillis) -> str:
            token = jwt_svid(
                id=id,
                audience=audience,
                issued_at=whole_second(now),
                expires_at=_end(signing, now, self._desk.limits.jwt_seconds),
                kid=signing.authority.jwt_kid,
                sign=signing.jwt,
                manifest=manifest,
            )
            verified_jwt_svid(token, audience=audience[0], bundle_of=self._desk.bundle, now=now)
            return token

        return self._issued(id, made)

    def wit(self, id: SpiffeId, jwk: str, *, manifest: ShownManifest | None = None) -> str:
        """Issue a WIT-SVID over this public key, with the lifetime of a JWT-SVID. `manifest`: as for `jwt`.

        Also raises as `wit_svid` for an invalid key.
        """

        def made(signing: Signing, now: UnixMillis) -> str:
            token = wit_svid(
                id=id,
                jwk=jwk,
                issued_at=whole_second(now),
                expires_at=_end(signing, now, self._desk.limits.jwt_seconds),
                kid=signing.authority.wit_kid,
                sign=signing.wit,
                jti=self._entropy.token(),
                manifest=manifest,
            )
            verified_wit_svid(token, bundle_of=self._desk.bundle, now=now)
            return token

        return self._issued(id, made)

    def _issued(self, name: SpiffeId, make: Callable[[Signing, UnixMillis], Made]) -> Made:
        if name.trust_domain != self._desk.domain or not name.path:
            message = f"{shown(name)} is not the id of a workload of trust domain {shown(self._desk.domain)}"
            raise SVID_ISSUE(message)
        now = self._clock.now()
        signing = self._desk.signing(now)
        try:
            try:
                return make(signing, now)
            except (Unavailable, Unverified) as error:
                if error.code not in _CHANGED_MEANWHILE:
                    raise
                # Another authority signs now, in this or another process, or this one's keys are lost.
                self._desk.refresh()
                after = self._desk.signing(now)
                if after.authority.id == signing.authority.id:
                    raise
                return make(after, now)
        except Unverified as error:
            raise SVID_ISSUED(
                f"a new SVID does not verify with this trust domain's bundle: {error.message}"
            ) from None


def _end(signing: Signing, now: UnixMillis, seconds: int) -> UnixMillis:
    return min(UnixMillis(whole_second(now) + seconds * 1000), signing.authority.not_after)
