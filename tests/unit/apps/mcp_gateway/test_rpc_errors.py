"""The numbers of the front, which imports nothing of the MCP SDK, are those of the SDK."""

from __future__ import annotations

import mcp_types
import pytest
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from answerable.apps.mcp_gateway import rpc_errors


@pytest.mark.requirement("HOUSE-38")
def test_numbers_and_revisions_are_those_of_the_sdk() -> None:
    for name in ("PARSE_ERROR", "INVALID_REQUEST", "INVALID_PARAMS", "INTERNAL_ERROR"):
        assert getattr(rpc_errors, name) == getattr(mcp_types, name), name
    assert rpc_errors.HANDSHAKE_VERSIONS == HANDSHAKE_PROTOCOL_VERSIONS
