"""A workload written with the PyPI package `spiffe`, run in a process of its own: it says what it got, as JSON lines.

`fetch AUDIENCE` once · `watch` until its input ends; there `token AUDIENCE` fetches a JWT-SVID and `check` has the last
one judged by the bundle that is held · `listen PEER` and `connect PEER PORT` with mutual TLS. The socket is in
SPIFFE_ENDPOINT_SOCKET. tests/interop/go_spiffe says the same with the same words.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from spiffe import JwtBundleSet, JwtSvid, SpiffeId, WorkloadApiClient, X509Source
from spiffe.errors import PySpiffeError
from spiffe.workloadapi.x509_context import X509Context

SECONDS_MAX = 20

_saying = threading.Lock()


def say(**told: Any) -> None:
    with _saying:
        print(json.dumps(told), flush=True)


def fetch(client: WorkloadApiClient, audience: str) -> None:
    context = client.fetch_x509_context()
    tokens = client.fetch_jwt_svids({audience})
    bundles = client.fetch_jwt_bundles()
    domain = context.default_svid.spiffe_id.trust_domain
    own = bundles.get_bundle_for_trust_domain(domain)
    assert own is not None
    checked = JwtSvid.parse_and_validate(tokens[0].token, own, {audience})
    say(
        ids=[str(svid.spiffe_id) for svid in context.x509_svids],
        x509_bundles=sorted(str(b.trust_domain) for b in client.fetch_x509_bundles().bundles),
        jwt_bundles=sorted(str(b.trust_domain) for b in bundles.bundles),
        jwt_ids=[str(token.spiffe_id) for token in tokens],
        checked=str(checked.spiffe_id),
        validated=str(client.validate_jwt_svid(tokens[0].token, audience).spiffe_id),
    )


def watch(client: WorkloadApiClient) -> None:
    held: list[JwtBundleSet] = []

    def got_x509(context: X509Context) -> None:
        svid = context.default_svid
        bundle = context.x509_bundle_set.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
        roots = bundle.x509_authorities if bundle else ()
        say(
            event="x509",
            id=str(svid.spiffe_id),
            serial=str(svid.leaf.serial_number),
            authorities=len(roots),
            bundles=sorted(str(b.trust_domain) for b in context.x509_bundle_set.bundles),
            leaf=pem(svid.leaf),
            roots=[pem(one) for one in roots],
            foreign={
                str(other.trust_domain): [pem(one) for one in other.x509_authorities]
                for other in context.x509_bundle_set.bundles
                if other.trust_domain != svid.spiffe_id.trust_domain
            },
        )

    def got_jwt(bundles: JwtBundleSet) -> None:
        held[:] = [bundles]
        say(event="jwt", kids=sorted(k for b in bundles.bundles for k in b.jwt_authorities))

    def failed(error: Exception) -> None:
        say(event="error", error=str(error))

    client.stream_x509_contexts(got_x509, failed)
    client.stream_jwt_bundles(got_jwt, failed)
    last: tuple[str, str] = ("", "")
    for line in sys.stdin:
        verb, _, audience = line.strip().partition(" ")
        if verb == "token":
            try:
                token = client.fetch_jwt_svid({audience})
            except PySpiffeError as error:
                say(event="token", id="", text="", error=str(error))
                continue
            last = (token.token, audience)
            say(event="token", id=str(token.spiffe_id), text=token.token, error="")
        elif verb == "check":
            say(event="check", fault=fault_of(held[0], *last))


def fault_of(bundles: JwtBundleSet, token: str, audience: str) -> str:
    domain = JwtSvid.parse_insecure(token, {audience}).spiffe_id.trust_domain
    bundle = bundles.get_bundle_for_trust_domain(domain)
    if bundle is None:
        return "no bundle"
    try:
        JwtSvid.parse_and_validate(token, bundle, {audience})
    except PySpiffeError as error:
        return str(error)
    return ""


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def tls(source: X509Source, side: int) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    svid = source.svid
    bundle = source.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
    assert bundle is not None
    roots = "".join(one.public_bytes(Encoding.PEM).decode() for one in bundle.x509_authorities)
    context.load_verify_locations(cadata=roots)
    with tempfile.TemporaryDirectory() as folder:
        both = Path(folder) / "svid.pem"
        key = svid.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        both.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in svid.cert_chain) + key)
        context.load_cert_chain(both)
    return context


def checked_peer(connected: ssl.SSLSocket, peer: str) -> None:
    der = connected.getpeercert(binary_form=True)
    assert der is not None
    names = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    (name,) = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    if SpiffeId(name) != SpiffeId(peer):
        raise SystemExit(f"peer is {name}")
    say(event="peer", id=name)


def listen(source: X509Source, peer: str) -> None:
    context = tls(source, ssl.PROTOCOL_TLS_SERVER)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS_MAX)
        say(event="listening", port=listener.getsockname()[1])
        accepted, _ = listener.accept()
        with context.wrap_socket(accepted, server_side=True) as connected:
            checked_peer(connected, peer)
            connected.sendall(connected.recv(100))


def connect(source: X509Source, peer: str, port: int) -> None:
    context = tls(source, ssl.PROTOCOL_TLS_CLIENT)
    with (
        socket.create_connection(("127.0.0.1", port), SECONDS_MAX) as plain,
        context.wrap_socket(plain) as connected,
    ):
        checked_peer(connected, peer)
        connected.sendall(b"well met")
        say(event="echo", text=connected.recv(100).decode())


def main(verb: str, *arguments: str) -> None:
    if verb in ("fetch", "watch"):
        with WorkloadApiClient(default_timeout=SECONDS_MAX) as client:
            fetch(client, arguments[0]) if verb == "fetch" else watch(client)
        return
    with X509Source(timeout_in_seconds=SECONDS_MAX) as source:
        say(event="ready", id=str(source.svid.spiffe_id))
        # Who the other end is, is known once both are there.
        peer = arguments[0] if arguments else sys.stdin.readline().strip()
        if verb == "listen":
            listen(source, peer)
        else:
            connect(source, peer, int(arguments[1] if len(arguments) > 1 else sys.stdin.readline()))


if __name__ == "__main__":
    main(*sys.argv[1:])
