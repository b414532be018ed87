"""A bench on which people are tested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from answerable.flows.approval.keep_figures import read_figures
from answerable.flows.approval.send_attention_check import asked_canary, send_attention_check
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import Bench
from tests.worlds.parts import to_govern

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval

TESTED = WalkLimits(canaries_per_day=100, canaries_pending_max=10)


async def bench_with_tests(limits: WalkLimits = TESTED, **parts) -> Bench:
    """One mandate, and a real refund of 6,000 that somebody said no to, after which others can be like it."""
    bench = await Bench(limits=limits, **parts).registered()
    await bench.issue("m-1", calls_max=1_000, seconds=80_000)
    asked = (await bench.refund(6_000)).approval
    await bench.answer(asked, verdict="deny")
    return bench


async def canary_on(bench: Bench) -> Approval:
    """One that is asked now: a refund of 60,000, which asks two people."""
    asked = await asked_canary(
        *to_govern(bench.walk), bench.asking.canaries.patterns[-1][1], bench.clock.now()
    )
    assert asked is not None
    return asked


async def drawn(bench: Bench, *, hours: float, every_seconds: int = 300) -> list[Approval]:
    """What is asked in so long a time."""
    found = []
    for _ in range(round(hours * 3600 / every_seconds)):
        bench.clock.advance(every_seconds)
        asked = await send_attention_check(*to_govern(bench.walk))
        if asked is not None:
            found.append(asked)
    return found


async def counted(bench: Bench, later: int = 0) -> Any:
    """The figures so far."""
    figures = await read_figures(bench.recorder, bench.asking.figures, seconds_max=60)
    return figures.within(0, bench.clock.now() + later)
