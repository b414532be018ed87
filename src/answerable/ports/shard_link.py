"""Port: the way to the processes that keep the other shards of this deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.action.request import ActionRequest
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.ledger.answer import Answer
    from answerable.core.ledger.containment import StopPart
    from answerable.core.ledger.effects import Effects
    from answerable.core.mandate.revocation import RevocationTarget
    from answerable.ports.upstream import Progress


class ShardLink(Protocol):
    """Promises: `forward` hands one action on at most once and never tries again by itself; only a process of this
    deployment's own account, on this machine, is spoken to; every wait has an end.

    Cancelling `forward` cancels the action over there. Raises what the other process raised, as the walk does, but
    never Broken; and Unavailable: with effect `none` as long as the action was not handed on whole (`shard.down`,
    `shard.refused`, `shard.too_long`), with effect `unknown` once it was and no answer came (`shard.lost`,
    `shard.late`, `shard.failed`).
    """

    def reaches(self, origin: str) -> bool:
        """Whether the log of this name is that of another shard of this deployment. Says nothing about its process."""
        ...

    def others(self) -> Sequence[str]:
        """The logs of all other shards that there are on this machine, whether their processes run or not.

        Raises Unavailable (`shard.directory`)."""
        ...

    async def effects(self, origin: str, what: RevocationTarget) -> Effects:
        """What the process that keeps the log `origin` has in flight under a name that is revoked, and what was done
        under it. Reads and changes nothing over there. Raises Unavailable (`shard.*`), always with effect `none`."""
        ...

    async def contained(self, origin: str, hold: str) -> StopPart:
        """What the log `origin` says of a hold, by the process that keeps it. Reads and changes nothing over there.
        Raises Unavailable (`shard.*`), always with effect `none`."""
        ...

    async def forward(
        self, origin: str, request: ActionRequest, caller: VerifiedCaller, *, progress: Progress | None = None
    ) -> Answer:
        """Have the action governed by the process that keeps the log `origin`."""
        ...
