"""What is believed of an OpenID provider's endpoints, and what is not: over HTTP, on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from answerable.adapters.oidc import OidcCodeFlow
from answerable.errors import AnswerableError, Malformed
from answerable.testing.clock import ManualClock

pytestmark = pytest.mark.anyio


class Provider:
    """Answers what it is told to. asked: forms that came to the token endpoint, with the authorization header."""

    def __init__(self) -> None:
        self.url = ""
        self.document: dict[str, Any] = {}
        self.answer: tuple[int, bytes] = (200, b'{"id_token": "a.b.c"}')
        self.asked: list[tuple[dict[str, list[str]], str]] = []
        self.discoveries = 0


@contextmanager
def running() -> Iterator[Provider]:
    told = Provider()

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.discoveries += 1
            self._send(200, json.dumps(told.document).encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            told.asked.append((parse_qs(body), self.headers.get("authorization", "")))
            self._send(*told.answer)

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    told.document = {
        "issuer": told.url,
        "authorization_endpoint": f"{told.url}/authorize?tenant=a",
        "token_endpoint": f"{told.url}/token",
    }
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def flow(provider: Provider, **more: Any) -> OidcCodeFlow:
    return OidcCodeFlow(
        provider.url,
        client_id="con sole",
        clock=more.pop("clock", ManualClock()),
        login_seconds_max=600,
        **more,
    )


async def address(one: OidcCodeFlow) -> str:
    return await one.address(state="s", nonce="n", verifier="v" * 43, redirect="http://localhost:8768/back")


async def token(one: OidcCodeFlow) -> str:
    return await one.id_token("code", verifier="v" * 43, redirect="http://localhost:8768/back")


async def refused(call: Any) -> str:
    with pytest.raises(AnswerableError) as raised:
        await call
    return raised.value.code


async def test_the_browser_is_sent_with_state_nonce_and_a_challenge_that_hides_the_verifier():
    with running() as provider:
        found = await address(flow(provider))
        parts = urlsplit(found)
        query = {name: one[0] for name, one in parse_qs(parts.query).items()}
        assert (parts.path, query["tenant"], query["state"], query["nonce"]) == ("/authorize", "a", "s", "n")
        assert (query["code_challenge_method"], query["max_age"], query["scope"]) == ("S256", "600", "openid")
        assert query["redirect_uri"] == "http://localhost:8768/back"
        assert "v" * 43 not in found


@pytest.mark.parametrize(
    ("methods", "secret", "header", "in_form"),
    [
        (None, "", False, {"client_id"}),
        (None, "se:cret", True, set()),
        (["client_secret_post"], "se:cret", False, {"client_id", "client_secret"}),
        (["client_secret_basic", "client_secret_post"], "se:cret", True, set()),
    ],
)
async def test_a_code_is_exchanged_in_the_way_that_the_provider_takes(methods, secret, header, in_form):
    with running() as provider:
        if methods is not None:
            provider.document["token_endpoint_auth_methods_supported"] = methods
        assert await token(flow(provider, client_secret=secret)) == "a.b.c"
        [(form, authorization)] = provider.asked
        assert form["code_verifier"] == ["v" * 43]
        assert {"client_id", "client_secret"} & set(form) == in_form
        assert authorization.startswith("Basic ") == header


async def test_a_discovery_document_is_asked_for_again_when_it_is_old():
    with running() as provider:
        clock = ManualClock()
        one = flow(provider, clock=clock)
        await address(one)
        await address(one)
        assert provider.discoveries == 1
        clock.advance(301)
        await address(one)
        assert provider.discoveries == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"issuer": "https://another.example"}, "issuer.answer"),
        ({"authorization_endpoint": None}, "issuer.answer"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "issuer.answer"),
        ({"authorization_endpoint": "http://another.example/authorize"}, "issuer.answer"),
        ({"authorization_endpoint": "https://user:pass@a.example/"}, "issuer.answer"),
        ({"padding": "x" * 200_000}, "issuer.answer"),
    ],
)
async def test_a_document_that_is_not_its_own_sends_nobody_anywhere(changes, code):
    with running() as provider:
        provider.document |= changes
        assert await refused(address(flow(provider))) == code


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((400, b'{"error": "invalid_grant"}'), "sign_in.code"),
        ((401, b"{}"), "sign_in.code"),
        ((200, b"{}"), "sign_in.code"),
        ((200, b'{"id_token": 7}'), "sign_in.code"),
        ((200, b"not json"), "sign_in.code"),
        ((302, b""), "issuer.answer"),
        ((500, b""), "issuer.answer"),
        ((200, b"x" * 200_000), "issuer.answer"),
    ],
)
async def test_what_is_no_token_is_none(answer, code):
    with running() as provider:
        provider.answer = answer
        assert await refused(token(flow(provider))) == code


async def test_a_provider_that_is_away_is_unavailable_and_one_in_the_clear_is_refused():
    with running() as provider:
        one = flow(provider)
    assert await refused(address(one)) == "issuer.unreachable"
    with pytest.raises(Malformed):
        OidcCodeFlow("http://login.example", client_id="c", clock=ManualClock(), login_seconds_max=600)
