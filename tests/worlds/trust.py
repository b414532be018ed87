"""A trust domain on a desk, with time and chance in the test's hands, and an HSM where this machine has one."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.adapters.local_keys import LocalAuthorityKeys
from answerable.adapters.sqlite import SqliteAuthorityRegister
from answerable.core.identity.names.spiffe_id import TrustDomain, spiffe_id
from answerable.core.identity.svid.authority import TrustLimits
from answerable.flows.trust_domain.issue_svid import SvidIssuer
from answerable.flows.trust_domain.keep_trust_domain import TrustDomainState
from answerable.ports.authority_keys import AuthorityKeys
from answerable.ports.authority_register import AuthorityRegister
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy
from answerable.testing.registers import fresh, fresh_keys
from tests.probes.loud_skips import skip_loudly

DOMAIN = TrustDomain("answerable.example")
FOREIGN = TrustDomain("foreign.example")
WORKLOAD = spiffe_id(f"spiffe://{DOMAIN}/agent/scout/{'ab' * 16}")
HOUR = 3_600
LIMITS = TrustLimits()
TOKEN, PIN = "answerable-test", "123456"
HSM_LIBRARIES = tuple(
    Path("/usr") / place / "libsofthsm2.so"
    for place in (
        "lib/softhsm",
        "lib/x86_64-linux-gnu/softhsm",
        "lib/aarch64-linux-gnu/softhsm",
        "lib64/pkcs11",
    )
)


@dataclass(kw_only=True)
class TrustWorld:
    """Everything a desk stands on; `desk()` is a start of the server on it."""

    domain: TrustDomain = DOMAIN
    keys: AuthorityKeys = field(default_factory=lambda: fresh_keys(LocalAuthorityKeys))
    register: AuthorityRegister = field(default_factory=lambda: fresh(SqliteAuthorityRegister))
    clock: ManualClock = field(default_factory=ManualClock)
    entropy: SeededEntropy = field(default_factory=SeededEntropy)
    limits: TrustLimits = LIMITS

    def closed_desk(self) -> TrustDomainState:
        return TrustDomainState(
            domain=self.domain,
            keys=self.keys,
            register=self.register,
            clock=self.clock,
            entropy=self.entropy,
            limits=self.limits,
        )

    def desk(self) -> TrustDomainState:
        desk = self.closed_desk()
        desk.open()
        return desk

    def issuer(self, desk: TrustDomainState) -> SvidIssuer:
        return SvidIssuer(desk=desk, clock=self.clock, entropy=self.entropy)


def workload_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def states(desk: TrustDomainState) -> list[str]:
    return [authority.state for authority in desk.authorities()]


def held(keys: LocalAuthorityKeys) -> set[str]:
    """Names of the keys that are there."""
    return {path.stem for path in keys._directory.glob("*.pem")}


def active_of(desk: TrustDomainState) -> str:
    return next(a.id for a in desk.authorities() if a.state == "active")


def sequence_of(desk: TrustDomainState) -> int:
    bundle = desk.bundle(desk.domain)
    assert bundle is not None
    assert bundle.sequence is not None
    return bundle.sequence


def hsm_library() -> Path:
    """The software HSM of this machine, or a loud skip."""
    found = next((library for library in HSM_LIBRARIES if library.exists()), None)
    if found is None or shutil.which("softhsm2-util") is None:
        skip_loudly("SoftHSM", "apt-get install softhsm2", name="softhsm")
    return found


def new_token(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of its own for one test, of which the library hears by SOFTHSM2_CONF when it is next loaded."""
    tokens = directory / "tokens"
    tokens.mkdir()
    settings = directory / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(settings))
    arguments = ("--init-token", "--free", "--label", TOKEN, "--pin", PIN, "--so-pin", "87654321")
    subprocess.run(["softhsm2-util", *arguments], check=True, capture_output=True, timeout=30)
