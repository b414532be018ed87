"""Port: calls to the processes that run the other shards of this deployment."""

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
    """Promises: `forward` hands an action over at most once and never retries by itself; connects only to processes of
    this deployment's own account on this machine; every wait is bounded.

    Cancelling `forward` cancels the action in the other process. Raises what the other process raised, as the walk
    does, but never Broken; and Unavailable: with effect `none` as long as the action was not completely handed over
    (`shard.down`, `shard.refused`, `shard.too_long`), with effect `unknown` once it was and no answer came
    (`shard.lost`, `shard.late`, `shard.failed`).
    """

    def reaches(self, origin: str) -> bool:
        """Whether the log of this name belongs to another shard of this deployment. Says nothing about its process."""
        ...

    def others(self) -> Sequence[str]:
        """Return the logs of all other shards on this machine, whether their processes run or not.

        Raises Unavailable (`shard.directory`).
        """
        ...

    async def effects(self, origin: str, what: RevocationTarget) -> Effects:
        """Return what the process of the log `origin` has in flight under a revoked name, and what was done under it.
        Changes nothing there. Raises Unavailable (`shard.*`), always with effect `none`."""
        ...

    async def contained(self, origin: str, hold: str) -> StopPart:
        """Return what the log `origin` says of a hold, as reported by its process. Changes nothing there. Raises
        Unavailable (`shard.*`), always with effect `none`."""
        ...

    async def greet(self, origin: str) -> None:
        """Return once the process of the log `origin` has answered. Raises Unavailable, always with effect `none`:
        `shard.down` where it is not running, another `shard.*` where it gives no answer."""
        ...

    async def forward(
        self, origin: str, request: ActionRequest, caller: VerifiedCaller, *, progress: Progress | None = None
    ) -> Answer:
        """Have the process of the log `origin` govern the action, and return its answer."""
        ...
