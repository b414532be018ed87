"""Servers that echo our credential in the spellings of common encoders, and in those that only a reader undoes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import quote, quote_plus

import pytest

from answerable.adapters.http_target.kind import HttpTargetSettings, built, faults_of
from answerable.core.lease.credential_redaction import HIDDEN, Echoes
from tests.worlds.http_target import KEYED, Secrets, asked, order, world

KEY = "k3y/with+all&of<them>='\"8d1f0c7e"


class _Written(ThreadingHTTPServer):
    """Knows how the test wants its answer to be written."""

    written: Callable[[str], str]


class _Echoing(BaseHTTPRequestHandler):
    """Answers with what the header says, as this test's server was told to write it."""

    def do_GET(self) -> None:
        assert isinstance(self.server, _Written)
        body = self.server.written(self.headers["x-key"]).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def api() -> Iterator[_Written]:
    server = _Written(("127.0.0.1", 0), _Echoing)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


WRITTEN = {
    "escaped slashes": lambda key: json.dumps({"got": key}).replace("/", "\\/"),
    "escaped for HTML": lambda key: "".join(
        f"\\u{ord(one):04x}" if one in "<>&" else one for one in json.dumps({"got": key})
    ),
    "escaped whole": lambda key: '{"got": "' + "".join(f"\\u{ord(one):04X}" for one in key) + '"}',
    "as a name": lambda key: '{"' + "".join(f"\\u{ord(one):04x}" for one in key) + '": 1}',
    "deep down": lambda key: '[[{"a": [{"b": "x' + "".join(f"\\u{ord(one):04x}" for one in key) + '"}]}]]',
    "in a text": lambda key: json.dumps({"headers": f"x-key: {key}"}),
}


@pytest.mark.anyio
@pytest.mark.requirement("HTTPLEASE-03")
@pytest.mark.parametrize("how", WRITTEN)
async def test_no_escape_of_json_brings_a_key_back(api, how):
    api.written = WRITTEN[how]
    settings = HttpTargetSettings(base_url="http://127.0.0.1:1", auth="api_key_header", secret="file:key")
    settings = replace(
        settings, base_url=f"http://127.0.0.1:{api.server_address[1]}", secret_name="x-key", secret_prefix=""
    )
    assert not faults_of(settings)
    target = built(settings, world(Secrets({"file:key": KEY.encode()})))
    credential = await target.issuer.issue(order(scope=KEYED))
    found = await asked(target, credential)
    assert found["status"] == 200
    assert KEY not in json.dumps(found, ensure_ascii=False, default=str)
    assert KEY not in repr(found)
    assert HIDDEN.decode() in json.dumps(found, default=str)


SPELLED = {
    "percent, slashes kept": quote(KEY),
    "percent, as forms have it": quote_plus(KEY),
    "HTML": escape(KEY),
    "HTML by numbers": escape(KEY).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    "JSON, slashes escaped": json.dumps(KEY).replace("/", "\\/"),
    "JSON for HTML": json.dumps(KEY).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
    "JSON for HTML, capitals": json.dumps(KEY)
    .replace("<", "\\u003C")
    .replace(">", "\\u003E")
    .replace("&", "\\u0026"),
}


@pytest.mark.requirement("HTTPLEASE-03")
@pytest.mark.parametrize("how", SPELLED)
def test_the_spellings_of_common_encoders_are_hidden(how):
    spelled = SPELLED[how].strip('"')
    shown = Echoes([KEY]).hidden_text(f"before {spelled} after")
    assert shown == f"before {HIDDEN.decode()} after"


@pytest.mark.requirement("HTTPLEASE-03")
def test_utf_16_is_hidden_and_a_long_answer_that_holds_no_secret_stays_as_it_is():
    credential_redaction = Echoes([KEY])
    assert KEY.encode("utf-16-le") not in credential_redaction.hidden_in(
        b"\xff\xfe" + KEY.encode("utf-16-le")
    )
    plain = b'{"k3y": "value", "a": "k3y/with", "b": [1, 2, 3]}' * 20_000
    assert credential_redaction.hidden_in(plain) == plain
