from __future__ import annotations

import io
import json

import pytest

from answerable.apps.mcp_shim import lines as module
from answerable.apps.mcp_shim.gateway_client import Session, field_text, fields_of, is_modern
from answerable.apps.mcp_shim.lines import Writer, lines_of, message_of
from answerable.errors import Malformed
from answerable.sdk.gateway_address import open_client
from answerable.sdk.proof_auth import SignatureAuth
from answerable.testing.samples import signing_key

pytestmark = pytest.mark.anyio
VERSION = "io.modelcontextprotocol/protocolVersion"


async def test_lines_come_one_by_one_and_long_ones_are_skipped(monkeypatch):
    monkeypatch.setattr(module, "LINE_BYTES_MAX", 10)
    stdin = io.BytesIO(b"first\r\n\n" + b"x" * 35 + b"\nlast")
    assert [line async for line in lines_of(stdin)] == [b"first", None, b"last"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", -32700),
        (b'{"jsonrpc":"2.0","jsonrpc":"2.0"}', -32700),
        (b'{"jsonrpc":"2.0","id":NaN}', -32700),
        (b'{"a":"\\ud800"}', -32700),
        (b"\xff\xfe", -32700),
        (b"[" * 100 + b"]" * 100, -32700),
        (b"[]", -32600),
        (b'{"jsonrpc":"1.0"}', -32600),
        (b'{"jsonrpc":"2.0","id":1.5}', -32600),
        (None, -32600),
    ],
)
def test_a_line_that_is_no_message_gets_an_answer(line, code):
    answer = message_of(line)
    assert isinstance(answer, bytes)
    assert json.loads(answer)["error"]["code"] == code
    assert json.loads(answer)["id"] is None


async def test_a_message_is_written_as_one_line():
    out = io.BytesIO()
    await Writer(out).write(b'{\r\n "a": 1}')
    assert out.getvalue().count(b"\n") == 1
    assert json.loads(out.getvalue()) == {"a": 1}
    out.close()
    writer = Writer(out)
    await writer.write(b"{}")
    assert writer.left.is_set()


def test_the_era_of_a_message_is_in_its_envelope():
    meta = {"_meta": {VERSION: "2026-07-28"}}
    assert is_modern({"method": "tools/list", "params": meta}) == "2026-07-28"
    assert is_modern({"method": "initialize", "params": meta}) == ""
    assert is_modern({"method": "tools/list", "params": {"_meta": {"progressToken": 1}}}) == ""
    session = Session(id="s", version="2025-11-25")
    fields = fields_of({"method": "tools/call", "params": {"name": "zwölf", **meta}}, session)
    assert fields["mcp-name"] == "=?base64?enfDtmxm?="
    assert "mcp-session-id" not in fields
    assert fields_of({"method": "tools/list"}, session)["mcp-session-id"] == "s"
    assert "mcp-session-id" not in fields_of({"method": "initialize"}, session)


def test_a_field_holds_any_text():
    assert field_text("pay") == "pay"
    for text in (" pay", "=?base64?YQ==?=", "a\nb"):
        assert field_text(text).startswith("=?base64?")


def test_a_gateway_is_an_address_and_nothing_more():
    auth = SignatureAuth(signing_key("scout"))
    assert open_client("http://127.0.0.1:1/", auth)[1] == "http://127.0.0.1:1"
    assert open_client("unix:/run/s", auth)[1] == "http://localhost"
    for bad in ("127.0.0.1:1", "http://user@host", "http://host/path", "ftp://host"):
        with pytest.raises(Malformed):
            open_client(bad, auth)
