"""Port: the proofs that were accepted, so that none is accepted again."""

from __future__ import annotations

from typing import Final, Literal, Protocol

ReplayAnswer = Literal["new", "seen", "full"]

PARTITION_BYTES: Final = 32
DIGEST_BYTES: Final = 16
EPOCH_BYTES: Final = 32


class ReplayStore(Protocol):
    """Promises: of any number of racing calls with the same partition and digest, from all threads and processes of
    the deployment, exactly one is told "new" until the digest's time has passed. Room is kept by partition: what one
    fills is not another's. A store that cannot tell says so by raising Unavailable (`replay.*`), never "new".

    Time is in seconds of the clock that never goes back (`Clock.monotonic`) and that all processes share.

    Callers read their clock before they ask, and may be late: whatever ends no later than something that was forgotten
    is "seen", and so is what has ended already.

    A store need not outlive its machine's run, but then it has another `epoch`: whatever is to be accepted must be
    bound to the epoch it was made under, as a nonce made with it is, so that what was forgotten is refused for that.
    """

    @property
    def epoch(self) -> bytes:
        """32 unpredictable bytes that all who share the store know and nobody else does; others whenever something
        that was accepted may have been forgotten before its time. Constant while the store is open."""
        ...

    @property
    def since(self) -> float:
        """When this epoch began: what was accepted from then on is remembered by all who share the store. What was made
        before, and is bound to no epoch, may have been accepted once. Infinity once the store has been replaced by
        another one, of which this one's callers know nothing. Raises Unavailable (`replay.unavailable`)."""
        ...

    def accept(self, partition: bytes, digest: bytes, *, until: float, at: float) -> ReplayAnswer:
        """Remember a use until a time, unless it is remembered already.

        partition: 32 bytes, whose use it is. digest: 16 bytes. "full" when this partition has no room left, or when
        there is no room for another partition; both end by themselves as time passes. Raises Unavailable
        (`replay.unavailable`), and Malformed (`replay.limits`) for bytes of another length.
        """
        ...
