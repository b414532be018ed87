"""How long after `answerable up` the first workload has its SVID: a whole product in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import identity_watchers
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from house import LOOK_SECONDS, WAIT_SECONDS_MAX, House, agent, free_port, line

from answerable.adapters.local_keys.authority_keys import LocalAuthorityKeys
from answerable.adapters.sqlite import SqliteAuthorityRegister
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.identity.names.spiffe_id import TrustDomain
from answerable.core.identity.svid.authority import TrustLimits
from answerable.flows.trust_domain.keep_trust_domain import TrustDomainState
from answerable.testing.registers import fresh

AUTHORITY_KEYS = 3
"""Of one generation: for certificates, for JWT-SVIDs and for WIT-SVIDs."""


def first_svid(directory: Path, rounds: int) -> dict[str, float]:
    """Seconds from starting the server to the first SVID, and from its interpreter alone, and with the same modules
    imported; the best of the rounds. The trust domain and its keys are there from a start before, as after every
    restart. Beside that what making the authority takes, which only the very first start does."""
    house = House(directory, f"[gateway]\nport = {free_port()}\n")
    house.apply(agent("first", f'attestation: [["unix:uid:{os.getuid()}"]]'))
    up_s = min(_first_svid(house) for _ in range(rounds))
    import_s = min(_seconds("import answerable.wiring.assemble") for _ in range(rounds))
    domains = iter(range(rounds))
    return {
        "first_svid_after_up_s": up_s,
        "bare_interpreter_s": min(_seconds("") for _ in range(rounds)),
        "bare_import_s": import_s,
        "first_svid_over_bare_import": up_s / import_s,
        "authority_made_ms": _best(lambda: made_domain(directory / f"domain-{next(domains)}"), rounds),
        "bare_authority_ms": _best(_bare_authority, rounds),
    }


def made_domain(directory: Path) -> TrustDomainState:
    """A trust domain made anew, with its keys in files, as by default."""
    desk = TrustDomainState(
        domain=TrustDomain("bench.example"),
        keys=LocalAuthorityKeys.open(directory),
        register=fresh(SqliteAuthorityRegister),
        clock=SystemClock(),
        entropy=SystemEntropy(),
        limits=TrustLimits(),
    )
    desk.open()
    return desk


def _first_svid(house: House) -> float:
    path = house.data / "workload.sock"
    path.unlink(missing_ok=True)
    begun = time.monotonic()
    with (
        house.said.open("ab") as said,
        subprocess.Popen(line(house.data, "up"), stdout=said, stderr=said) as up,
    ):
        try:
            while up.poll() is None and time.monotonic() - begun < WAIT_SECONDS_MAX:
                ours, theirs = multiprocessing.Pipe()
                try:
                    identity_watchers.watch(theirs, str(path), "FetchX509SVID", 1, 0)
                except Exception:
                    # Not there, or not ready, yet.
                    time.sleep(LOOK_SECONDS)
                    continue
                return float(ours.recv()) - begun
        finally:
            up.terminate()
    raise TimeoutError("no SVID came, or the server ended")


def _seconds(code: str) -> float:
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.monotonic() - begun


def _best(once: Callable[[], object], rounds: int) -> float:
    """Milliseconds."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        once()
        best = min(best, (time.perf_counter() - begun) * 1000)
    return best


def _bare_authority() -> None:
    """The keys and the certificate of one, by cryptography alone, and nothing kept."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(AUTHORITY_KEYS)]
    now, name = datetime.now(UTC), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    (
        x509.CertificateBuilder(subject_name=name, issuer_name=name)
        .public_key(keys[0].public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(keys[0], hashes.SHA256())
    )
