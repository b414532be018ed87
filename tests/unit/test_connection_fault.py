"""What is said of real connections that fail."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import httpx2
import pytest

from answerable.connection_fault import certificate_fault, connection_fault
from tests.attack.test_http_certificates import Authority

pytestmark = pytest.mark.anyio

SECRET = "a-word-that-nobody-may-read"


async def fault_at(url: str) -> Exception:
    async with httpx2.AsyncClient(trust_env=False, timeout=20) as client:
        with pytest.raises(httpx2.HTTPError) as failed:
            await client.post(url, headers={"authorization": SECRET}, content=SECRET)
    return failed.value


@contextmanager
def one_connection(tls: ssl.SSLContext | None) -> Iterator[int]:
    """A server that takes one connection: with TLS, or else it says something that is none."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            taken, _ = listening.accept()
            with taken:
                if tls is None:
                    taken.sendall(b"no TLS is spoken here\r\n")
                    taken.recv(65_536)
                    return
                with pytest.raises(ssl.SSLError):
                    tls.wrap_socket(taken, server_side=True)

        thread = Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(20)
        assert not thread.is_alive()


async def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        failed = await fault_at(f"http://127.0.0.1:{bound.getsockname()[1]}/")
    assert connection_fault(failed) == "connection refused"
    assert certificate_fault(failed) == ""


async def test_a_name_that_leads_nowhere() -> None:
    assert connection_fault(await fault_at("http://nobody.invalid/")).startswith("its name leads nowhere: ")


async def test_a_certificate_of_nobody_that_is_believed(tmp_path: Path) -> None:
    certificate, key = Authority("nobody").certified("server")
    (tmp_path / "pair.pem").write_bytes(certificate + key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "pair.pem")
    with one_connection(tls) as port:
        failed = await fault_at(f"https://127.0.0.1:{port}/")
    assert certificate_fault(failed) == "unable to get local issuer certificate"
    assert connection_fault(failed) == f"its certificate is not accepted: {certificate_fault(failed)}"


async def test_a_server_that_speaks_no_tls() -> None:
    with one_connection(None) as port:
        failed = await fault_at(f"https://127.0.0.1:{port}/")
    assert connection_fault(failed).startswith("TLS failed: ")
    assert SECRET not in connection_fault(failed)


def test_the_first_of_several_that_failed_together_and_what_has_no_reason() -> None:
    several = ExceptionGroup("all", [ConnectionResetError(104, "reset"), OSError("other")])
    assert connection_fault(several) == "connection reset by peer"
    assert connection_fault(ValueError(SECRET)) == "ValueError"
