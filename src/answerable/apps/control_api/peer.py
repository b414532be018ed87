"""Who is at the other end of the Unix socket, as the kernel says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from answerable.core.identity.proof.channel import CHANNEL_EXTENSION, Channel
from answerable.errors import Unverified

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_LET_IN: Final = "control.peer"
_ROOT: Final = 0


def caller_of(scope: Mapping[str, Any]) -> str:
    """The caller as the ledger names it, `uid:N`: only our own user and root come in.

    Raises Unverified (`control.peer`) for anybody else, and when the connection carries no credentials at all.
    """
    channel = (scope.get("extensions") or {}).get(CHANNEL_EXTENSION)
    peer = channel.peer if isinstance(channel, Channel) else None
    if peer is None:
        raise Unverified("this connection does not say who is calling", code=NOT_LET_IN, step="peer")
    if peer.uid not in (os.geteuid(), _ROOT):
        raise Unverified(
            f"user {peer.uid} may not call the control API: use the account that runs the server, or root",
            code=NOT_LET_IN,
            step="peer",
        )
    return f"uid:{peer.uid}"
