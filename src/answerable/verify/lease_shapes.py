"""Define the ledger leaf about a lease."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from answerable.verify.leaf_types import Count, Leaf


class LeaseLeaf(Leaf):
    """Tag 15. change: number of the broker's change. Times are Unix milliseconds, 0 for not yet. lease: 26 characters
    of base32. scope: SHA-256 of the lease's rights; empty if not known any more."""

    account: str
    agent: str
    attempts: Count
    capability: str
    change: Count
    end: Annotated[str, Meta(pattern=r"^(?:|revoked|expired|not_issued)\Z")]
    ended_at: Count
    expires_at: Count
    intent: Count
    issued_at: Count
    lease: Annotated[str, Meta(pattern=r"^[a-z2-7]{26}\Z")]
    live_until: Count
    mandate: str
    named_at: Count
    renewed_at: Count
    scope: Annotated[str, Meta(pattern=r"^(?:|[0-9a-f]{64})\Z")]
    sessions_cut: Count
    state: Annotated[str, Meta(pattern=r"^(?:named|issued|unrevoked|ended)\Z")]
    target: str
    used_at: Count
    uses: Count
    why: str
    window: Annotated[str, Meta(pattern=r"^(?:action|task)\Z")]
