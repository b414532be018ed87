"""What groups of those that wait cost by themselves, in time and in memory: a part of `./dev bench approval`."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final, cast

from answerable.core.approval.approval import Approval
from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.flows.state.waiting_groups import WaitingGroups
from answerable.testing.samples import approval

WAITING: Final = 10_000
KINDS: Final = (
    ("one kind", 1, False),
    ("one kind, with texts", 1, True),
    ("1,000 agents", 1_000, False),
)
"""Name, agents, and whether each has a text of its own."""

Line = dict[str, Any]


def groups(count: int) -> list[Line]:
    """Groups by themselves: of one kind, of one kind with texts of their own, and of a thousand agents."""
    lines = []
    for name, more in (
        ("one kind", {}),
        ("one kind, with texts", {"words": True}),
        ("1,000 agents", {"agents": 1_000}),
    ):
        every = [*alike(count, at=UnixMillis(0), **cast("Any", more))]
        new, before, gone = every[-1], tuple(every[:-1]), tuple(every[1:-1])
        tracemalloc.start()
        kept = WaitingGroups()
        kept.of(before)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        kept = WaitingGroups()
        first, more_one, less_one = (
            _took(partial(kept.of, waiting)) for waiting in (before, (new, *before), (new, *gone))
        )
        lines += [
            line(f"groups of {len(every):,}, {name}: made at once", first, "ms"),
            line(f"groups of {len(every):,}, {name}: one more", more_one, "ms"),
            line(f"groups of {len(every):,}, {name}: one less", less_one, "ms"),
            line(f"groups of {len(every):,}, {name}: memory beside the approvals", held / 1e6, "MB"),
        ]
    return lines


def alike(count: int, *, at: UnixMillis, agents: int = 1, words: bool = False) -> Iterator[Approval]:
    """So many of so many agents. words: each with a text of its own, besides an amount."""
    for number in range(count):
        one = approval(f"w-{number:06d}", amount=6_000 + number)
        if words:
            envelope = cast("Any", one.shown.thaw())
            envelope["value"]["arguments"]["invoice"] = f"INV-2026-{number:06d}"
            one = replace(one, shown=freeze(envelope))
        agent = AgentId(f"agent-{number % agents}") if agents > 1 else one.agent
        yield replace(one, agent=agent, created_at=at, expires_at=UnixMillis(at + 900_000))


def line(name: str, value: float, unit: str, limit: float | None = None) -> Line:
    """One figure, and the most that it may be."""
    return {"name": name, "value": value, "unit": unit, "limit": limit}


def _took(call: Callable[[], object]) -> float:
    """In milliseconds."""
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000
