from __future__ import annotations

from typing import Any

import pytest

from answerable.apps.mcp_gateway.plain import plain_version

VERSION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
}
FIELDS = {b"mcp-protocol-version": VERSION.encode(), b"mcp-method": b"tools/call", b"mcp-name": b"read"}
ACCEPT = (b"accept", b"application/json, text/event-stream")


def message(**changed: Any) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "read", "arguments": {}, "_meta": META},
        **changed,
    }


def version(
    fields: dict[bytes, bytes] | None = None,
    lines: tuple[tuple[bytes, bytes], ...] = (ACCEPT,),
    **changed: Any,
) -> str | None:
    return plain_version({**FIELDS, **(fields or {})}, lines, message(**changed))


@pytest.mark.parametrize("accept", [b"application/json", b"*/*", b"text/html, Application/JSON;q=0.5"])
def test_a_request_that_is_right_in_every_part_is_plain(accept):
    assert version(lines=((b"accept", accept),)) == VERSION


@pytest.mark.parametrize(
    ("fields", "lines", "changed"),
    [
        ({b"mcp-protocol-version": b"2025-11-25"}, (ACCEPT,), {}),
        ({b"mcp-protocol-version": b"2099-01-01"}, (ACCEPT,), {}),
        ({b"mcp-method": b"prompts/get"}, (ACCEPT,), {}),
        ({b"mcp-name": b"write"}, (ACCEPT,), {}),
        ({b"mcp-name": b"=?base64?cmVhZA==?="}, (ACCEPT,), {}),
        ({}, (), {}),
        ({}, ((b"accept", b"text/event-stream"),), {}),
        ({}, (ACCEPT, (b"mcp-param-region", b"eu")), {}),
        ({}, (ACCEPT,), {"method": "tools/list"}),
        ({b"mcp-method": b"tools/run"}, (ACCEPT,), {"method": "tools/run"}),
        ({}, (ACCEPT,), {"params": {"name": "read"}}),
        ({}, (ACCEPT,), {"params": {"name": 7, "_meta": META}}),
        ({}, (ACCEPT,), {"params": [1]}),
        ({}, (ACCEPT,), {"params": {"name": "read", "_meta": {**META, "progressToken": 1}}}),
        ({}, (ACCEPT,), {"params": {"name": "read", "_meta": {k: META[k] for k in list(META)[:1]}}}),
        ({}, (ACCEPT,), {"params": {"name": "read", "_meta": {**META, next(iter(META)): "2025-11-25"}}}),
    ],
)
def test_whatever_is_not_right_is_left_to_the_sdk(fields, lines, changed):
    assert version(fields, lines, **changed) is None


def test_a_notification_is_not_plain():
    without = message()
    del without["id"]
    assert plain_version(FIELDS, (ACCEPT,), without) is None


def test_a_name_beyond_ascii_is_left_to_the_sdk():
    fields = {b"mcp-name": "größe".encode()}
    assert version(fields, params={"name": "größe", "_meta": META}) is None
