"""The front on real sockets: who is at the other end, what is bounded, how it starts and stops."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from answerable.adapters.uvicorn_front import FrontLimits, Listeners, TLSMaterial, listen, run, serve
from answerable.adapters.uvicorn_front import protocol as front_protocol
from answerable.adapters.uvicorn_front.tls import tls_context
from answerable.errors import Unavailable
from tests.probes.proof_door import ProofDoor
from tests.worlds.proof import ProofWorld, agent

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[Listeners]:
    """The front in a task of its own, stopped gracefully at the end."""
    started: asyncio.Future[Listeners] = asyncio.get_running_loop().create_future()
    stop = anyio.Event()
    limits = options.pop("limits", FrontLimits(grace_seconds=2))
    task = asyncio.create_task(serve(app, started=started.set_result, stop=stop, limits=limits, **options))
    waiting: set[asyncio.Future[Any]] = {task, started}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    try:
        if task.done():
            await task
        yield started.result()
    finally:
        stop.set()
        await task


def door(**more: Any) -> ProofDoor:
    world = ProofWorld()
    world.registry.swap(replace(agent("local", uids=(os.getuid(),)), **more))
    return ProofDoor(world.restarted())


@pytest.mark.requirement("PROOF-08")
async def test_a_unix_socket_peer_is_who_the_kernel_says(tmp_path: Path) -> None:
    app, path = door(), tmp_path / "gateway.sock"
    async with serving(app, uds=path):
        status = path.stat()
        assert stat.S_ISSOCK(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o600
        async with httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(uds=str(path)), base_url="http://localhost"
        ) as client:
            said = [(await client.post("/mcp", content=b"{}")).json() for _ in range(3)]
        async with httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(uds=str(path)), base_url="http://localhost"
        ) as client:
            other = (await client.get("/mcp", headers={"x-answerable-peer": "uid=0"})).json()
    assert [(answer["agent"], answer["proof"], answer["sequence"]) for answer in said] == [
        ("local", "unix_peer", 1),
        ("local", "unix_peer", 2),
        ("local", "unix_peer", 3),
    ]
    binding = said[0]["binding"]
    stat_line = await anyio.Path("/proc/self/stat").read_bytes()
    started = stat_line.rpartition(b")")[2].split()[19].decode()
    assert binding.startswith(
        f"unix:uid={os.getuid()},gid={os.getgid()},pid={os.getpid()},started={started},"
    )
    assert other["sequence"] == 1
    assert other["binding"] != binding
    assert not path.exists()
    assert app.lifespan == ["lifespan.startup", "lifespan.shutdown"]


@pytest.mark.requirement("PROOF-08")
async def test_plain_tcp_proves_nothing_and_stays_on_loopback() -> None:
    async with serving(door(), tcp=("127.0.0.1", 0)) as listeners:
        assert listeners.tcp_address is not None
        host, port = listeners.tcp_address
        async with httpx2.AsyncClient(base_url=f"http://{host}:{port}") as client:
            response = await client.post("/mcp", content=b"{}")
    assert host == "127.0.0.1"
    assert response.status_code == 401
    assert 'step="proof"' in response.headers["www-authenticate"]


class Authority:
    """A certificate authority of one test."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.certificate = self._issue(self.name, self.key.public_key(), authority=True)
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def leaf(self, name: str) -> tuple[bytes, bytes, x509.Certificate]:
        """Certificate and key in PEM, and the certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._issue(subject, key.public_key(), authority=False)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return certificate.public_bytes(serialization.Encoding.PEM), private, certificate

    def _issue(self, subject: x509.Name, key: Any, *, authority: bool) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    key_cert_sign=authority,
                    crl_sign=authority,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .sign(self.key, hashes.SHA256())
        )


def client_context(
    tmp_path: Path, server_ca: bytes, leaf: tuple[bytes, bytes, object] | None
) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=server_ca.decode())
    if leaf is not None:
        (tmp_path / "client.pem").write_bytes(leaf[0] + leaf[1])
        context.load_cert_chain(tmp_path / "client.pem")
    return context


@pytest.mark.requirement("PROOF-08")
async def test_a_client_certificate_is_what_the_handshake_checked(tmp_path: Path) -> None:
    servers, clients, strangers = Authority(), Authority(), Authority()
    certificate, key, _ = servers.leaf("localhost")
    leaf, unregistered, forged = clients.leaf("crm"), clients.leaf("other"), strangers.leaf("crm")
    fingerprint = sha256(leaf[2].public_bytes(serialization.Encoding.DER)).hexdigest()
    app = door(certificates=(fingerprint,))
    tls = TLSMaterial(certificate=certificate, key=key, client_ca=clients.pem)
    path = tmp_path / "gateway.sock"

    async with serving(app, tcp=("127.0.0.1", 0), uds=path, tls=tls) as listeners:
        assert listeners.tcp_address is not None
        url = f"https://localhost:{listeners.tcp_address[1]}/mcp"

        async def call(offered: tuple[bytes, bytes, x509.Certificate] | None) -> httpx2.Response:
            async with httpx2.AsyncClient(verify=client_context(tmp_path, servers.pem, offered)) as client:
                await client.post(url, content=b"{}")
                return await client.post(url, content=b"{}")

        proved = (await call(leaf)).json()
        assert (proved["agent"], proved["proof"], proved["sequence"]) == ("local", "mtls", 2)
        assert proved["binding"].startswith(f"mtls:{fingerprint},")
        assert (await call(unregistered)).status_code == 401
        for refused in (None, forged):
            with pytest.raises(httpx2.TransportError):
                await call(refused)
        # The same application on the Unix socket needs no TLS.
        async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=str(path))) as client:
            assert (await client.get("http://localhost/mcp")).json()["proof"] == "unix_peer"
    assert app.lifespan == ["lifespan.startup", "lifespan.shutdown"]


def test_unusable_tls_material_is_refused_without_showing_it() -> None:
    certificate, key, _ = Authority().leaf("localhost")
    for wrong in (
        TLSMaterial(certificate=b"", key=key),
        TLSMaterial(certificate=certificate, key=Authority().leaf("x")[1]),
        TLSMaterial(certificate=certificate, key=key, client_ca=b"nonsense"),
        TLSMaterial(certificate=certificate, key=b"x" * 70_000),
    ):
        with pytest.raises(Unavailable) as caught:
            tls_context(wrong)
        assert caught.value.code == "front.tls"
    assert key.decode() not in repr(TLSMaterial(certificate=certificate, key=key))


async def raw(address: tuple[str, int], *parts: bytes) -> bytes:
    """Write parts as they are, read until the server closes."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.requirement("PROOF-09")
async def test_a_head_without_end_is_cut_off_and_others_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    app = door()
    async with serving(app, tcp=("127.0.0.1", 0)) as listeners:
        address = listeners.tcp_address
        assert address is not None
        line = b"GET / HTTP/1.1\r\nHost: a\r\n"
        endless_value = await raw(address, line + b"X: ", *[b"y" * 20_000] * 5)
        endless_fields = await raw(address, line, *[b"X: y\r\n" * 4_000] * 4)
        assert endless_value == b"" or endless_value.startswith(b"HTTP/1.1 400")
        assert endless_fields == b"" or endless_fields.startswith(b"HTTP/1.1 400")
        monkeypatch.setattr(front_protocol, "HEAD_SECONDS_MAX", 0.05)
        assert await raw(address, line) == b""
        assert await raw(address) == b""
        answered_then_hung = await raw(address, line + b"\r\n", line)
        assert answered_then_hung.startswith(b"HTTP/1.1 401")
        async with httpx2.AsyncClient(base_url=f"http://{address[0]}:{address[1]}") as client:
            assert (await client.get("/")).status_code == 401


def test_a_process_that_is_gone_has_no_start_time() -> None:
    with socket.socket(socket.AF_INET) as other:
        assert front_protocol.peer_credentials(other) is None
    assert front_protocol._started(2**22 + 1) == 0


async def test_fields_after_the_body_do_not_reach_the_application(tmp_path: Path) -> None:
    app, path = door(), tmp_path / "s"
    async with serving(app, uds=path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(
            b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            b"2\r\n{}\r\n0\r\nAnswerable-Mandate: m-9\r\nAuthorization: Bearer x\r\n\r\n"
        )
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert app.seen[0]["mandate"] == ""
    assert app.seen[0]["headers"] == 3


async def test_stopping_lets_the_requests_under_way_finish_and_cancelling_does_too(tmp_path: Path) -> None:
    finished: list[str] = []

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        begun.set()
        await go_on.wait()
        finished.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    for path in ("/stopped", "/cancelled"):
        started: asyncio.Future[Listeners] = asyncio.get_running_loop().create_future()
        stop, begun, go_on = anyio.Event(), anyio.Event(), anyio.Event()
        uds = tmp_path / "s"
        task = asyncio.create_task(serve(slow, uds=uds, started=started.set_result, stop=stop))
        await started
        async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=str(uds))) as client:
            call = asyncio.create_task(client.get(f"http://localhost{path}"))
            await begun.wait()
            if path == "/stopped":
                stop.set()
            else:
                task.cancel()
            await asyncio.sleep(0.02)
            assert not task.done()
            go_on.set()
            assert (await call).status_code == 204
        outcome = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(outcome[0], asyncio.CancelledError) is (path == "/cancelled")
        assert not uds.exists()
    assert finished == ["/stopped", "/cancelled"]


async def test_a_socket_of_a_server_that_is_gone_is_taken_over_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    first = listen(uds=path)
    with pytest.raises(Unavailable) as caught:
        listen(uds=path)
    assert caught.value.code == "front.socket_in_use"
    first.close()
    first.close()
    path.write_text("precious")
    with pytest.raises(Unavailable) as caught:
        listen(uds=path, tcp=("127.0.0.1", 0))
    assert caught.value.code == "front.not_a_socket"
    assert path.read_text() == "precious"


async def test_an_address_that_cannot_be_had_and_nothing_at_all_are_refused(tmp_path: Path) -> None:
    taken = listen(tcp=("127.0.0.1", 0))
    assert taken.tcp_address is not None
    try:
        for wrong in (
            {"tcp": taken.tcp_address},
            {"tcp": ("192.0.2.1", 1)},
            {"uds": tmp_path / "no" / "s"},
            {},
        ):
            with pytest.raises(Unavailable) as caught:
                await serve(door(), **wrong)
            assert caught.value.code == "front.address"
    finally:
        taken.close()


async def test_an_application_that_fails_to_start_is_an_error_and_not_an_exit(tmp_path: Path) -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})

    with pytest.raises(Unavailable) as caught:
        await serve(failing, uds=tmp_path / "s")
    assert caught.value.code == "front.lifespan"
    assert not (tmp_path / "s").exists()


def test_the_whole_front_runs_on_the_loop_of_the_server(tmp_path: Path) -> None:
    async def main() -> str:
        async with (
            serving(door(), uds=tmp_path / "s"),
            httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=str(tmp_path / "s"))) as client,
        ):
            assert (await client.get("http://localhost/")).json()["proof"] == "unix_peer"
        return type(asyncio.get_running_loop()).__module__

    assert run(main).startswith("uvloop")


def test_connections_hold_back_no_second_piece_of_an_answer() -> None:
    listeners = listen(tcp=("127.0.0.1", 0))
    assert listeners.tcp is not None
    assert listeners.tcp_address is not None
    with listeners.tcp, socket.create_connection(listeners.tcp_address):
        accepted, _ = listeners.tcp.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
