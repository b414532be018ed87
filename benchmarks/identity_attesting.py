"""Attestation end to end: a stranger asks for a challenge, shows what it has, and has an instance in the ledger.

Both turns at the door of a whole `answerable up` are timed, as the workload sees them. What it signs itself between the
two is not: that is the workload's, and `ssh-keygen`'s. One stranger at a time, each with a key of its own, and for the
kernel's word each a process of its own.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import raw_log
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from house import House, Server, UnixConnection, agent, free_port
from identity_workloads import workload
from joserfc import jwt
from joserfc.jwk import RSAKey

from answerable.core.identity.keys.keys import SEED_BYTES, SigningKey, new_private_jwk
from answerable.core.identity.names.spiffe_id import trust_domain
from answerable.core.identity.workload.attestation import DOMAIN_TAG, possession_message
from answerable.core.identity.workload.enrolment import enrolment_proof

AUDIENCE: Final = "answerable"
WARM: Final = 5
"""Not counted: the program is hashed, and the issuer's keys are fetched."""
ROUNDS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """opens: a connection of a stranger. shows: its attestation, for a challenge and the thumbprint of its key."""

    name: str
    opens: Callable[[], http.client.HTTPConnection]
    shows: Callable[[str, str], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Key material of the strangers, made once. folder: where `ssh-keygen` finds its key."""

    folder: Path
    issuer: RSAKey
    authority: ec.EllipticCurvePrivateKey
    leaf: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, x509.Certificate]


def attestation(directory: Path, times: int) -> dict[str, float]:
    """p50 and p99 of each method in ms, beside the bare verifications in it, an empty turn at the door, and a sync."""
    shown = _made(directory)
    house, port = House(directory), free_port()
    # Made before there is a thread here: each of them is a copy of this process.
    strangers = [workload(str(house.data / "gateway.sock"), os.geteuid()) for _ in range(times + WARM)]
    try:
        with _issuer(shown) as issuer:
            _configure(house, shown, port, issuer)
            with house.up() as server:
                found = _measured(server, shown, port, issuer, [line for line, _ in strangers], times)
    finally:
        for line, _ in strangers:
            line.close()
        for _, pid in strangers:
            os.waitpid(pid, 0)
    sync = min(raw_log.single_fdatasync(directory, 50).p50_ms for _ in range(ROUNDS))
    return {**found, **_bare(shown), "fdatasync_ms": sync}


def _measured(
    server: Server, shown: Shown, port: int, issuer: str, lines: list[socket.socket], times: int
) -> dict[str, float]:
    found: dict[str, float] = {}
    for method in _methods(server, shown, port, issuer, lines):
        for _ in range(WARM):
            _enrolled(method)
        cpu = server.cpu_seconds()
        turns = [_enrolled(method) for _ in range(times)]
        spent = server.cpu_seconds() - cpu
        whole = sorted((asked + enrolled) * 1000 for asked, enrolled in turns)
        found[f"attest_{method.name}_p50_ms"] = statistics.median(whole)
        found[f"attest_{method.name}_p99_ms"] = whole[min(int(len(whole) * 0.99), len(whole) - 1)]
        found[f"attest_{method.name}_cpu_ms"] = spent * 1000 / times
        turn = statistics.median(asked for asked, _ in turns) * 1000
        found["door_turn_p50_ms"] = min(found.get("door_turn_p50_ms", turn), turn)
    return found


def _enrolled(method: Method) -> tuple[float, float]:
    """Seconds until it had its challenge, and from then, with what it shows in hand, until it was enrolled."""
    key = SigningKey(new_private_jwk("ed25519", os.urandom(SEED_BYTES["ed25519"])))
    connection = method.opens()
    try:
        connection.connect()
        begun = time.perf_counter()
        challenge = _turn(connection, "GET", "challenge", None)
        asked = time.perf_counter() - begun
        body: dict[str, Any] = {
            "attestation": method.shows(challenge["attestation_challenge"], key.public.thumbprint),
            "key": json.loads(key.public.jwk),
        }
        domain = trust_domain(challenge["trust_domain"])
        body["proof"] = enrolment_proof(body, challenge=challenge["challenge"], domain=domain, key=key)
        text = json.dumps(body).encode()
        begun = time.perf_counter()
        _turn(connection, "POST", "enrol", text)
        return asked, time.perf_counter() - begun
    finally:
        connection.close()


def _turn(connection: http.client.HTTPConnection, verb: str, name: str, body: bytes | None) -> Any:
    connection.request(
        verb, f"/identity/v1/{name}", body, {"content-type": "application/json"} if body else {}
    )
    answer = connection.getresponse()
    found = json.loads(answer.read())
    if answer.status != http.client.OK:
        raise RuntimeError(f"{name}: {found}")
    return found


def _methods(
    server: Server, shown: Shown, port: int, issuer: str, lines: list[socket.socket]
) -> Iterator[Method]:
    waiting = iter(lines)

    def remote() -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def join_token(_challenge: str, _thumbprint: str) -> dict[str, Any]:
        made = server.ask("POST", "/v1/agents/by-token/join-tokens", {"label": "bench"})
        return {"type": "join_token", "token": made["token"]}

    yield Method(name="unix", opens=lambda: _of(next(waiting)), shows=lambda *_: {"type": "unix"})
    yield Method(name="join_token", opens=remote, shows=join_token)
    yield Method(name="oidc", opens=remote, shows=lambda *_: {"type": "oidc", "token": _token(shown, issuer)})
    yield Method(name="x509_pop", opens=remote, shows=lambda *asked: _certified(shown, *asked))
    if shutil.which("ssh-keygen") is not None:
        yield Method(name="ssh", opens=remote, shows=lambda *asked: _ssh(shown, *asked))


def _of(line: socket.socket) -> http.client.HTTPConnection:
    """A connection that another process made, as the kernel knows, and that it speaks on."""
    line.send(b".")

    class Handed(UnixConnection):
        def connect(self) -> None:
            self.sock = line

    return Handed(Path("passed on"))


# --- what strangers show ---------------------------------------------------------------------------


def _made(directory: Path) -> Shown:
    host, place = ed25519.Ed25519PrivateKey.generate(), directory / "host"
    place.write_bytes(host.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    place.chmod(0o600)
    public = host.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    place.with_suffix(".pub").write_bytes(public + b"\n")
    authority, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate(authority, authority, "root", authority=True)
    return Shown(
        folder=directory,
        issuer=RSAKey.generate_key(2048, parameters={"kid": "bench"}),
        authority=authority,
        leaf=leaf,
        chain=(_certificate(leaf, authority, "host", authority=False), root),
    )


def _certificate(
    key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey, name: str, *, authority: bool
) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    rest = "content_commitment key_encipherment data_encipherment key_agreement encipher_only decipher_only"
    usage = x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        **dict.fromkeys(rest.split(), False),
    )
    return (
        x509.CertificateBuilder(subject_name=named(name), issuer_name=named("root"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
        .sign(by, hashes.SHA256())
    )


def _token(shown: Shown, issuer: str) -> str:
    now = int(time.time())
    claims = {"iss": issuer, "sub": "workload", "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 600}
    return jwt.encode({"alg": "RS256", "typ": "JWT", "kid": "bench"}, claims, shown.issuer)


def _certified(shown: Shown, challenge: str, thumbprint: str) -> dict[str, Any]:
    made = shown.leaf.sign(possession_message(challenge, thumbprint), ec.ECDSA(hashes.SHA256()))
    return {
        "type": "x509_pop",
        "chain": [b64encode(shown.chain[0].public_bytes(Encoding.DER)).decode()],
        "challenge": challenge,
        "signature": b64encode(made).decode(),
    }


def _ssh(shown: Shown, challenge: str, thumbprint: str) -> dict[str, Any]:
    key = shown.folder / "host"
    made = subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", DOMAIN_TAG, "-f", str(key)],
        input=possession_message(challenge, thumbprint),
        capture_output=True,
        check=True,
    )
    return {
        "type": "ssh_host_key",
        "challenge": challenge,
        "identity": key.with_suffix(".pub").read_text().strip(),
        "signature": made.stdout.decode("ascii"),
    }


@contextmanager
def _issuer(shown: Shown) -> Iterator[str]:
    """An issuer on loopback: its address. What it says are files."""
    place = shown.folder / "issuer"
    (place / ".well-known").mkdir(parents=True)

    class Door(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Door, directory=str(place))) as served:
        url = f"http://127.0.0.1:{served.server_address[1]}"
        discovery = {"issuer": url, "jwks_uri": f"{url}/keys"}
        (place / ".well-known" / "openid-configuration").write_text(json.dumps(discovery))
        key = {**shown.issuer.as_dict(private=False), "kid": "bench", "alg": "RS256"}
        (place / "keys").write_text(json.dumps({"keys": [key]}))
        threading.Thread(target=served.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield url
        finally:
            served.shutdown()


def _configure(house: House, shown: Shown, port: int, issuer: str) -> None:
    (house.data / "ca.pem").write_bytes(shown.chain[1].public_bytes(Encoding.PEM))
    host_key = (shown.folder / "host.pub").read_text().strip()
    (house.data / "known_hosts").write_text(f"host.example {host_key}\n")
    (house.data / "answerable.toml").write_text(
        f'[gateway]\nport = {port}\n[identity]\noidc_issuers = ["{issuer} {AUDIENCE}"]\n'
        f'x509_pop_ca = "file:{house.data / "ca.pem"}"\nssh_ca = "file:{house.data / "known_hosts"}"\n'
    )
    selectors = {
        "by-kernel": f"unix:uid:{os.geteuid()}",
        "by-token": "join_token:name:bench",
        "by-issuer": "oidc:sub:workload",
        "by-certificate": "x509_pop:cn:host",
        "by-host": "ssh:host:host.example",
    }
    known = (agent(name, f"attestation: [[{json.dumps(one)}]]") for name, one in selectors.items())
    house.apply("".join(known))


# --- what each cannot do without --------------------------------------------------------------------


def _bare(shown: Shown) -> dict[str, float]:
    """The bare verifications in each method, in µs; the proof of the key that is enrolled is one in all of them."""
    message = os.urandom(512)
    edwards = ed25519.Ed25519PrivateKey.generate()
    edwards_made, edwards_key = edwards.sign(message), edwards.public_key()
    curve = ec.ECDSA(hashes.SHA256())
    curve_made, curve_key = shown.leaf.sign(message, curve), shown.leaf.public_key()
    modulus = rsa.generate_private_key(65_537, 2048)
    modulus_made = modulus.sign(message, padding.PKCS1v15(), hashes.SHA256())
    modulus_key = modulus.public_key()
    proof = _each(lambda: edwards_key.verify(edwards_made, message))
    ecdsa = _each(lambda: curve_key.verify(curve_made, message, curve))
    rs256 = _each(lambda: modulus_key.verify(modulus_made, message, padding.PKCS1v15(), hashes.SHA256()))
    return {
        "attest_unix_bare_us": proof,
        "attest_join_token_bare_us": proof + _each(lambda: sha256(message).digest()),
        "attest_oidc_bare_us": proof + rs256,
        "attest_x509_pop_bare_us": proof + 2 * ecdsa,
        "attest_ssh_bare_us": proof * 2,
    }


def _each(once: Callable[[], object], times: int = 500) -> float:
    """CPU µs of one call, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(times):
            once()
        best = min(best, (time.process_time() - begun) / times * 1e6)
    return best
