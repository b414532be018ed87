"""An agent gives back a token, its own or one that derives from its own (RFC 7009)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread

from answerable.core.mandate.delegation_chain import DEPTH_MAX, SEPARATOR
from answerable.core.mandate.hop_token import read_hop
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import Malformed, Refused
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.flows.validity.verify_lineage import verified_claim

if TYPE_CHECKING:
    from answerable.flows.state.token_desk import TokenState
    from answerable.flows.tokens.authenticate_client import TokenClient


async def revoke_token(desk: TokenState, client: TokenClient, text: str) -> bool:
    """End it with its whole subtree. text: a token, or a chain of which the last is meant; what an agent signed away
    from here is known by its whole chain alone.

    False, and nothing is done, for what is unknown or not this client's to end: to the client both are the same.
    Raises Unavailable.
    """
    try:
        what = await _ended_by(desk, client, text)
    except (Malformed, Refused):
        return False
    if what is None:
        return False
    await revoke_authority(
        desk.walk, what, by=f"agent:{client.agent}", reason="given back by an agent", looks_back=False
    )
    return True


async def _ended_by(desk: TokenState, client: TokenClient, text: str) -> RevocationTarget | None:
    """The name under which it ends, if it is the client's to end. Raises Malformed, Refused."""
    hop = read_hop(text.rpartition(SEPARATOR)[2])
    if await anyio.to_thread.run_sync(_may_end, desk, client, hop.jti):
        return RevocationTarget("token", hop.jti)
    if SEPARATOR not in text:
        return None
    chain = verified_claim(desk.walk, text, desk.walk.clock.now())
    if client.agent not in {one.agent for one in chain.hops}:
        return None
    # By its hash: its `jti` is the choice of whoever signed it, and may be that of somebody else's token.
    return RevocationTarget("hop", chain.leaf.hash)


def _may_end(desk: TokenState, client: TokenClient, jti: str) -> bool:
    """Whether the client has this token, or one that it derives from."""
    for _ in range(DEPTH_MAX + 1):
        found = desk.tokens.find(jti)
        if found is None:
            return False
        if found.agent == client.agent:
            return True
        jti = found.parent
    return False
