"""Settings of the trust domain: SVIDs and their lifetimes, attestation, federation, and trusted issuers of people."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from answerable.core.identity.names.spiffe_id import trust_domain
from answerable.core.identity.people.person_issuer import LOGIN_SECONDS_MAX, PersonIssuer
from answerable.core.identity.svid.federation import federation_sources
from answerable.core.identity.workload.broker_grant import broker_grants
from answerable.core.identity.workload.oidc_shapes import Kind
from answerable.core.identity.workload.sidecars import sidecars_in
from answerable.errors import Malformed
from answerable.errors.codes.services import SETTINGS_PERSON_ISSUERS
from answerable.setting_fields import about, flag, number, reference, text, texts

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySettings:
    """Workload identity. The Unix socket answers every user of this machine: the kernel identifies the caller."""

    trust_domain: str = text(
        "answerable.local", "name of the trust domain; choose your own before the first SVID is issued"
    )
    socket: Path = field(
        default=Path("workload.sock"),
        metadata=about(
            "Unix socket of the SPIFFE Workload API; outside the data directory for workloads of other users",
            unit="path",
        ),
    )
    wit: bool = flag(False, "offer WIT-SVIDs on the Workload API (incubating in SPIFFE)")
    broker: bool = flag(
        False,
        "offer the SPIFFE Broker API to agents that are registered as brokers and listed in `brokers` (incubating)",
    )
    brokers: tuple[str, ...] = texts(
        (),
        "who may fetch documents for whom, each `BROKER WORKLOAD [WORKLOAD ...]`; both are written `agent:NAME`, "
        "`spiffe://TRUST-DOMAIN/agent/NAME`, or as the kernel measures them, such as `unix:uid:1000`",
    )
    sidecars: tuple[str, ...] = texts(
        ("agent-up",),
        "whose measurements of agents count as measured by our sidecar: `agent-up` for our own "
        "`answerable agent up` on this machine, a method of attestation (`join_token`, `oidc`, `x509_pop`, "
        "`ssh_host_key`, `unix`), or selectors with blanks between them; those of all others count as claims",
    )
    sds: bool = flag(False, "offer secret discovery for Envoy beside the Workload API")
    x509_seconds: int = number(3_600, "lifetime of an X.509-SVID", unit="seconds", minimum=60, maximum=86_400)
    jwt_seconds: int = number(300, "lifetime of a JWT-SVID", unit="seconds", minimum=30, maximum=3_600)
    authority_seconds: int = number(
        86_400,
        "lifetime of a signing key of the trust domain",
        unit="seconds",
        minimum=600,
        maximum=31_536_000,
    )
    refresh_hint_seconds: int = number(
        300, "how often others should fetch our bundle", unit="seconds", minimum=10, maximum=86_400
    )
    instance_seconds: int = number(
        3_600, "lifetime of an enrolment; renewed at half of it", unit="seconds", minimum=60, maximum=86_400
    )
    dormant_days: int = number(
        90,
        "days of uptime without an action of an agent after which it is suspended; set alike in all shards; 0 never",
        unit="days",
        minimum=0,
        maximum=3_650,
    )
    dormant_round_seconds: int = number(
        3_600, "how often dormant agents are looked for", unit="seconds", minimum=1, maximum=86_400
    )
    pkcs11_module: str = text(
        "", "library of an HSM that holds the signing keys (PKCS #11); empty keeps them in files", unit="path"
    )
    pkcs11_token: str = text("", "label of the token in it")
    pkcs11_pin: str = reference("its PIN")
    oidc_issuers: tuple[str, ...] = texts(
        (),
        "issuers whose workload tokens attest, each `URL AUDIENCE [KIND]`; KIND is oidc, kubernetes, github, aws, gcp "
        "or azure",
    )
    person_issuers: tuple[str, ...] = texts(
        (),
        "OpenID providers whose people may give mandates through applications, each `URL CLIENT-ID [SECONDS]`; "
        "SECONDS is how long ago they may have logged in, 3600 if left out",
    )
    x509_pop_ca: str = reference("authorities whose certificates attest by proof of possession, PEM")
    ssh_ca: str = reference(
        "SSH hosts that attest, as lines of known_hosts: `@cert-authority PATTERN KEY`, `HOST KEY`, `@revoked * KEY`"
    )
    bundle_host: str = text("127.0.0.1", "address of the bundle endpoint")
    bundle_port: int = number(
        0, "TCP port of the bundle endpoint; 0 opens none", unit="port", minimum=0, maximum=65_535
    )
    bundle_certificate: str = reference(
        "its certificate chain, PEM (profile https_web); empty presents an X.509-SVID of ours (https_spiffe)"
    )
    bundle_key: str = reference("private key of that certificate, PEM")
    federation: tuple[str, ...] = texts(
        (), "foreign trust domains, each `TRUST-DOMAIN PROFILE ADDRESS [SPIFFE-ID [FILE]]`"
    )


def identity_faults(settings: IdentitySettings) -> Iterator[tuple[str, str]]:
    """Yield each faulty key of the trust domain with the fault."""
    try:
        own = trust_domain(settings.trust_domain)
    except Malformed as fault:
        yield "identity.trust_domain", fault.message
        return
    try:
        federation_sources(settings.federation, own=own)
    except Malformed as fault:
        yield "identity.federation", fault.message
    try:
        broker_grants(settings.brokers, own=own)
    except Malformed as fault:
        yield "identity.brokers", fault.message
    try:
        sidecars_in(settings.sidecars)
    except Malformed as fault:
        yield "identity.sidecars", fault.message
    if settings.authority_seconds < 6 * settings.x509_seconds:
        yield (
            "identity.authority_seconds",
            f"must be at least 6 times `x509_seconds` ({settings.x509_seconds} s), so that no key is replaced "
            "before its last SVID expires",
        )
    elif settings.authority_seconds < max(
        6 * settings.jwt_seconds, 3 * (settings.refresh_hint_seconds + settings.x509_seconds // 2 + 1)
    ):
        yield (
            "identity.authority_seconds",
            "must be at least 6 times `jwt_seconds`, and 3 times the sum of `refresh_hint_seconds` and half of "
            "`x509_seconds`, in which new keys are announced",
        )
    if bool(settings.pkcs11_module) != bool(settings.pkcs11_token and settings.pkcs11_pin):
        yield (
            "identity.pkcs11_module",
            "an HSM needs all of `pkcs11_module`, `pkcs11_token` and `pkcs11_pin`",
        )
    if bool(settings.bundle_certificate) != bool(settings.bundle_key):
        yield "identity.bundle_certificate", "a certificate and its key are set together"
    for issuer in settings.oidc_issuers:
        words = issuer.split()
        good = len(words) in (2, 3) and words[0].startswith(("https://", "http://"))
        if not good or (len(words) == 3 and words[2] not in get_args(Kind)):
            yield (
                "identity.oidc_issuers",
                "each is `URL AUDIENCE [KIND]`, such as `https://issuer.example answerable github`; KIND is one of "
                f"{', '.join(get_args(Kind))}",
            )
    try:
        person_issuers(settings)
    except Malformed as fault:
        yield "identity.person_issuers", fault.message


def person_issuers(settings: IdentitySettings) -> tuple[PersonIssuer, ...]:
    """Return the issuers whose people may sign in. Raises Malformed (`settings.person_issuers`)."""
    found: dict[str, PersonIssuer] = {}
    for one in settings.person_issuers:
        words = one.split()
        seconds = words[2] if len(words) == 3 else str(LOGIN_SECONDS_MAX)
        good = len(words) in (2, 3) and words[0].startswith(("https://", "http://")) and words[0] not in found
        if not good or not seconds.isascii() or not seconds.isdigit() or not 1 <= int(seconds) <= 86_400:
            raise SETTINGS_PERSON_ISSUERS()
        found[words[0]] = PersonIssuer(issuer=words[0], audience=words[1], login_seconds_max=int(seconds))
    return tuple(found.values())
