"""Revoke a token on request of an agent that holds it or an ancestor of it (RFC 7009)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread

from answerable.core.mandate.delegation_chain import SEPARATOR
from answerable.core.mandate.hop_token import read_hop
from answerable.core.mandate.revocation import RevocationTarget
from answerable.core.registry.documents.documents import DELEGATION_DEPTH_MAX
from answerable.errors import Malformed, Refused
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.flows.validity.verify_lineage import verified_claim

if TYPE_CHECKING:
    from answerable.flows.state.token_desk import TokenState
    from answerable.flows.tokens.authenticate_client import TokenClient


async def revoke_token(desk: TokenState, client: TokenClient, text: str) -> bool:
    """End a token with its whole subtree. `text`: a token, or a chain whose last token is meant.

    A hop that an agent signed is known only by its whole chain. Returns False and does nothing if the token is unknown
    or not this client's to end, so that the client cannot tell the two apart. Raises Unavailable.
    """
    try:
        what = await _ended_by(desk, client, text)
    except (Malformed, Refused):
        return False
    if what is None:
        return False
    await revoke_authority(
        desk.recorder,
        desk.authority,
        desk.live,
        what,
        by=f"agent:{client.agent}",
        reason="given back by an agent",
        looks_back=False,
    )
    return True


async def _ended_by(desk: TokenState, client: TokenClient, text: str) -> RevocationTarget | None:
    """Return the name under which the token ends, if the client may end it. Raises Malformed, Refused."""
    hop = read_hop(text.rpartition(SEPARATOR)[2])
    if await anyio.to_thread.run_sync(_may_end, desk, client, hop.jti):
        return RevocationTarget("token", hop.jti)
    if SEPARATOR not in text:
        return None
    chain = verified_claim(desk.verification, text, desk.recorder.clock.now())
    if client.agent not in {one.agent for one in chain.hops}:
        return None
    # By its hash: the signer chose the `jti`, which may equal that of another agent's token.
    return RevocationTarget("hop", chain.leaf.hash)


def _may_end(desk: TokenState, client: TokenClient, jti: str) -> bool:
    """Whether the client has this token, or one that it derives from."""
    for _ in range(DELEGATION_DEPTH_MAX + 1):
        found = desk.tokens.find(jti)
        if found is None:
            return False
        if found.agent == client.agent:
            return True
        jti = found.parent
    return False
