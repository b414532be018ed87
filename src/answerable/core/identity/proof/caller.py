"""A caller whose possession of a registered key or channel has been proved for one message."""

from __future__ import annotations

from hmac import compare_digest
from typing import Literal

import msgspec

from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.workload.evidence import UNKNOWN_IDENTITY, CallerIdentity

ProofKind = Literal["signature", "session_mac", "unix_peer", "mtls", "svid", "dpop"]


class VerifiedCaller(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A caller with proven possession. Only the verifying flow makes one, from a proof over the exact bytes that the
    action was parsed from, and the link between processes of one deployment, from a caller verified in another process.

    agent: the registered agent the key or channel belongs to.
    proof: how possession was proved.
    binding: what the proof was bound to, as text for the record: key thumbprint, session, certificate or peer.
    sequence: number of this message under that binding; never accepted twice.
    message_digest: SHA-256 of the message bytes the proof covers, 32 bytes.
    at: when it was checked, Unix milliseconds.
    identity: the running instance that called, and how well it is known.
    key: RFC 7638 thumbprint of the key whose possession was proved, else empty.
    certificate: `x5t#S256` (RFC 8705, section 3.1) of the client certificate of the proof, else empty.
    process: SHA-256, base64url, of the kernel's description of the calling process, else empty.
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
        """Whether the proof matches a token's `cnf`: `jkt`, `x5t#S256` or a process. Every given value must match, and
        at least one must be given. Compared in constant time."""
        if not (key or certificate or process):
            return False
        return _fits(key, self.key) and _fits(certificate, self.certificate) and _fits(process, self.process)


def _fits(asked: str, ours: str) -> bool:
    return not asked or compare_digest(asked.encode("utf-8", "surrogatepass"), ours.encode())
