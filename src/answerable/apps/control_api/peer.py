"""Identify the caller of the Unix socket by the credentials that the kernel reports."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from answerable.core.identity.proof.channel import CHANNEL_EXTENSION, Channel
from answerable.errors.codes.services import CONTROL_PEER

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_LET_IN: Final = CONTROL_PEER.id
_ROOT: Final = 0


def caller_of(scope: Mapping[str, Any]) -> str:
    """Return the caller as named in the ledger, `uid:N`. Only the server's own user and root are accepted.

    Raises Unverified (`control.peer`) for any other user, and when the connection carries no credentials.
    """
    channel = (scope.get("extensions") or {}).get(CHANNEL_EXTENSION)
    peer = channel.peer if isinstance(channel, Channel) else None
    if peer is None:
        raise CONTROL_PEER("the connection does not identify the calling process")
    if peer.uid not in (os.geteuid(), _ROOT):
        raise CONTROL_PEER(
            f"user {peer.uid} may not call the control API: use the account that runs the server, or root"
        )
    return f"uid:{peer.uid}"
