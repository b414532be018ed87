"""A caller whose possession of a registered key or channel has been proved for one message."""

from __future__ import annotations

from typing import Literal

import msgspec

from answerable.core.identity.evidence import UNKNOWN_IDENTITY, CallerIdentity
from answerable.core.identity.principal import AgentId, UnixMillis

ProofKind = Literal["signature", "session_mac", "unix_peer", "mtls", "svid"]


class VerifiedCaller(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Made only by the verifying flow, from a proof over the very bytes the action was parsed from.

    agent: the registered agent the key or channel belongs to.
    proof: how possession was shown.
    binding: what the proof was bound to, as text for the record: key thumbprint, session, certificate or peer.
    sequence: number of this message under that binding; never accepted twice.
    message_digest: SHA-256 of the message bytes the proof covers, 32 bytes.
    at: when it was checked, Unix milliseconds.
    identity: the running instance behind it, and how well that is known.
    key: what could be stolen and is revoked by its own name: thumbprint of the key that signed this message or opened
    its session, or SHA-256 of the certificate of its connection, hex; empty for a peer that the kernel knows.
    """

    agent: AgentId
    proof: ProofKind
    binding: str
    sequence: int
    message_digest: bytes
    at: UnixMillis
    identity: CallerIdentity = UNKNOWN_IDENTITY
    key: str = ""
