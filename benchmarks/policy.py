"""CPU per policy decision, from 10 policies to 10,000 and 10 agents to 100,000, beside the engines of others.

Thread CPU clock, best of several rounds: it hardly moves on a busy machine. p50 and p99 are of the wall clock, which
does. The first table is about slices alone, the second about what others do with the same rules and the same request.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import policy_facts
import policy_grid
import policy_rules as rules

ROOT: Final = Path(__file__).resolve().parent.parent
COUNTS: Final = (10, 50, 100, 1_000, 10_000)
GRID: Final = (10, 100, 1_000, 10_000)
ENTITIES: Final = (10, 1_000, 100_000)
QUICK_COUNTS: Final = (10, 50, 100)
QUICK_ENTITIES: Final = (10, 1_000)
QUICK_SECONDS: Final = 0.02
QUICK_TIMES: Final = 50
PEERS_SECONDS_MAX: Final = 900
SET_UP_SECONDS_MAX: Final = 600


def main() -> None:
    """Print the tables, or with `--json` one object."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print one JSON object")
    options.add_argument(
        "--quick", action="store_true", help="small counts and few calls: to see that it works"
    )
    chosen = options.parse_args()
    counts = QUICK_COUNTS if chosen.quick else COUNTS
    grid = [count for count in counts if count in GRID]
    entities = QUICK_ENTITIES if chosen.quick else ENTITIES
    seconds = QUICK_SECONDS if chosen.quick else policy_grid.BUDGET_SECONDS
    verified, facts = rules.verified_request(policy_grid.CASE), rules.facts_now()
    times = QUICK_TIMES if chosen.quick else rules.TIMES
    rows = [rules.measured(count, verified, facts, times=times) for count in counts]
    cells = policy_grid.rows(grid, entities, seconds)
    everything = policy_facts.rows(seconds)
    peers, missing = peer_rows(grid, entities, seconds)
    figures = figures_of(rows, [*cells, *peers], entities) | {
        "gathered_and_decided_cpu_us": everything[0]["cpu_us"],
        "gathered_and_decided_with_10_trackers_cpu_us": everything[1]["cpu_us"],
    }
    load = os.getloadavg()[0]
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, load {load:.1f}"
    )
    if chosen.json:
        found = {"bench": "policy", "machine": machine, "rows": rows, "cells": [*cells, *peers]}
        found["facts"] = everything
        print(json.dumps({**found, "peers_missing": missing, "figures": figures}))
        return
    _print(machine, rows, [*cells, *peers], everything, missing, figures)


def peer_rows(
    policies: list[int], entities: tuple[int, ...], seconds: float
) -> tuple[list[dict[str, Any]], str]:
    """What the engines of others take, from their own environment; else why there are no such figures.

    Entities make no difference to CEL, which has none: each count of policies is asked with the fewest, and the
    growth with entities is looked at with 100 policies.
    """
    environment = ROOT / ".dev/peers/policy/bin/python"
    done = _run(
        [sys.executable, "-E", "-s", str(ROOT / "tools/set_up.py"), "--peers"], "", SET_UP_SECONDS_MAX
    )
    if done.returncode:
        return [], f"their environment cannot be made: {' '.join(done.stderr.split())[-300:]}"
    cells = [{"policies": count, "entities": entities[0]} for count in policies]
    cells += [{"policies": 100, "entities": size} for size in entities[1:]]
    asked = {
        "cells": cells,
        "rules": [asdict(rule) for rule in rules.others(max(policies))],
        "allowed": asdict(
            rules.Rule(agent=rules.AGENT.name, forbids=False, calls_over=0, use_case="support", tier_under=3)
        ),
        "input": {**policy_grid.plain_request(), "context": policy_grid.cedar_request()["context"]},
        "timed": policy_grid.TIMED,
        "seconds": seconds,
        "rounds": rules.ROUNDS,
    }
    script = str(ROOT / "benchmarks/peers/policy_engines.py")
    done = _run([str(environment), script], json.dumps(asked), PEERS_SECONDS_MAX)
    if done.returncode:
        return [], f"they failed: {' '.join(done.stderr.split())[-300:]}"
    return json.loads(done.stdout), ""


def _run(command: list[str], sent: str, seconds_max: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, input=sent, capture_output=True, text=True, timeout=seconds_max, check=False
    )


def figures_of(
    rows: list[dict[str, float]], cells: list[dict[str, Any]], entities: tuple[int, ...]
) -> dict[str, float]:
    """What aims are stated of, and how much each engine grows."""
    by_count = {int(row["policies"]): row for row in rows}
    most = max(by_count)
    found = {
        f"decision_cpu_us_{count}": by_count[count]["sliced_us"]
        for count in (50, 100, most)
        if count in by_count
    }
    found[f"policies_{most}_over_50"] = round(by_count[most]["sliced_us"] / by_count[50]["sliced_us"], 3)
    found[f"full_over_sliced_{most}"] = round(by_count[most]["full_us"] / by_count[most]["sliced_us"], 1)
    cpu = {(cell["engine"], cell["policies"], cell["entities"]): cell["cpu_us"] for cell in cells}
    few, many = entities[0], entities[-1]
    for engine in dict.fromkeys(cell["engine"] for cell in cells):
        name = engine.partition(" (")[0].replace(", ", "_").replace(" ", "_").replace("-", "_")
        found[f"{name}_cpu_us_100"] = cpu[engine, 100, few]
        found[f"{name}_{most}_over_100_policies"] = round(cpu[engine, most, few] / cpu[engine, 100, few], 2)
        found[f"{name}_{many}_over_{few}_entities"] = round(cpu[engine, 100, many] / cpu[engine, 100, few], 2)
    return found


def _print(
    machine: str,
    rows: list[dict[str, float]],
    cells: list[dict[str, Any]],
    everything: list[dict[str, Any]],
    missing: str,
    figures: dict[str, float],
) -> None:
    print(f"{machine}\n\nCPU µs per decision; mandate rule, mapping and weighing included\n")
    print(f"{'policies':>9} {'sliced':>9} {'whole set':>11} {'first use':>10} {'publish':>9}")
    for row in rows:
        print(
            f"{row['policies']:>9,.0f} {row['sliced_us']:>7.1f}µs {row['full_us']:>9,.1f}µs"
            f" {row['first_decision_us']:>8.0f}µs {row['publish_s']:>8.2f}s"
        )
    print("\nBy registered agents, beside others; cpu of the thread, p50 and p99 on the wall clock\n")
    print(f"{'engine':>24} {'policies':>9} {'agents':>8} {'cpu':>11} {'p50':>11} {'p99':>11}")
    for cell in cells:
        print(
            f"{cell['engine']:>24} {cell['policies']:>9,} {cell['entities']:>8,} {cell['cpu_us']:>9,.1f}µs"
            f" {cell['p50_us']:>9,.1f}µs {cell['p99_us']:>9,.1f}µs"
        )
    print("\nAll facts gathered from their registers, then decided, 100 policies\n")
    for row in everything:
        print(
            f"{row['declared']:>24} {row['cpu_us']:>9,.1f}µs cpu, of it {row['gather_cpu_us']:,.1f}µs gathering;"
            f" p50 {row['p50_us']:,.1f}µs, p99 {row['p99_us']:,.1f}µs"
        )
    if missing:
        print(f"\nRego and CEL are not measured: {missing}")
    print()
    for name, value in figures.items():
        print(f"{name} = {value}")


if __name__ == "__main__":
    main()
