"""An API over HTTP on loopback that a test can take away and bring back: what stand-ins for APIs of others share."""

from __future__ import annotations

import json
import ssl
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it came. path: decoded once. target: as it was on the wire."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any
    target: str

    @property
    def bearer(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer. json: also a str, which is sent as it is."""

    status: int = 200
    json: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class ApiStandIn(ABC):
    """Subclasses say in `answer` what the real one would. asked: every request, in order. skew_ms: how far its clock is
    before ours. before and after: called with the number of each request, before it does anything and when it has."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.skew_ms = 0
        self.before: Callable[[int], None] = lambda _: None
        self.after: Callable[[int], None] = lambda _: None
        self.lock = threading.RLock()
        self._tls = tls
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self.start()

    @abstractmethod
    def answer(self, asked: Asked) -> Told:
        """Called with one request at a time."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.skew_ms

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def start(self) -> None:
        outer = self

        class Door(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                length = int(self.headers.get("content-length", 0))
                raw = self.rfile.read(length)
                kind = self.headers.get("content-type", "")
                parts = urlsplit(self.path)
                asked = Asked(
                    method=self.command,
                    path=unquote(parts.path),
                    query=parse_qs(parts.query, keep_blank_values=True),
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=json.loads(raw) if raw and "json" in kind else raw.decode(errors="replace"),
                    target=self.path,
                )
                with outer.lock:
                    outer.asked.append(asked)
                    outer.before(len(outer.asked))
                    told = outer.answer(asked)
                    outer.after(len(outer.asked))
                is_text = isinstance(told.json, str)
                body = (
                    b"" if told.json is None else (told.json if is_text else json.dumps(told.json)).encode()
                )
                self.send_response(told.status)
                headers = {"content-type": "text/plain" if is_text else "application/json", **told.headers}
                for name, value in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_LIST = handle_one

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Clients hang up on purpose."""

        self._server = Server(("127.0.0.1", self._port), Door)
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self._port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections; what it kept, it keeps."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
