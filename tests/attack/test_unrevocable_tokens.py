"""Tokens that no server takes back, one after the other, for as long as a broker runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_hex
from threading import Thread

import pytest

from answerable.adapters.http_target.kind import HttpTargetSettings, built, faults_of
from answerable.adapters.http_target.oauth_issuer import OAuthIssuer
from answerable.testing.clock import ManualClock
from tests.worlds.http_target import READ, SECRETS, order, world

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HTTPLEASE-11")]


class _Tokens(BaseHTTPRequestHandler):
    """A token endpoint that has no other: nothing can be taken back there."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(
            {"access_token": token_hex(16), "token_type": "Bearer", "expires_in": 3_600}
        ).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    running = ThreadingHTTPServer(("127.0.0.1", 0), _Tokens)
    thread = Thread(target=running.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}/token"
    running.shutdown()
    thread.join()
    running.server_close()


async def test_what_is_not_taken_back_is_known_until_it_ends_and_no_longer(server):
    """Else a broker would refuse every lease at this target, once it has had as many as it can hold."""
    clock = ManualClock(round(time.time() * 1000))
    settings = HttpTargetSettings(
        base_url="http://127.0.0.1:9", auth="client_credentials", client_id="broker"
    )
    settings = replace(settings, token_url=server, secret="file:client")
    assert not faults_of(settings)
    issuer = built(settings, world(SECRETS, clock=clock)).issuer
    assert isinstance(issuer, OAuthIssuer)
    for number in range(1, 6):
        await issuer.issue(order(number, scope=READ))
        assert not (await issuer.revoke(order(number).name)).is_gone
    assert len(await issuer.live()) == 5
    assert len(issuer._leases.names()) == 5
    clock.advance(4_000)
    await issuer.issue(order(9, scope=READ, ttl_ms=5_000_000))
    assert issuer._leases.names() == (order(9).name,)
