"""An agent gives back a token, its own or one that derives from its own (RFC 7009)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread

from answerable.core.mandate.delegation_chain import DEPTH_MAX, SEPARATOR
from answerable.core.mandate.hop_token import read_hop
from answerable.core.mandate.revocation import Revocable
from answerable.errors import Malformed
from answerable.flows.revoke_authority import revoke_authority

if TYPE_CHECKING:
    from answerable.flows.authenticate_client import TokenClient
    from answerable.flows.token_desk import TokenDesk


async def revoke_token(desk: TokenDesk, client: TokenClient, text: str) -> bool:
    """End it with its whole subtree. text: a token, or a chain of which the last is meant.

    False, and nothing is done, for what is unknown or not this client's to end: to the client both are the same.
    Raises Unavailable.
    """
    try:
        jti = read_hop(text.rpartition(SEPARATOR)[2]).jti
    except Malformed:
        return False
    if not await anyio.to_thread.run_sync(_may_end, desk, client, jti):
        return False
    await revoke_authority(
        desk.walk, Revocable("token", jti), by=f"agent:{client.agent}", reason="given back by an agent"
    )
    return True


def _may_end(desk: TokenDesk, client: TokenClient, jti: str) -> bool:
    """Whether the client has this token, or one that it derives from."""
    for _ in range(DEPTH_MAX + 1):
        found = desk.tokens.find(jti)
        if found is None:
            return False
        if found.agent == client.agent:
            return True
        jti = found.parent
    return False
