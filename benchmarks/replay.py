"""Past decisions asked again per second, beside bare cedarpy on the same requests.

Each process has a ledger of its own in memory, written by the real walk, and asks its decisions again as `answerable
decision replay --all` does: it opens what is sealed, reads the question, holds it against leaf, mandate and
declarations, asks the policies and compares. Half of the decisions are about reads, of which policies look at nothing
that differs, so that Cedar is asked once for all of them; the other half are refunds of different amounts, which it is
asked about one by one. What the refunds take alone stands beside the mixture. Wall clock of all processes together, and
CPU of each, for on a busy machine the first says more about the others than about this.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import time
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Final

import cedarpy
import msgspec

from answerable.core.decision.asked import read_question
from answerable.core.ledger.tags import Tag
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.verify.ledger_replay import STATED, decision_entry, replay_entries

if TYPE_CHECKING:
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey

COUNTS: Final = (5, 100, 1_000)
DECISIONS: Final = 4_000
QUICK_DECISIONS: Final = 400
ROUNDS: Final = 2
PROCESSES: Final = 2
AIM_PER_SECOND: Final = 20_000


def main() -> None:
    """Print the table, or with `--json` one object."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print one JSON object")
    options.add_argument("--quick", action="store_true", help="few decisions: to see that it works")
    chosen = options.parse_args()
    decisions = QUICK_DECISIONS if chosen.quick else DECISIONS
    counts = COUNTS[:2] if chosen.quick else COUNTS
    rows = [row_of(count, decisions) for count in counts]
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    if chosen.json:
        print(json.dumps({"bench": "replay", "machine": machine, "aim": AIM_PER_SECOND, "rows": rows}))
        return
    print(machine)
    print(
        f"{'policies':>9} {'a second':>12} {'CPU µs each':>12} {'refunds, µs':>12} {'bare, all, µs':>15} "
        f"{'bare, some, µs':>16}"
    )
    for row in rows:
        print(
            f"{row['policies']:>9} {row['per_second']:>12,.0f} {row['cpu_us']:>12.0f} {row['new_us']:>12.0f} "
            f"{row['bare_whole_us']:>15.0f} {row['bare_mentioned_us']:>16.0f}"
        )
    print(f"aim: {AIM_PER_SECOND:,} decisions a second on two cores with 100 policies")


def row_of(policies: int, decisions: int) -> dict[str, Any]:
    """All processes at once on ledgers of the same kind."""
    with get_context("spawn").Pool(PROCESSES) as pool:
        found = pool.starmap(measured, [(policies, decisions)] * PROCESSES)
    best = min(found, key=lambda one: one["cpu_us"])
    return {
        "policies": policies,
        "decisions": decisions * PROCESSES,
        "per_second": sum(one["per_second"] for one in found),
        "cpu_us": best["cpu_us"],
        "new_us": best["new_us"],
        "bare_whole_us": best["bare_whole_us"],
        "bare_mentioned_us": best["bare_mentioned_us"],
    }


def measured(policies: int, decisions: int) -> dict[str, float]:
    """One process: best of several rounds."""
    bench = asyncio.run(wrote(policies, decisions))
    entries = list(bench.recorder.ledger.replay())
    find = bench.recorder.subject_keys.find
    wall, cpu = asked_again(entries, find, decisions)
    stated = [one for one in entries if one.tag in STATED]
    refunds = [one for one in entries if one.tag == Tag.INTENT and b'"crm.refund"' in one.leaf]
    _, new = asked_again([*stated, *refunds], find, len(refunds))
    asked = [decision_entry(one, find) for one in entries if one.tag == Tag.INTENT]
    questions = [read_question((one.fields or {})["question"]) for one in asked]
    statement = msgspec.json.decode(bench.walk.policies.decision_point.policy_statement)
    handle = cedarpy.PolicySet.from_str(statement["policies"])
    return {
        "per_second": decisions / wall,
        "cpu_us": cpu / decisions * 1e6,
        "new_us": new / len(refunds) * 1e6,
        "bare_whole_us": bare(questions, handle, ("",)),
        "bare_mentioned_us": bare(questions, handle, ("arguments", "task")),
    }


def asked_again(entries: list[StoredEntry], find: FindKey, decisions: int) -> tuple[float, float]:
    """Wall clock and CPU of the best round, in seconds; each begins with nothing read."""
    walls, cpus = [], []
    for _ in range(ROUNDS):
        began, cpu = time.perf_counter(), time.thread_time()
        count = sum(one.verdict == "same" for one in replay_entries(entries, find))
        cpus.append(time.thread_time() - cpu)
        walls.append(time.perf_counter() - began)
        assert count == decisions
    return min(walls), min(cpus)


def bare(questions: list[Any], policies: cedarpy.PolicySet, members: tuple[str, ...]) -> float:
    """cedarpy's public call alone, with its entities bound; CPU µs each."""
    entities = cedarpy.Entities.from_json_str("[]")
    requests = [
        {
            "principal": {"type": "Agent", "id": one.principal.id},
            "action": {"type": "Action", "id": one.action.id},
            "resource": {"type": one.resource.type, "id": one.resource.id},
            "context": json.dumps(
                one.context if members == ("",) else {name: one.context[name] for name in members}
            ),
        }
        for one in questions
    ]
    cpus = []
    for _ in range(ROUNDS):
        cpu = time.thread_time()
        for request in requests:
            cedarpy.is_authorized(request, policies, entities)
        cpus.append(time.thread_time() - cpu)
    return min(cpus) / len(requests) * 1e6


async def wrote(policies: int, decisions: int) -> Bench:
    """A ledger with so many allowed actions under a set of so many policies."""
    own = POLICIES.count("@id")
    others = "".join(
        f'@id("other-{number}") forbid (principal == Agent::"rover", action == Action::"crm.refund", resource) '
        f"when {{ context.task.calls_used > {number} }};\n"
        for number in range(policies - own)
    )
    bench = await Bench().registered(bench_documents(POLICIES + others))
    await bench.issue(calls_max=decisions)
    for number in range(decisions):
        if number % 2:
            await bench.act(arguments={"case": str(number)})
        else:
            await bench.refund(number % 5_000 + 1)
    return bench


if __name__ == "__main__":
    main()
