"""What was handed on is named in every message, as the file says it at that moment."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from answerable.apps.mcp_shim.received import CHAIN_BYTES_MAX, ReceivedAuth
from answerable.core.identity.keys.keys import SigningKey, new_private_jwk
from answerable.errors import Unavailable
from answerable.sdk.proof_auth import SignatureAuth

pytestmark = pytest.mark.anyio
KEY = SigningKey(new_private_jwk("ed25519", b"w" * 32))


async def sent(file: Path) -> httpx2.Headers:
    """The fields of one message as the gateway gets it."""
    seen: list[httpx2.Request] = []

    def gateway(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200)

    auth = ReceivedAuth(SignatureAuth(KEY), file)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(gateway), auth=auth) as client:
        await client.post("http://gateway.test/mcp/crm", content=b"{}")
    return seen[-1].headers


async def test_the_chain_is_read_anew_for_each_message_and_covered_by_the_proof(tmp_path: Path):
    file = tmp_path / "chain"
    for chain in ("a.b.c", "a.b.c~d.e.f"):
        file.write_text(f"{chain}\n")
        headers = await sent(file)
        assert headers["answerable-delegation"] == chain
        assert '"answerable-delegation"' in headers["signature-input"]


@pytest.mark.parametrize(
    "content", [None, b"", b" \n", b"a\nb", "é".encode(), b"x" * (CHAIN_BYTES_MAX + 1)], ids=repr
)
async def test_without_a_chain_nothing_is_sent(tmp_path: Path, content: bytes | None):
    file = tmp_path / "chain"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Unavailable) as refused:
        await sent(file)
    assert refused.value.code == "shim.delegation"
