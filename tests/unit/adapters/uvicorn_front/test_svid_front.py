"""X.509-SVIDs in real handshakes: what the front hands on is what proved possession, and it is judged by the bundle."""

from __future__ import annotations

import ssl
import time
from base64 import encodebytes
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.adapters.uvicorn_front import TLSMaterial
from answerable.adapters.uvicorn_front.protocol import CERTIFICATES_MAX, certificates_of
from answerable.adapters.uvicorn_front.tls import add_client_authorities, tls_context
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.proof.channel import CHANNEL_EXTENSION
from answerable.core.identity.svid.x509_svid import verified_x509_svid
from answerable.errors import Unavailable, Unverified
from answerable.testing.clock import ManualClock
from tests.probes.proof_door import ProofDoor
from tests.unit.adapters.uvicorn_front.test_front import Authority as ServerAuthority
from tests.unit.adapters.uvicorn_front.test_front import client_context, serving
from tests.worlds.instance import OURS, Authority, InstanceWorld
from tests.worlds.svid import AGENT, HOUR, bundle_with, certificate, ec_key, only, signer

pytestmark = pytest.mark.anyio


def pem(certificate: bytes) -> bytes:
    """A DER certificate as PEM."""
    return b"-----BEGIN CERTIFICATE-----\n%b-----END CERTIFICATE-----\n" % encodebytes(certificate)


def offered(tmp_path: Path, servers: ServerAuthority, authority: Authority, name: str) -> ssl.SSLContext:
    """A client that holds an SVID of this authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = client_context(tmp_path, servers.pem, None)
    (tmp_path / "svid.pem").write_bytes(pem(authority.svid(name, key=key)) + private)
    context.load_cert_chain(tmp_path / "svid.pem")
    return context


@pytest.mark.requirement("IDENT-04")
async def test_an_svid_proves_its_instance_in_a_real_handshake_until_that_ends(tmp_path: Path) -> None:
    world = InstanceWorld(clock=ManualClock(now=int(time.time() * 1000)))
    servers, rogue = ServerAuthority(), Authority(OURS, world.clock.now())
    certificate, key, _ = servers.leaf("localhost")
    # The handshake lets the rogue authority in, as a front would that trusts others for pinned certificates.
    authorities = pem(world.ours.certificate) + pem(world.theirs.certificate) + pem(rogue.certificate)
    tls = TLSMaterial(certificate=certificate, key=key, client_ca=authorities)
    app = ProofDoor(world.verifier)
    async with serving(app, tcp=("127.0.0.1", 0), tls=tls) as listeners:
        assert listeners.tcp_address is not None
        url = f"https://localhost:{listeners.tcp_address[1]}/mcp"
        name = str(world.instance.id)
        async with httpx2.AsyncClient(verify=offered(tmp_path, servers, world.ours, name)) as client:
            said = [(await client.post(url, content=b"{}")).json() for _ in range(2)]
            assert [(one["agent"], one["proof"], one["sequence"]) for one in said] == [
                ("crm", "svid", 1),
                ("crm", "svid", 2),
            ]
            world.instances.end(world.instance.id, because="retired")
            answer = await client.post(url, content=b"{}")
            assert answer.status_code == 401
            assert 'step="key"' in answer.headers["www-authenticate"]
        async with httpx2.AsyncClient(verify=offered(tmp_path, servers, rogue, name)) as client:
            answer = await client.post(url, content=b"{}")
            assert 'step="svid"' in answer.headers["www-authenticate"]


@pytest.mark.requirement("IDENT-04")
async def test_authorities_come_in_while_the_front_serves_and_nobody_needs_a_certificate(
    tmp_path: Path,
) -> None:
    world = InstanceWorld(clock=ManualClock(now=int(time.time() * 1000)))
    servers = ServerAuthority()
    certificate, key, _ = servers.leaf("localhost")
    context = tls_context(TLSMaterial(certificate=certificate, key=key))
    add_client_authorities(context, [world.theirs.certificate])
    app = ProofDoor(world.verifier)
    async with serving(app, tcp=("127.0.0.1", 0), context=context) as listeners:
        assert listeners.tcp_address is not None
        url = f"https://localhost:{listeners.tcp_address[1]}/mcp"
        name = str(world.instance.id)
        async with httpx2.AsyncClient(verify=offered(tmp_path, servers, world.ours, name)) as client:
            with pytest.raises(httpx2.TransportError):
                await client.post(url, content=b"{}")
        for _ in range(2):
            add_client_authorities(context, [world.ours.certificate, world.theirs.certificate])
        async with httpx2.AsyncClient(verify=offered(tmp_path, servers, world.ours, name)) as client:
            assert (await client.post(url, content=b"{}")).json()["proof"] == "svid"
        async with httpx2.AsyncClient(verify=client_context(tmp_path, servers.pem, None)) as client:
            assert 'step="proof"' in (await client.post(url, content=b"{}")).headers["www-authenticate"]
    with pytest.raises(Unavailable):
        add_client_authorities(context, [b"nonsense"])


class Witnessing:
    """An ASGI application that notes what each connection proves, and answers nothing."""

    def __init__(self) -> None:
        self.certificates: list[tuple[bytes, ...]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                await send({"type": f"{(await receive())['type']}.complete"})
            return
        self.certificates.append(scope["extensions"][CHANNEL_EXTENSION].certificates)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.requirement("IDENT-04")
async def test_an_svid_under_an_intermediate_is_handed_on_with_it_and_believed(tmp_path: Path) -> None:
    now = int(time.time() * 1000)
    times: dict[str, Any] = {"begins": now - HOUR, "ends": now + HOUR}
    authority = signer("theirs", **times)
    between = signer("between", issuer=authority, **times)
    leaf = certificate(issuer=between, key=ec_key("shown"), **times)
    key = ec_key("shown").private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "svid.pem").write_bytes(pem(leaf) + pem(between.der) + key)
    servers = ServerAuthority()
    of_server, server_key, _ = servers.leaf("localhost")
    context = tls_context(TLSMaterial(certificate=of_server, key=server_key))
    add_client_authorities(context, [authority.der])
    shown = client_context(tmp_path, servers.pem, None)
    shown.load_cert_chain(tmp_path / "svid.pem")
    app = Witnessing()
    async with serving(app, tcp=("127.0.0.1", 0), context=context) as listeners:
        assert listeners.tcp_address is not None
        async with httpx2.AsyncClient(verify=shown) as client:
            await client.get(f"https://localhost:{listeners.tcp_address[1]}/mcp")
    assert app.certificates == [(leaf, between.der)]
    bundle = bundle_with(authority.der)
    found = verified_x509_svid(app.certificates[0], bundle_of=only(bundle), now=UnixMillis(now))
    assert found.id == AGENT
    with pytest.raises(Unverified):
        verified_x509_svid([leaf], bundle_of=only(bundle), now=UnixMillis(now))


class Shown:
    """As much of `ssl.SSLObject` as is looked at, in Python 3.13 and later."""

    def __init__(self, leaf: bytes | None, chain: list[bytes]) -> None:
        self.leaf, self.chain = leaf, chain

    def getpeercert(self, *, binary_form: bool) -> bytes | None:
        return self.leaf if binary_form else b""

    def get_unverified_chain(self) -> list[bytes]:
        return self.chain


class Older:
    """The same before Python 3.13, in a build that keeps the chain to itself."""

    def __init__(self, leaf: bytes) -> None:
        self.leaf = leaf

    def getpeercert(self, *, binary_form: bool) -> bytes:
        return self.leaf


@pytest.mark.parametrize(
    ("tls", "found"),
    [
        (Shown(None, [b"leaf"]), ()),
        (Shown(b"leaf", [b"leaf", b"middle"]), (b"leaf", b"middle")),
        (Shown(b"leaf", [b"other", b"leaf"]), (b"leaf",)),
        (Shown(b"leaf", []), (b"leaf",)),
        (Shown(b"leaf", [b"leaf"] * 99), (b"leaf",) * CERTIFICATES_MAX),
        (Older(b"leaf"), (b"leaf",)),
    ],
)
async def test_the_certificate_of_the_handshake_stands_first_whatever_else_was_sent(
    tls: object, found: tuple[bytes, ...]
) -> None:
    assert certificates_of(tls) == found
