"""What workload identity costs: `./dev bench identity [--json] [--quick]`.

- SVIDs issued: certificate or token with all checks, beside the bare P-256 signature and the bare certificate of the
  same content, in the same run. CPU time of the process, which holds on a noisy machine.
- Rotation: how long until the last of 1,000 watching workloads has the new bundle, or the new SVID with a key made for
  it, over a real socket to another process; beside what signatures and keys alone would take.
- First SVID: from `answerable up` to the answer of FetchX509SVID, beside the bare import of the same modules.
- Attestation: facts about a process from the kernel, cold (its program is hashed) and warm, beside the bare hash.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import identity_start
import identity_watchers
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from answerable.adapters.linux_process import LinuxProcessObserver
from answerable.adapters.local_keys.authority_keys import LocalAuthorityKeys
from answerable.adapters.memory.authorities import MemoryAuthorityRegister
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.apps.workload_api import ConnectionLimits, Identity, IssuedWit, PeerProcess, WorkloadFront
from answerable.core.identity.authority import TrustLimits
from answerable.core.identity.jwt_svid import JwtSvid, verified_jwt_svid
from answerable.core.identity.principal import UnixMillis
from answerable.core.identity.spiffe_id import SpiffeId, TrustDomain, spiffe_id
from answerable.core.identity.svid_keys import jwk_text
from answerable.core.identity.trust_bundle import TrustBundle
from answerable.core.identity.x509_svid import X509Svid
from answerable.errors import Unavailable
from answerable.flows.issue_svid import SvidIssuer
from answerable.flows.keep_trust_domain import TrustDomainDesk

DOMAIN = TrustDomain("bench.example")
WORKLOAD = spiffe_id(f"spiffe://{DOMAIN}/agent/bench/{'ab' * 16}")
WATCHERS = 1_000
TIMES = 2_000
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


def opened_desk(directory: Path) -> TrustDomainDesk:
    """A trust domain with its keys in files, as by default."""
    desk = TrustDomainDesk(
        domain=DOMAIN,
        keys=LocalAuthorityKeys.open(directory / "authority"),
        register=MemoryAuthorityRegister(),
        clock=SystemClock(),
        entropy=SystemEntropy(),
        limits=TrustLimits(),
    )
    desk.open()
    return desk


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
    desk = opened_desk(directory)
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


class BenchNeeds:
    """Implements the Workload API's `Needs` on a desk: every process is the same workload."""

    def __init__(self, desk: TrustDomainDesk) -> None:
        self._desk = desk
        self._issuer = SvidIssuer(desk=desk, clock=SystemClock(), entropy=SystemEntropy())
        self.domain = desk.domain

    async def identify(self, _peer: PeerProcess) -> tuple[Identity, ...]:
        return (Identity(id=WORKLOAD),)

    async def may_broker(self, broker: PeerProcess) -> bool:
        return False

    async def identify_for(self, broker: PeerProcess, workload: PeerProcess) -> None:
        return None

    async def x509_svid(
        self, identity: SpiffeId, public_key: ec.EllipticCurvePublicKey, *, broker: SpiffeId | None = None
    ) -> X509Svid:
        return self._issuer.x509(identity, public_key)

    async def jwt_svid(
        self, identity: SpiffeId, audience: tuple[str, ...], *, broker: SpiffeId | None = None
    ) -> str:
        return self._issuer.jwt(identity, audience)

    async def wit_svid(self, _identity: SpiffeId, _public_key: ec.EllipticCurvePublicKey) -> IssuedWit:
        raise Unavailable("not in this benchmark", code="bench.wit", port="bench")

    async def judge_jwt_svid(self, token: str, *, audience: str) -> JwtSvid:
        return verified_jwt_svid(token, audience=audience, bundle_of=self._desk.bundle, now=self.now())

    def bundles(self) -> Mapping[TrustDomain, TrustBundle]:
        return self._desk.bundles()

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        return self._desk.watch(changed)

    def now(self) -> UnixMillis:
        return SystemClock().now()

    def entropy(self, size: int) -> bytes:
        return os.urandom(size)


def rotation_seconds(directory: Path, method: str, watchers: int) -> float:
    """From the change of the bundle until the last watcher has its message; the best of the rounds."""
    return uvloop.run(_rotation_seconds(directory, method, watchers))


async def _rotation_seconds(directory: Path, method: str, watchers: int) -> float:
    desk, path = opened_desk(directory), directory / f"{method}.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        # The bounds are those of the product but for the process: a thousand workloads share one here.
        front = WorkloadFront(BenchNeeds(desk), limits=ConnectionLimits(connections_per_process_max=256))
        await front.start(listener)
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=identity_watchers.watch, args=(theirs, str(path), method, watchers, ROUNDS)
        )
        process.start()
        try:
            await asyncio.to_thread(ours.recv)
            best = float("inf")
            for _ in range(ROUNDS):
                begun = time.monotonic()
                await asyncio.to_thread(_changed, desk)
                best = min(best, await asyncio.to_thread(ours.recv) - begun)
            return best
        finally:
            await asyncio.to_thread(process.join)
            await front.close()


def _changed(desk: TrustDomainDesk) -> None:
    """One change of the bundle: a new generation is announced, or the one that waits is taken out again."""
    for authority in desk.authorities():
        if authority.state == "prepared":
            desk.remove(authority.id)
            return
    desk.rotate(activate=False)


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


def figures_of(directory: Path, *, times: int, watchers: int) -> dict[str, float]:
    """All that is measured, then the ratios."""
    costs = issuing_costs(directory / "issuing", times) | attestation_costs(times)
    bundle_s = rotation_seconds(directory / "bundles", "FetchX509Bundles", watchers)
    svid_s = rotation_seconds(directory / "svids", "FetchX509SVID", watchers)
    up_s, import_s = identity_start.up_seconds(directory / "up", 1 if watchers < WATCHERS else ROUNDS)
    floor_s = watchers * (costs["bare_key"] + costs["bare_certificate"]) / 1e6
    return {
        **{f"{name}_us": round(value, 1) for name, value in costs.items() if name != "program_bytes"},
        "program_bytes": costs["program_bytes"],
        "x509_svids_per_s": round(1e6 / costs["x509_svid"]),
        "jwt_svids_per_s": round(1e6 / costs["jwt_svid"]),
        "x509_svid_over_bare_certificate": round(costs["x509_svid"] / costs["bare_certificate"], 2),
        "x509_svid_over_bare_signature": round(costs["x509_svid"] / costs["bare_signature"], 2),
        "jwt_svid_over_bare_signature": round(costs["jwt_svid"] / costs["bare_signature"], 2),
        "attest_cold_over_bare_hash": round(costs["attest_cold"] / costs["bare_hash"], 2),
        "watchers": watchers,
        "bundle_pushed_to_all_s": round(bundle_s, 3),
        "svid_pushed_to_all_s": round(svid_s, 3),
        "svid_push_floor_s": round(floor_s, 3),
        "svid_push_over_floor": round(svid_s / floor_s, 2),
        "first_svid_after_up_s": round(up_s, 3),
        "bare_import_s": round(import_s, 3),
        "first_svid_over_bare_import": round(up_s / import_s, 2),
    }


def main() -> None:
    """Measure, print a table or one JSON object."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--quick", action="store_true", help="fewer calls, a tenth of the watchers")
    options = arguments.parse_args()
    times, watchers = (200, WATCHERS // 10) if options.quick else (TIMES, WATCHERS)
    with tempfile.TemporaryDirectory() as place:
        for name in ("issuing", "bundles", "svids", "up"):
            (Path(place) / name).mkdir(mode=0o700)
        Path(place).chmod(0o755)
        figures = figures_of(Path(place), times=times, watchers=watchers)
    load = os.getloadavg()[0]
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, load {load:.1f}"
    )
    if options.json:
        print(json.dumps({"bench": "identity", "machine": machine, "figures": figures}))
        return
    print(machine)
    for name, value in figures.items():
        print(f"  {name:36} {value:12}")


if __name__ == "__main__":
    main()
