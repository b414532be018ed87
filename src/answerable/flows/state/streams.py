"""Streams of events to callers, as far as the walk has to know of them: to end those that are held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.mandate.delegation_lineage import DelegationLineage


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stream:
    """A stream of events to one caller. lineage: the task it was opened for, as far as one is known. cut: ends it; must
    not wait, and may be called more than once. listens: nothing is asked for on it, so nobody loses an answer where it
    ends."""

    caller: VerifiedCaller
    delegation_lineage: DelegationLineage | None
    server: str
    cut: Callable[[], None]
    listens: bool = False
