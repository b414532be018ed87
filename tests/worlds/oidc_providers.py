"""OpenID providers on loopback that a test has whole: an honest one, and one that was taken over."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

from answerable.core.base64url import to_base64url
from answerable.core.canonical import parse
from answerable.core.identity.keys.keys import SigningKey
from answerable.testing.samples import signing_key

CLIENT = "answerable-console"


@dataclass
class Provider:
    """An honest OpenID provider at which one subject is logged in. secret: of the console there. redirects: those
    that are registered; empty takes any, as some do. forwards: to whom one that was taken over sends browsers on, and
    plants: with what. heard: secrets that came to its token endpoint. stolen: tokens of others that it gives out as
    its own. refused: what it did not take."""

    url: str
    subject: str
    secret: str
    key: SigningKey
    redirects: tuple[str, ...] = ()
    names_itself: bool = False
    forwards: Provider | None = None
    plants: dict[str, str] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    stolen: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/auth",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "authorization_response_iss_parameter_supported": self.names_itself,
        }

    def keys(self) -> dict[str, Any]:
        jwk = parse(self.key.public.jwk.encode())
        assert isinstance(jwk, dict)
        return {"keys": [{**jwk, "kid": "k", "use": "sig", "alg": "EdDSA"}]}

    def sent_on(self, query: dict[str, str]) -> str:
        """Where the browser goes next."""
        if self.forwards is not None:
            # The victim's state, the thief's nonce, and a challenge of which only this provider has the verifier.
            self.plants.setdefault("verifier", secrets.token_urlsafe(32))
            challenge = to_base64url(sha256(self.plants["verifier"].encode()).digest())
            changed = {**query, "nonce": self.plants["nonce"], "code_challenge": challenge}
            return f"{self.forwards.url}/auth?{urlencode(changed)}"
        if self.redirects and query["redirect_uri"] not in self.redirects:
            self.refused.append("redirect_uri")
            return ""
        code = secrets.token_urlsafe(9)
        self.codes[code] = query
        back = {"code": code, "state": query["state"]} | ({"iss": self.url} if self.names_itself else {})
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def token(self, form: dict[str, str], authorization: str) -> dict[str, str] | None:
        """What the token endpoint answers; None for a refusal."""
        _, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        self.heard.append(secret)
        if self.forwards is not None:
            if not self.stolen:
                self._redeem_at_the_other(form, authorization)
            return {"id_token": self.stolen[0]} if self.stolen else None
        asked = self.codes.pop(form["code"], None)
        verifier = to_base64url(sha256(form["code_verifier"].encode()).digest())
        if asked is None or secret != self.secret or verifier != asked["code_challenge"]:
            self.refused.append("code")
            return None
        return {"id_token": self.id_token(nonce=asked["nonce"])}

    def _redeem_at_the_other(self, form: dict[str, str], authorization: str) -> None:
        assert self.forwards is not None
        given = {**form, "code_verifier": self.plants["verifier"]}
        answer = httpx2.post(
            f"{self.forwards.url}/token",
            data=given,
            headers={"authorization": authorization},
            trust_env=False,
        )
        if "id_token" in answer.json():
            self.stolen.append(answer.json()["id_token"])

    def id_token(self, *, nonce: str, issuer: str = "", subject: str = "") -> str:
        """Signed by this provider's key, whatever it says."""
        now = int(time.time())
        claims = {
            "iss": issuer or self.url, "sub": subject or self.subject, "aud": CLIENT, "exp": now + 300, "iat": now,
            "auth_time": now, "nonce": nonce,
        }  # fmt: skip
        head = to_base64url(json.dumps({"alg": "EdDSA", "kid": "k", "typ": "JWT"}).encode())
        signed = f"{head}.{to_base64url(json.dumps(claims).encode())}"
        return f"{signed}.{to_base64url(self.key.sign(signed.encode()))}"


@contextmanager
def provider(subject: str, *, secret: str, seed: str) -> Iterator[Provider]:
    """One that serves until the end of the block."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = urlsplit(self.path)
            if place.path.startswith("/.well-known/"):
                self._send(200, made.document())
            elif place.path == "/jwks":
                self._send(200, made.keys())
            else:
                where = made.sent_on({name: one[0] for name, one in parse_qs(place.query).items()})
                self._send(302 if where else 400, {}, location=where)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: one[0] for name, one in parse_qs(body).items()}
            answer = made.token(form, self.headers.get("authorization", ""))
            self._send(200 if answer else 400, answer or {"error": "invalid_grant"})

        def _send(self, status: int, body: dict[str, Any], *, location: str = "") -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            if location:
                self.send_header("location", location)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    made = Provider(url=url, subject=subject, secret=secret, key=signing_key(seed))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
