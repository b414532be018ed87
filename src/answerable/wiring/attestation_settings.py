"""Read from settings and their files whom workloads may be attested by."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from answerable.core.identity.workload.oidc_claims import LIFETIME_SECONDS_MAX, IssuerTerms
from answerable.core.identity.workload.oidc_shapes import LIFETIME_SECONDS_MAX as LONGEST_SHAPED
from answerable.core.identity.workload.ssh_host import ssh_trust
from answerable.core.identity.workload.x509_pop import authorities_in
from answerable.flows.trust_domain.attest_workload import NO_SSH
from answerable.wiring.identity_settings import person_issuers
from answerable.wiring.settings import secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.x509 import Certificate

    from answerable.adapters.oidc import IssuerSource
    from answerable.core.identity.workload.oidc_shapes import Kind
    from answerable.core.identity.workload.ssh_host import SshTrust
    from answerable.wiring.setting_tree import Settings


def issuer_terms(settings: Settings) -> Iterator[IssuerTerms]:
    """Yield the issuers whose tokens attest workloads, with their terms."""
    for one in settings.identity.oidc_issuers:
        url, audience, *kind = one.split()
        named = cast("Kind", kind[0] if kind else "oidc")
        longest = LONGEST_SHAPED.get(named, LIFETIME_SECONDS_MAX)
        yield IssuerTerms(issuer=url, audience=audience, kind=named, lifetime_seconds_max=longest)


def issuer_sources(settings: Settings) -> list[IssuerSource]:
    """Return where the keys of each issuer are asked for. Raises Malformed (`issuer.url`)."""
    from answerable.adapters.oidc import issuer_source

    issuers = [one.issuer for one in issuer_terms(settings)]
    issuers += [one.issuer for one in person_issuers(settings.identity)]
    return [issuer_source(issuer) for issuer in dict.fromkeys(issuers)]


def x509_authorities(settings: Settings) -> tuple[Certificate, ...]:
    """Return the authorities whose certificates attest workloads. Raises Malformed (`x509_pop.authorities`), and as
    `secret`."""
    wanted = settings.identity.x509_pop_ca
    return authorities_in(secret(wanted, data=settings.data)) if wanted else ()


def known_hosts(settings: Settings) -> SshTrust:
    """Return the SSH keys that attest workloads. Raises Malformed (`ssh.known_hosts`), and as `secret`."""
    wanted = settings.identity.ssh_ca
    return ssh_trust(secret(wanted, data=settings.data).decode("utf-8", "replace")) if wanted else NO_SSH
