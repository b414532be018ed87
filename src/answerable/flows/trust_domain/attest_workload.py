"""Attest a workload: from what it presents and what was measured to verified evidence.

Every method returns an `Evidence` or raises; `core.identity.attestation.matching_agent` decides which agent it is.
Grade: `kernel` for facts from this machine's kernel, `gateway` for facts that the gateway verified itself.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import load_der_public_key

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.svid.jwt_svid import verified_jwt_svid
from answerable.core.identity.svid.x509_svid import verified_x509_svid
from answerable.core.identity.workload.attestation import (
    STEP,
    checked_evidence,
    enrolment_audience,
    possession_message,
    selector,
    spiffe_selectors,
)
from answerable.core.identity.workload.challenge import SECRET_BYTES, Challenges
from answerable.core.identity.workload.client_certificate import standing_certificate
from answerable.core.identity.workload.join_token import (
    KEPT_SECONDS,
    LIFETIME_SECONDS,
    join_token,
    join_token_digest,
    join_token_text,
)
from answerable.core.identity.workload.join_token import SECRET_BYTES as JOIN_SECRET_BYTES
from answerable.core.identity.workload.oidc_claims import token_hint, verified_workload
from answerable.core.identity.workload.ssh_host import SshTrust, verified_ssh_host
from answerable.core.identity.workload.x509_pop import check_possession, verified_x509_pop
from answerable.errors import shown
from answerable.errors.codes.identity import SVID_AUDIENCE
from answerable.errors.codes.workloads import (
    ATTESTATION_OWN_DOMAIN,
    ATTESTATION_TOO_LONG,
    JOIN_TOKEN_REFUSED,
    OIDC_ISSUER,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cryptography import x509

    from answerable.core.identity.names.principal import AgentId
    from answerable.core.identity.names.spiffe_id import SpiffeId, TrustDomain
    from answerable.core.identity.svid.trust_bundle import TrustBundle
    from answerable.core.identity.workload.evidence import Evidence
    from answerable.core.identity.workload.oidc_claims import IssuerTerms
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.ports.issuer_keys import IssuerKeys
    from answerable.ports.join_tokens import JoinTokens
    from answerable.ports.process_observer import ProcessFacts
    from answerable.ports.trust_source import TrustSource

NO_SSH: Final = SshTrust(authorities={}, hosts={}, revoked=frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationTerms:
    """Trusted attestation sources. `issuers`: OIDC issuers. `authorities`: of certificates. `ssh`: authorities and host
    keys.

    If all are empty, only the kernel and this deployment's join tokens are trusted.
    """

    issuers: tuple[IssuerTerms, ...] = ()
    authorities: tuple[x509.Certificate, ...] = ()
    ssh: SshTrust = NO_SSH


class Attestor:
    """Verifies what workloads present. Thread-safe; only `oidc` waits for other systems."""

    def __init__(
        self,
        *,
        clock: Clock,
        entropy: Entropy,
        tokens: JoinTokens,
        keys: IssuerKeys,
        terms: AttestationTerms,
        domain: TrustDomain,
        trust: TrustSource,
    ) -> None:
        """`domain`: this deployment's own. `trust`: bundles of foreign domains, used to verify their SVIDs."""
        self._domain = domain
        self._trust = trust
        self._clock = clock
        self._entropy = entropy
        self._tokens = tokens
        self._keys = keys
        self._terms = terms
        self._issuers: Mapping[str, IssuerTerms] = {one.issuer: one for one in terms.issuers}
        self._challenges = Challenges(secret=entropy.bytes(SECRET_BYTES))
        self._lock = threading.Lock()

    def challenge(self) -> str:
        """Return a challenge for a certificate's or host's key to sign: valid once, for 60 seconds, in this process."""
        with self._lock:
            return self._challenges.issue(self._entropy.token(), at=self._clock.monotonic())

    def unix(self, facts: ProcessFacts) -> Evidence:
        """Return evidence from what the kernel reported about a local process."""
        return checked_evidence("unix", "kernel", facts.selectors())

    def new_join_token(
        self,
        name: str,
        agent: AgentId,
        *,
        extra: Iterable[str] = (),
        seconds: int = LIFETIME_SECONDS,
    ) -> str:
        """Create a join token; its text is returned only here. Also deletes old join tokens.

        Raises Malformed (`name.invalid`, `attestation.selector`, `join_token.selector`, `join_token.lifetime`,
        `join_token.full`) and Unavailable.
        """
        text = join_token_text(self._entropy.bytes(JOIN_SECRET_BYTES))
        now = self._clock.now()
        self._tokens.forget(before=UnixMillis(now - KEPT_SECONDS * 1000))
        self._tokens.add(join_token(text, name=name, agent=agent, extra=extra, now=now, seconds=seconds))
        return text

    def join_token(self, token: str) -> Evidence:
        """Use up a join token.

        Raises Unverified (`join_token.refused`), the same for an unknown, used or expired token, and Unavailable.
        """
        digest = join_token_digest(token)
        found = self._tokens.consume(digest, now=self._clock.now())
        if found is None:
            raise JOIN_TOKEN_REFUSED("the join token is unknown, was used before, or has expired")
        return replace(checked_evidence("join_token", "gateway", found.selectors), join_token=digest.hex())

    async def oidc(self, token: str, audience: str = "") -> Evidence:
        """Return evidence from a token of a configured issuer. `audience`: expected instead of the configured one, if
        given.

        This is a bearer token: anyone who has it can present it until it expires. Raises Malformed (`oidc.*`),
        Unverified (`oidc.*`) and Unavailable (`issuer.*`).
        """
        hint = token_hint(token)
        terms = self._issuers.get(hint.issuer)
        if terms is None or (audience and audience != terms.audience):
            what = "for another audience" if terms else "not configured"
            raise OIDC_ISSUER(f"issuer {shown(hint.issuer)} is {what}")
        key_set = await self._keys.key_set(terms.issuer, kid=hint.kid)
        if key_set is None:
            raise OIDC_ISSUER(f"issuer {shown(hint.issuer)} has no configured key source")
        found = verified_workload(token, key_set=key_set, terms=terms, now=self._clock.now())
        return checked_evidence("oidc", "gateway", found.selectors)

    def x509_pop(
        self, chain: Sequence[bytes], signature: bytes, challenge: str, key_thumbprint: str
    ) -> Evidence:
        """Return evidence from a certificate (DER, leaf first) whose key signed the challenge and the enrolment key.

        Raises Malformed (`x509_pop.malformed`, `attestation.message`), Unverified (`challenge.*`, `x509_pop.*`).
        """
        self._challenges.check(challenge, at=self._clock.monotonic())
        selectors = verified_x509_pop(
            chain,
            signature=signature,
            message=possession_message(challenge, key_thumbprint),
            authorities=self._terms.authorities,
            now=self._clock.now(),
        )
        self._take(challenge)
        return checked_evidence("x509_pop", "gateway", selectors)

    def ssh(self, identity: str, signature: str, challenge: str, key_thumbprint: str) -> Evidence:
        """Return evidence from an SSH host key or host certificate whose key signed the challenge and the enrolment
        key.

        Raises Malformed (`ssh.malformed`, `attestation.message`), Unverified (`challenge.*`, `ssh.*`).
        """
        self._challenges.check(challenge, at=self._clock.monotonic())
        selectors = verified_ssh_host(
            identity,
            signature=signature,
            message=possession_message(challenge, key_thumbprint),
            trust=self._terms.ssh,
            now=self._clock.now(),
        )
        self._take(challenge)
        return checked_evidence("ssh_host_key", "gateway", selectors)

    def x509_svid(
        self, chain: Sequence[bytes], signature: bytes, challenge: str, key_thumbprint: str
    ) -> Evidence:
        """Return evidence from a foreign X.509-SVID (DER, leaf first) whose key signed the challenge and the enrolment
        key.

        Raises Malformed (`attestation.message`) and Unverified (`challenge.*`, `svid.*`, `x509_pop.signature`,
        `attestation.own_domain`, `attestation.too_long`, `attestation.too_many`).
        """
        self._challenges.check(challenge, at=self._clock.monotonic())
        svid = verified_x509_svid(chain, bundle_of=self._foreign_bundle, now=self._clock.now())
        message = possession_message(challenge, key_thumbprint)
        check_possession(load_der_public_key(svid.public_key), signature, message)
        self._take(challenge)
        return self._named(svid.id)

    def jwt_svid(self, token: str, key_thumbprint: str) -> Evidence:
        """Return evidence from a foreign JWT-SVID whose only audience is the enrolment of this key.

        Raises Malformed (`svid.malformed`) and Unverified (`svid.*`, and `attestation.*` as `x509_svid`).
        """
        audience = enrolment_audience(self._domain, key_thumbprint)
        svid = verified_jwt_svid(
            token, audience=audience, bundle_of=self._foreign_bundle, now=self._clock.now()
        )
        if svid.audience != (audience,):
            raise SVID_AUDIENCE("the token has other audiences, expected only this trust domain", step=STEP)
        return self._named(svid.id)

    def mtls(self, certificate: bytes) -> Evidence:
        """Return evidence from the client certificate (DER) of a TLS connection, whose handshake proved its key.

        Raises Unverified (`mtls.certificate`, `mtls.expired`): a connection may outlive its certificate.
        """
        digest = standing_certificate(certificate, now=self._clock.now())
        return checked_evidence("mtls", "gateway", selector("mtls", "sha256", digest))

    def _named(self, identity: SpiffeId) -> Evidence:
        found = spiffe_selectors(identity)
        if f"spiffe:id:{identity}" not in found:
            # The trust domain that vouches for an instance is read from this one selector during its whole life.
            raise ATTESTATION_TOO_LONG()
        return checked_evidence("spiffe", "gateway", found)

    def _foreign_bundle(self, domain: TrustDomain) -> TrustBundle | None:
        """Return a foreign bundle; refuse the own domain. A workload with an SVID of the own domain is or was an
        instance, and an ended instance must not come back by an SVID that it still holds."""
        if domain == self._domain:
            raise ATTESTATION_OWN_DOMAIN(
                f"an SVID of this trust domain {shown(domain)} cannot be used to enrol: use the "
                "key of its instance"
            )
        return self._trust.bundle(domain)

    def _take(self, challenge: str) -> None:
        # Only after the proof: a caller without the key must not use up another caller's challenge.
        with self._lock:
            self._challenges.take(challenge, at=self._clock.monotonic())
