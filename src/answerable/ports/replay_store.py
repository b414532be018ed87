"""Port: the DPoP proofs and client assertions already accepted, stored to detect replays."""

from __future__ import annotations

from typing import Final, Literal, Protocol

ReplayAnswer = Literal["new", "seen", "full"]

PARTITION_BYTES: Final = 32
DIGEST_BYTES: Final = 16
EPOCH_BYTES: Final = 32


class ReplayStore(Protocol):
    """Promises: of any number of racing calls with the same partition and digest, from all threads and processes of the
    deployment, exactly one returns "new" until the digest's expiry. Space is reserved by partition: one partition
    cannot use up another's. A store that cannot answer raises Unavailable (`replay.*`) and never returns "new".

    Time is in seconds of the monotonic clock (`Clock.monotonic`), which all processes share.

    Callers read their clock before the call, and may be late: a use that ends no later than a removed entry is "seen",
    and so is a use that has ended already.

    A store need not survive a restart of its machine, but then it has another `epoch`: every accepted proof must be
    bound to the epoch in which it was made, for example by a nonce derived from it, so that proofs whose record was
    lost are refused.
    """

    @property
    def epoch(self) -> bytes:
        """32 unpredictable bytes that all who share the store know and nobody else does. They change whenever an
        accepted use may have been lost before its expiry. Constant while the store is open."""
        ...

    @property
    def since(self) -> float:
        """When this epoch began: all who share the store remember the uses accepted from then on. A proof made before,
        and bound to no epoch, may already have been accepted once. Infinity once the store was replaced by another one,
        about which this one's callers know nothing. Raises Unavailable (`replay.unavailable`)."""
        ...

    def accept(self, partition: bytes, digest: bytes, *, until: float, at: float) -> ReplayAnswer:
        """Store a use until a time, unless it is stored already.

        partition: 32 bytes, the owner of the use. digest: 16 bytes. "full" when this partition has no space left, or
        there is no space for another partition; both resolve as entries expire. Raises Unavailable
        (`replay.unavailable`), and Malformed (`replay.limits`) for bytes of another length.
        """
        ...
