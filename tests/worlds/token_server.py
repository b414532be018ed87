"""A server on loopback that answers as a test says and writes down what it was sent; and the agent that calls it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from answerable.core.identity.keys.keys import SEED_BYTES, SigningKey, new_private_jwk
from answerable.sdk.client_identity import PrivateKeyClient
from answerable.sdk.discovery import ServerMetadata
from answerable.sdk.oauth_http import OAuthHttp
from answerable.sdk.resource_tokens import ResourceTokens
from answerable.sdk.token_client import AccessToken, TokenClient

RESOURCE_METADATA = "/.well-known/oauth-protected-resource/mcp"
SERVER_METADATA = "/.well-known/oauth-authorization-server"
PRIVATE_JWK = new_private_jwk("ecdsa-p256-sha256", bytes([7]) * SEED_BYTES["ecdsa-p256-sha256"])
KEY = SigningKey(PRIVATE_JWK)
ASSERTION_KEY = SigningKey(new_private_jwk("ed25519", bytes([8]) * SEED_BYTES["ed25519"]))
SECRET = "s3cr3t-token-0123456789abcdefghijklmnop"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        pairs = parse_qsl(self.body.decode(), strict_parsing=True, keep_blank_values=True)
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)


@dataclass(frozen=True, kw_only=True)
class Said:
    """One answer. A dict becomes JSON."""

    status: int = 200
    body: bytes | dict[str, Any] = b""
    headers: dict[str, str] = field(default_factory=dict)


class Server:
    """Authorization server at /token and resource at /mcp, unless a test says otherwise."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.faults: list[Exception] = []
        self.answers: dict[str, Callable[[Seen], Said] | Said] = {}
        self._lock = threading.Lock()
        outer = self

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen = Seen(method=self.command, path=self.path, headers=headers, body=body)
                with outer._lock:
                    outer.seen.append(seen)
                said = outer.answers.get(self.path, Said(status=404))
                try:
                    said = said(seen) if callable(said) else said
                except Exception as fault:
                    # It would only be a lost connection to the client; the test is to fail by it.
                    outer.faults.append(fault)
                    raise
                content = json.dumps(said.body).encode() if isinstance(said.body, dict) else said.body
                self.send_response(said.status)
                for name, value in {"content-length": str(len(content)), **said.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = answer

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self._server.daemon_threads = True
        # Clients hang up on purpose.
        self._server.handle_error = lambda *_: None
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.resource = self.url + "/mcp"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.answers[RESOURCE_METADATA] = Said(
            body={"resource": self.resource, "authorization_servers": [self.url]}
        )
        self.answers[SERVER_METADATA] = Said(body={"issuer": self.url, "token_endpoint": self.url + "/token"})

    def posts(self, path: str) -> list[Seen]:
        return [one for one in self.seen if (one.method, one.path) == ("POST", path)]

    def metadata(self, **changed: Any) -> ServerMetadata:
        return ServerMetadata(
            **{"issuer": self.url, "token_endpoint": self.url + "/token", "dpop_algorithms": ()} | changed
        )

    def client(self, http: OAuthHttp, key: SigningKey | None = KEY) -> TokenClient:
        return TokenClient(
            self.metadata(), PrivateKeyClient("support-agent", ASSERTION_KEY), http=http, key=key
        )

    def tokens(self, http: OAuthHttp, *, trusts: Callable[[str], bool] = lambda _: True) -> ResourceTokens:
        async def obtain(server: ServerMetadata, *, resource: str, scope: str) -> AccessToken:
            identity = PrivateKeyClient("support-agent", ASSERTION_KEY)
            client = TokenClient(server, identity, http=http, key=KEY)
            return await client.client_credentials(resource=resource, scope=scope)

        return ResourceTokens(self.resource, http=http, trusts=trusts, obtain=obtain)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    try:
        yield server
        assert not server.faults
    finally:
        server.close()


def granted(token: str = SECRET, **changed: Any) -> Said:
    return Said(body={"access_token": token, "token_type": "DPoP", "expires_in": 300, **changed})
