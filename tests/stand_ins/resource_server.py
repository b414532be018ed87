"""An API on loopback that lets in by bearer tokens, which it asks its authorization server about, or by standing keys.

It writes down what reached it, so that tests can look at the wire, and has a few places that misbehave on purpose.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Check = Callable[["Seen"], "str | None"]
"""What a caller may do, as scopes with blanks between; None for nobody that is known."""


@dataclass
class Seen:
    """One request as it came."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")


@dataclass
class ResourceServer:
    check: Check
    seen: list[Seen] = field(default_factory=list)
    url: str = ""
    gate: threading.Event = field(default_factory=threading.Event)
    """Lets `/slow` go on."""

    def answer(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        self.seen.append(seen)
        may = self.check(seen)
        if may is None:
            return 401, {"www-authenticate": "Bearer"}, b'{"error":"invalid_token"}'
        needed = "read:case" if seen.method in ("GET", "HEAD") else "write:case"
        if needed not in may.split():
            return 403, {"content-type": "application/json"}, b'{"error":"insufficient_scope"}'
        path = urlsplit(seen.target).path
        place = path.rsplit("/", 1)[-1]
        plain = {"content-type": "text/plain", "x-request-id": f"srv-{len(self.seen)}"}
        match place:
            case "echo":
                said = "".join(f"{name}: {value}\n" for name, value in seen.headers) + seen.target
                credential = seen.header("authorization").partition(" ")[2]
                plain["etag"] = credential or "none"
                coded = b64encode(b"x" + credential.encode()).decode()
                return 200, plain, f"{said}\n{coded}\n{credential.encode().hex()}".encode()
            case "away":
                return 302, {"location": "http://127.0.0.1:9/?stolen=" + seen.header("authorization")}, b""
            case "repeated":
                # So that the bound of what is read falls into the middle of the last one.
                secret = seen.header("authorization").partition(" ")[2]
                return 200, plain, (secret * (3_000_000 // len(secret))).encode()
            case "long":
                return 200, plain, b"x" * 3_000_000
            case "packed":
                return 200, {**plain, "content-encoding": "gzip"}, b"\x1f\x8b not really"
            case "slow":
                self.gate.wait(20)
        return (
            200,
            {"content-type": "application/json", "x-request-id": f"srv-{len(self.seen)}"},
            json.dumps({"path": path, "method": seen.method, "body": seen.body.decode()}).encode(),
        )


@contextlib.contextmanager
def resource_server(check: Check, *, tls: ssl.SSLContext | None = None) -> Iterator[ResourceServer]:
    server = ResourceServer(check)

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            seen = Seen(self.command, self.path, list(self.headers.items()), self.rfile.read(length))
            status, headers, body = server.answer(seen)
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    class Listener(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A caller who leaves, or a handshake that fails, is what some tests want."""

    with Listener(("127.0.0.1", 0), Door) as listener:
        if tls is not None:
            listener.socket = tls.wrap_socket(
                listener.socket, server_side=True, do_handshake_on_connect=False
            )
        server.url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.server_port}"
        thread = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.gate.set()
            listener.shutdown()
            thread.join(5)


def by_introspection(introspected: Callable[[str], Any], audience: str) -> Check:
    """A resource that asks about every token (RFC 7662)."""

    def check(seen: Seen) -> str | None:
        kind, _, token = seen.header("authorization").partition(" ")
        if kind.lower() != "bearer" or not token:
            return None
        said = introspected(token)
        if said.get("active") is not True or said.get("aud") != audience or said["exp"] <= time.time():
            return None
        return str(said.get("scope", ""))

    return check


def by_key(key: str, place: str) -> Check:
    """place: `x-key` for a header, `key` for a parameter, `basic` for user `broker`."""

    def check(seen: Seen) -> str | None:
        if place == "basic":
            good = seen.header("authorization") == "Basic " + b64encode(f"broker:{key}".encode()).decode()
        elif place == "key":
            good = parse_qs(urlsplit(seen.target).query).get("key") == [key]
        else:
            good = seen.header(place) == key
        return "read:case write:case" if good else None

    return check
