"""A caller whose possession of a registered key or channel has been proved for one message."""

from __future__ import annotations

from hmac import compare_digest
from typing import Literal

import msgspec

from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.workload.evidence import UNKNOWN_IDENTITY, CallerIdentity

ProofKind = Literal["signature", "session_mac", "unix_peer", "mtls", "svid", "dpop"]


class VerifiedCaller(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Made only by the verifying flow, from a proof over the very bytes the action was parsed from, and by the link
    between processes of one deployment, from what that flow made in another of them.

    agent: the registered agent the key or channel belongs to.
    proof: how possession was shown.
    binding: what the proof was bound to, as text for the record: key thumbprint, session, certificate or peer.
    sequence: number of this message under that binding; never accepted twice.
    message_digest: SHA-256 of the message bytes the proof covers, 32 bytes.
    at: when it was checked, Unix milliseconds.
    identity: the running instance behind it, and how well that is known.
    key: RFC 7638 thumbprint of the key that possession was shown of, empty where it was none.
    certificate: `x5t#S256` (RFC 8705, section 3.1) of the client certificate that showed it, else empty.
    process: SHA-256, base64url, of what the kernel said of the process that it comes from, else empty.
    """

    agent: AgentId
    proof: ProofKind
    binding: str
    sequence: int
    message_digest: bytes
    at: UnixMillis
    identity: CallerIdentity = UNKNOWN_IDENTITY
    key: str = ""
    certificate: str = ""
    process: str = ""

    def holds(self, *, key: str = "", certificate: str = "", process: str = "") -> bool:
        """Whether the proof is by what a token's `cnf` names, `jkt`, `x5t#S256` or a process: by every one that is
        given, and at least one is. Compared in constant time."""
        if not (key or certificate or process):
            return False
        return _fits(key, self.key) and _fits(certificate, self.certificate) and _fits(process, self.process)


def _fits(asked: str, ours: str) -> bool:
    return not asked or compare_digest(asked.encode("utf-8", "surrogatepass"), ours.encode())
