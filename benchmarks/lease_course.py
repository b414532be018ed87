"""Ours and the bare statements in turns, the figures of both, and the command line: shared by the benchmarks of kinds.

Bare is what somebody would send by hand, by the same driver, over a connection that is open already. Both take turns,
so that whatever else the machine does meets both; a ratio is of medians of one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

RATIO_AIM: Final = 1.3
NOT_INSTALLED: Final = 3
"""Exit code where the server, or what it is spoken to with, is not on this machine."""

Once = Callable[[int], Awaitable[object]]
"""Given the number of the lease; the first is 0."""


def told(took: list[float]) -> dict[str, float]:
    """Of milliseconds, one after another."""
    ordered = sorted(took)
    return {
        "p50_ms": round(statistics.median(ordered), 3),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 3),
        "per_second": round(1000 * len(ordered) / sum(ordered), 1),
    }


async def in_turns(count: int, **steps: tuple[Once, Once]) -> dict[str, object]:
    """Each step so many times, bare and then ours, in the order in which the steps are named.

    The first of each opens connections and is not counted.
    """
    turns: dict[str, Once] = {}
    for bare_or_ours in (0, 1):
        for name, pair in steps.items():
            turns[name if bare_or_ours else f"bare_{name}"] = pair[bare_or_ours]
    took: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(count + 1):
        for name, once in turns.items():
            started = time.perf_counter()
            await once(number)
            if number:
                took[name].append((time.perf_counter() - started) * 1000)
    figures: dict[str, object] = {name: told(values) for name, values in took.items()}
    for name in steps:
        ratio = statistics.median(took[name]) / statistics.median(took[f"bare_{name}"])
        figures[f"{name}_ratio_p50"] = round(ratio, 2)
    return figures


def run(about: str | None, measured: Callable[[int], Awaitable[dict[str, Any]]]) -> None:
    """Measure and print. Exits with NOT_INSTALLED where there is nothing to measure with."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--leases", type=int, default=200, help="how many, one after another (200)")
    arguments = parser.parse_args()

    async def whole() -> dict[str, Any]:
        return await measured(max(1, arguments.leases))

    try:
        found = asyncio.run(whole())
    except pytest.skip.Exception as missing:
        print(f"not measured: {missing}", file=sys.stderr)
        sys.exit(NOT_INSTALLED)
    found["ratio_aim"] = RATIO_AIM
    found["memory_max_kib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    for name, figures in found.items():
        print(f"{name}: {json.dumps(figures)}")
