"""What workload identity costs: `./dev bench identity [--json] [--quick]`.

- SVIDs issued: certificate or token with all checks, beside the bare P-256 signature and the bare certificate of the
  same content, in the same run. CPU time of the process, which holds on a noisy machine.
- Rotation: how long until the last of 1,000 workloads holds an SVID of the new CA, by a whole `answerable up`; each of
  them a process, an instance and a stream of its own, every document in the ledger. As root, for they are of 100 users.
- What one node carries, from the CPU and the memory that these took, and from the bounds that the product sets.
- First SVID: from `answerable up` to the answer of FetchX509SVID, beside the bare interpreter, the same modules
  imported, and the making of an authority.
- Attestation: facts about a process from the kernel, cold (its program is hashed) and warm, beside the bare hash; and
  each of the five methods at the door of a whole server, beside the bare verifications in it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import identity_attesting
import identity_rotation
import identity_start
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from house import House, free_port
from house import machine as house_machine

from answerable.adapters.linux_process import LinuxProcessObserver
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.apps.workload_api import ConnectionLimits
from answerable.core.identity.names.spiffe_id import TrustDomain, spiffe_id
from answerable.core.identity.svid.svid_keys import jwk_text
from answerable.flows.trust_domain.issue_svid import SvidIssuer

DOMAIN = TrustDomain("bench.example")
WORKLOAD = spiffe_id(f"spiffe://{DOMAIN}/agent/bench/{'ab' * 16}")
WORKLOADS = 1_000
TIMES = 2_000
ATTESTED = 200
"""Strangers of each method; a slow hundredth of them is two."""
QUICK_SECONDS = 2.0
ROUNDS = 3
BEST_OF = 3


def cpu_us(once: Callable[[], object], times: int) -> float:
    """CPU µs per call; the best of three, since a neighbour only ever adds."""
    once()
    best = float("inf")
    for _ in range(BEST_OF):
        begun = time.process_time()
        for _ in range(times):
            once()
        best = min(best, (time.process_time() - begun) / times * 1e6)
    return best


def bare_certificate(key: ec.EllipticCurvePrivateKey, public_key: ec.EllipticCurvePublicKey) -> bytes:
    """What cryptography alone takes for a certificate of the same extensions."""
    now = datetime.now(UTC)
    usage = dict.fromkeys(
        "content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
        " encipher_only decipher_only".split(),
        False,
    )
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    return (
        x509.CertificateBuilder(subject_name=x509.Name([]), issuer_name=issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(WORKLOAD))]), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def issuing_costs(directory: Path, times: int) -> dict[str, float]:
    """CPU µs for each kind of SVID and for what each cannot do without."""
    desk = identity_start.made_domain(directory / "authority")
    issuer = SvidIssuer(desk=desk, clock=SystemClock(), entropy=SystemEntropy())
    key = ec.generate_private_key(ec.SECP256R1())
    public, message = key.public_key(), os.urandom(512)
    jwk, algorithm = jwk_text(public), ec.ECDSA(hashes.SHA256())
    return {
        "x509_svid": cpu_us(lambda: issuer.x509(WORKLOAD, public), times),
        "jwt_svid": cpu_us(lambda: issuer.jwt(WORKLOAD, ("https://api.example",)), times),
        "wit_svid": cpu_us(lambda: issuer.wit(WORKLOAD, jwk), times),
        "bare_certificate": cpu_us(lambda: bare_certificate(key, public), times),
        "bare_signature": cpu_us(lambda: key.sign(message, algorithm), times),
        "bare_key": cpu_us(lambda: ec.generate_private_key(ec.SECP256R1()), times),
    }


def attestation_costs(times: int) -> dict[str, float]:
    """CPU µs to learn what a process is: its program hashed, or known from before. It is a Python of the system, whose
    program is of a usual size."""
    python = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
    with subprocess.Popen([python, "-c", "input()"], stdin=subprocess.PIPE) as process:
        try:
            program = Path(f"/proc/{process.pid}/exe")
            deadline = time.monotonic() + 1
            while program.resolve() == Path("/proc/self/exe").resolve() and time.monotonic() < deadline:
                time.sleep(0.001)  # Not yet another program than we are.
            warm = LinuxProcessObserver()
            started = warm.started(process.pid)

            def cold() -> None:
                LinuxProcessObserver().observe(process.pid, started=started)

            few = max(3, times // 100)
            return {
                "attest_cold": cpu_us(cold, few),
                "attest_warm": cpu_us(lambda: warm.observe(process.pid, started=started), times),
                "bare_hash": cpu_us(lambda: sha256(program.read_bytes()).digest(), few),
                "program_bytes": float(program.stat().st_size),
            }
        finally:
            process.kill()


def figures_of(directory: Path, *, times: int, workloads: int, rounds: int) -> dict[str, float]:
    """All that is measured, then what follows from it."""
    costs = issuing_costs(directory / "issuing", times) | attestation_costs(times)
    start = identity_start.first_svid(directory / "up", rounds)
    window = identity_rotation.RECHECK_SECONDS if workloads == WORKLOADS else QUICK_SECONDS
    rotated = rotation(directory / "rotation", workloads, rounds, window)
    attested = identity_attesting.attestation(directory / "attesting", ATTESTED * times // TIMES)
    found = {f"{name}_us": value for name, value in costs.items() if name != "program_bytes"}
    floor_s = rotated["workloads"] * (costs["bare_key"] + costs["bare_certificate"]) / 1e6
    found |= {
        "program_bytes": costs["program_bytes"],
        **{f"{kind}_svids_per_s": 1e6 / costs[f"{kind}_svid"] for kind in ("x509", "jwt", "wit")},
        "x509_svid_over_bare_certificate": costs["x509_svid"] / costs["bare_certificate"],
        **{
            f"{kind}_svid_over_bare_signature": costs[f"{kind}_svid"] / costs["bare_signature"]
            for kind in ("x509", "jwt", "wit")
        },
        "attest_cold_over_bare_hash": costs["attest_cold"] / costs["bare_hash"],
        **start,
        **rotated,
        "rotation_svids_per_s": rotated["workloads"] / rotated["rotation_s"],
        "rotation_floor_s": floor_s,
        "rotation_over_floor": rotated["rotation_s"] / floor_s,
        **attested,
    }
    found |= carried(found)
    return {name: round(value, 3) for name, value in found.items()}


def rotation(directory: Path, wanted: int, rounds: int, window: float) -> dict[str, float]:
    """Of a server of its own, with the Workload API where other users reach it."""
    count, shared = identity_rotation.workloads_max(wanted), directory / "open"
    shared.mkdir(mode=0o755)
    house = House(
        directory, f'[gateway]\nport = {free_port()}\n[identity]\nsocket = "{shared / "workload.sock"}"\n'
    )
    house.apply(identity_rotation.registered(count))
    with house.up() as server:
        return identity_rotation.rotation(server, shared / "workload.sock", count, rounds, window=window)


def carried(found: Mapping[str, float]) -> dict[str, float]:
    """How many workloads one node carries by each of its bounds, while nobody rotates.

    A workload is looked at every minute, and within half an hour its SVID and its enrolment are renewed once: that is
    taken to cost what letting it in did. Half of one core is left for that, since an event loop has one.
    """
    per_second = (
        found["recheck_cpu_ms_each"] / identity_rotation.RECHECK_SECONDS
        + found["let_in_cpu_ms_each"] / identity_rotation.HALF_LIFE_SECONDS
    ) / 1000
    return {
        "carried_by_half_a_core": 0.5 / per_second,
        "carried_by_a_gib": 2**20 / found["stream_kb"],
        "carried_by_connections": float(ConnectionLimits().connections_max),
        "ledger_entries_a_day_each": 86_400
        / identity_rotation.HALF_LIFE_SECONDS
        * found["let_in_entries_each"],
    }


def carries(found: Mapping[str, float]) -> str:
    """The same in a sentence, with what ends it first."""
    bounds = {
        "the connections that the Workload API takes": found["carried_by_connections"],
        "half of one core": found["carried_by_half_a_core"],
        "a GiB of memory": found["carried_by_a_gib"],
    }
    limit = min(bounds, key=lambda name: bounds[name])
    rest = ", ".join(f"{name} {bounds[name]:,.0f}" for name in bounds if name != limit)
    return f"one node carries {bounds[limit]:,.0f} workloads with open streams, bound by {limit} ({rest})"


def main() -> None:
    """Measure, print a table or one JSON object."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--quick", action="store_true", help="fewer calls, a fiftieth of the workloads")
    options = arguments.parse_args()
    times, workloads, rounds = (200, WORKLOADS // 50, 1) if options.quick else (TIMES, WORKLOADS, ROUNDS)
    before = house_machine()
    with tempfile.TemporaryDirectory() as place:
        # Workloads of other users go through it to their socket.
        Path(place).chmod(0o711)
        for name in ("issuing", "up", "rotation", "attesting"):
            (Path(place) / name).mkdir(mode=0o711)
        figures = figures_of(Path(place), times=times, workloads=workloads, rounds=rounds)
    machine = f"{before} before, {os.getloadavg()[0]:.1f} after"
    if options.json:
        found = {"bench": "identity", "machine": machine, "figures": figures, "carries": carries(figures)}
        print(json.dumps(found))
        return
    print(machine)
    for name, value in figures.items():
        print(f"  {name:36} {value:14,.3f}")
    print(carries(figures))


if __name__ == "__main__":
    main()
