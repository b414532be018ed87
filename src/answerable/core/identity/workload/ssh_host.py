"""Attest SSH hosts: by a host certificate that a configured authority signed, or by a known host key.

Laws: a certificate counts if it is a host certificate, not a user's, is valid now, has no critical option, names hosts
without wildcards, and its authority is trusted for each name; an authority signs with Ed25519, ECDSA or RSA with SHA-2;
a revoked key counts nowhere (OpenSSH, PROTOCOL.certkeys; sshd(8), known hosts).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import ssh

from answerable.core.identity.workload.attestation import DOMAIN_TAG, selector
from answerable.core.identity.workload.ssh_signature import (
    UNREADABLE,
    check_signature,
    checked_key,
    fingerprint,
    read_identity,
    read_signature,
    wire_form,
    wire_of_line,
)
from answerable.errors import Malformed
from answerable.errors.codes.workloads import (
    SSH_CERTIFICATE,
    SSH_EXPIRED,
    SSH_KEY,
    SSH_KNOWN_HOSTS,
    SSH_MALFORMED,
    SSH_REVOKED,
    SSH_UNKNOWN,
)

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.workload.ssh_signature import SshKey

KNOWN_MAX: Final = 10_000
TEXT_CHARS_MAX: Final = 8_388_608
NAMES_MAX: Final = 32

_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9.:_-]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class SshTrust:
    """The trusted SSH keys, by fingerprint. authorities: with the patterns of host names that they may certify: a name,
    `*.` and a domain, or `*`. hosts: known host keys with their names. revoked: keys trusted as neither."""

    authorities: dict[str, tuple[str, ...]]
    hosts: dict[str, tuple[str, ...]]
    revoked: frozenset[str]


def ssh_trust(text: str) -> SshTrust:
    """Read configured keys in the format of OpenSSH's `known_hosts`: `HOST,HOST KEY`, `@cert-authority PATTERN,.. KEY`,
    `@revoked * KEY`; empty lines and `#` comments are skipped. Raises Malformed (`ssh.known_hosts`) with the line."""
    authorities: dict[str, tuple[str, ...]] = {}
    hosts: dict[str, tuple[str, ...]] = {}
    revoked: set[str] = set()
    lines = text.splitlines() if len(text) <= TEXT_CHARS_MAX else []
    if (not lines and text) or len(lines) > KNOWN_MAX:
        raise SSH_KNOWN_HOSTS(f"expected at most {KNOWN_MAX} known hosts")
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        marker, rest = line.split(None, 1) if line.startswith("@") and " " in line else ("", line)
        names, _, key_text = rest.strip().partition(" ")
        try:
            key = read_identity(key_text.strip())
            if isinstance(key, ssh.SSHCertificate):
                raise SSH_MALFORMED("a certificate cannot be a known key")
            patterns = tuple(_checked_pattern(name) for name in names.split(",") if marker != "@revoked")
        except Malformed as fault:
            raise SSH_KNOWN_HOSTS(f"known hosts, line {number}: {fault.message}") from None
        mark = fingerprint(key)
        if marker == "@revoked":
            revoked.add(mark)
        elif marker == "@cert-authority":
            authorities[mark] = authorities.get(mark, ()) + patterns
        elif marker or any("*" in name for name in patterns):
            raise SSH_KNOWN_HOSTS(f"known hosts, line {number}: not understood")
        else:
            hosts[mark] = hosts.get(mark, ()) + patterns
    return SshTrust(authorities=authorities, hosts=hosts, revoked=frozenset(revoked))


def verified_ssh_host(
    identity: str, *, signature: str, message: bytes, trust: SshTrust, now: UnixMillis
) -> tuple[str, ...]:
    """Return the selectors of a host whose key signed `message`, sorted.

    identity: host key or host certificate, one line as in its `.pub` file. signature: output of `ssh-keygen -Y sign -n
    answerable-enrol`. Raises Malformed (`ssh.malformed`) and Unverified (`ssh.certificate`, `ssh.expired`,
    `ssh.unknown`, `ssh.revoked`, `ssh.key`, `ssh.namespace`, `ssh.algorithm`, `ssh.signature`).
    """
    found = read_identity(identity)
    made = read_signature(signature)
    wires: tuple[bytes, ...]
    if isinstance(found, ssh.SSHCertificate):
        key = checked_key(found.public_key())
        measured = _by_certificate(found, trust, now)
        wires = (wire_form(key), wire_of_line(found.public_bytes()))
    else:
        key = found
        measured = _by_key(key, trust)
        wires = (wire_form(key),)
    if fingerprint(key) in trust.revoked:
        raise SSH_REVOKED("the host key was revoked")
    # The key named in the signature proves nothing; it must equal the presented key or certificate.
    if made.public not in wires:
        raise SSH_KEY()
    check_signature(made, key, namespace=DOMAIN_TAG, message=message)
    own = selector("ssh", "key", fingerprint(key))
    return tuple(sorted({*measured, *own}))


def _by_key(key: SshKey, trust: SshTrust) -> set[str]:
    names = trust.hosts.get(fingerprint(key))
    if names is None:
        raise SSH_UNKNOWN("the host key is not known, and it came without a certificate")
    return {text for name in names for text in selector("ssh", "host", name)}


def _by_certificate(certificate: ssh.SSHCertificate, trust: SshTrust, now: UnixMillis) -> set[str]:
    if certificate.type is not ssh.SSHCertificateType.HOST:
        raise SSH_CERTIFICATE("expected a host certificate, got one of a user")
    try:
        authority = checked_key(certificate.signature_key())
    except (*UNREADABLE, Malformed):
        raise SSH_CERTIFICATE("the certificate is not signed by a key that is accepted") from None
    mark = fingerprint(authority)
    if mark in trust.revoked:
        raise SSH_REVOKED("the authority of the certificate was revoked")
    if mark not in trust.authorities:
        raise SSH_UNKNOWN("the authority of the certificate is not configured")
    _check_authority_signature(certificate, authority)
    if not certificate.valid_after <= now // 1000 < certificate.valid_before:
        raise SSH_EXPIRED()
    if certificate.critical_options:
        raise SSH_CERTIFICATE("the certificate has a critical option; hosts have none")
    names = [one.decode("ascii", "replace") for one in certificate.valid_principals]
    if not 1 <= len(names) <= NAMES_MAX or not all(_HOST.fullmatch(name) for name in names):
        message = f"the certificate does not name 1 to {NAMES_MAX} hosts in lower case and without wildcards"
        raise SSH_CERTIFICATE(message)
    patterns = trust.authorities[mark]
    if not all(any(_covers(pattern, name) for pattern in patterns) for name in names):
        raise SSH_CERTIFICATE("the authority is not trusted for a host that the certificate names")
    return {
        *(text for name in names for text in selector("ssh", "host", name)),
        *selector("ssh", "ca", mark),
    }


def _check_authority_signature(certificate: ssh.SSHCertificate, authority: SshKey) -> None:
    if isinstance(authority, rsa.RSAPublicKey) and not _is_sha2(certificate, authority):
        raise SSH_CERTIFICATE("the authority signed the certificate with SHA-1")
    try:
        certificate.verify_cert_signature()
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        raise SSH_CERTIFICATE("the signature of the certificate is invalid") from None


def _is_sha2(certificate: ssh.SSHCertificate, authority: rsa.RSAPublicKey) -> bool:
    """Whether the authority signed with SHA-2. The library also accepts RSA with SHA-1, and does not report which; the
    certificate ends with the algorithm name and the signature."""
    wire = wire_of_line(certificate.public_bytes())
    size = (authority.key_size + 7) // 8
    found = wire[:-size]
    return any(
        found.endswith(len(name).to_bytes(4, "big") + name + size.to_bytes(4, "big"))
        for name in (b"rsa-sha2-256", b"rsa-sha2-512")
    )


def _checked_pattern(name: str) -> str:
    if name != "*" and not _HOST.fullmatch(name.removeprefix("*.")):
        raise SSH_MALFORMED("expected host names in lower case, `*.DOMAIN` or `*`; hashed names say nothing")
    return name


def _covers(pattern: str, name: str) -> bool:
    return (
        pattern == "*"
        or pattern == name
        or (pattern.startswith("*.") and name.endswith(pattern[1:]) and len(name) > len(pattern) - 1)
    )
