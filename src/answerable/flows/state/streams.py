"""Open event streams to callers, so that the walk can end those that are held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.mandate.delegation_lineage import DelegationLineage


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stream:
    """An event stream to one caller.

    `delegation_lineage`: the task it was opened for, if known. `cut`: ends the stream; must not wait, and may be called
    more than once. `listens`: the stream carries no requests, so that no answer is lost when it ends.
    """

    caller: VerifiedCaller
    delegation_lineage: DelegationLineage | None
    server: str
    cut: Callable[[], None]
    listens: bool = False
