"""CPU, rate and latency of the whole walk in one process: `./dev bench walk [--json]`.

One action: the proved message is parsed strictly and its proof checked, the action is frozen, its arguments are checked
against the tool's schema, Cedar decides with 50 policies, the intent is durable, a no-op upstream acts, the outcome is
durable. Messages are signed before the clock starts: signing is the client's work.

Each fifth action is about a case that nobody asked about before, and a policy looks at the case:
`share_of_answers_kept` says how many of Cedar's answers were kept ones. Once more with none kept; as it is used, one
caller with a new mandate each ten actions, and each action; and with a policy set that looks at everything there is:
ten trackers, named times, destinations, risk, and an obligation that hides part of every answer.

Where `./dev native` made the native build of this source, its figures stand beside those of this one, `native_`.

CPU is the process clock (all threads), which holds on a noisy machine; rates and latencies stand beside the limit that
the same disk and loop gave in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event, Semaphore

import bare_path
import policy_rules
import raw_log
import uvloop
from both_builds import native_figures
from changing import ACTIONS_A_MANDATE, changing_messages
from course import (
    Course,
    Scratch,
    Sent,
    channel_messages,
    course,
    one_action,
    session_messages,
    signed_messages,
)

CALLERS = (1, 16, 64, 256)
SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """cpu_us: process CPU per action. Latencies in milliseconds. kept: share of Cedar's answers that were."""

    callers: int
    actions: int
    rate: float
    cpu_us: float
    p50: float
    p99: float
    decision_p50: float
    kept: float


async def run(course: Course, messages: list[Sent], callers: int, seconds: float) -> Measured:
    """`callers` closed loops over prepared messages until the time or the messages are over."""
    pending = iter(messages)
    took: list[float] = []
    decisions: list[float] = []
    single = callers == 1
    gc.collect()
    gc.freeze()
    cpu, begun = time.process_time(), time.perf_counter()
    end = begun + seconds

    async def caller() -> None:
        for message in pending:
            start = time.perf_counter()
            if start >= end:
                return
            await one_action(course, message)
            took.append(time.perf_counter() - start)
            if single:
                decisions.append(course.decided[-1] - start)

    await asyncio.gather(*(caller() for _ in range(callers)))
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    course.decided.clear()
    gc.unfreeze()
    took.sort()
    return Measured(
        callers=callers,
        actions=len(took),
        rate=len(took) / wall,
        cpu_us=cpu / len(took) * 1e6,
        p50=took[len(took) // 2] * 1000,
        p99=took[len(took) * 99 // 100] * 1000,
        decision_p50=statistics.median(decisions) * 1000 if decisions else 0.0,
        kept=course.answers.kept / max(1, course.answers.kept + course.answers.asked),
    )


def measured(
    source: Callable[[Course], Iterator[Sent]],
    callers: int,
    seconds: float,
    count: int,
    *,
    with_everything: bool = False,
    keeps_answers: bool = True,
) -> Measured:
    """One run on a fresh log; the best of three by CPU, since a neighbour only ever adds."""
    results = []
    for _ in range(3):
        with Scratch() as directory:
            made = course(directory, with_everything=with_everything, keeps_answers=keeps_answers)
            stream = source(made)
            messages = [next(stream) for _ in range(count)]

            async def main(made: Course = made, messages: list[Sent] = messages) -> Measured:
                await run(made, messages[:200], callers=min(callers, 64), seconds=seconds)
                result = await run(made, messages[200:], callers=callers, seconds=seconds)
                await made.ledger.close()
                return result

            results.append(uvloop.run(main()))
    return min(results, key=lambda r: r.cpu_us)


def _process_rate(ready: Semaphore, go: Event, results: Queue[float], seconds: float) -> None:
    with Scratch() as directory:
        made = course(directory)
        stream = channel_messages(made)
        messages = [next(stream) for _ in range(int(30_000 * seconds))]

        async def main() -> float:
            await run(made, messages[:500], callers=64, seconds=seconds)
            ready.release()
            await asyncio.to_thread(go.wait)
            result = await run(made, messages[500:], callers=64, seconds=seconds)
            await made.ledger.close()
            return result.rate

        results.put(uvloop.run(main()))


def process_rate(processes: int, seconds: float) -> float:
    """Actions per second of so many processes at once, a log shard each."""
    context = multiprocessing.get_context("spawn")
    ready, go = context.Semaphore(0), context.Event()
    results: Queue[float] = context.Queue()
    started = [
        context.Process(target=_process_rate, args=(ready, go, results, seconds)) for _ in range(processes)
    ]
    for process in started:
        process.start()
    for _ in started:
        ready.acquire()
    go.set()
    total = sum(results.get() for _ in started)
    for process in started:
        process.join()
    return total


def main() -> None:
    """Measure, print a table or one JSON object."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--seconds", type=float, default=SECONDS)
    arguments.add_argument("--quick", action="store_true", help="one caller count, no second process")
    options = arguments.parse_args()
    seconds = options.seconds
    with Scratch() as directory:
        sync_ms = raw_log.single_fdatasync(directory, 300).p50_ms
    rows: list[dict[str, object]] = []
    by_callers: dict[int, Measured] = {}

    def told(proof: str, result: Measured, floor: float = 0.0) -> Measured:
        rows.append(_row(proof, result, floor))
        _say(options.json, rows[-1])
        return result

    peer = "Unix-socket peer"
    for callers in (64,) if options.quick else CALLERS:
        count = 200 + int(seconds * (6_000 if callers == 1 else 30_000))
        result = measured(channel_messages, callers, seconds, count)
        with Scratch() as directory:
            floor = raw_log.raw_group_commit(directory, callers=callers, seconds=seconds, record_bytes=1024)
        by_callers[callers] = told(peer, result, floor / 2)
    many, few = 200 + int(20_000 * seconds), 200 + int(6_000 * seconds)
    asked = told(
        f"{peer}, no answer kept", measured(channel_messages, 64, seconds, many, keeps_answers=False)
    )
    used = told(f"{peer}, a new mandate each ten actions", measured(changing_messages, 1, seconds, few))
    each = told(
        f"{peer}, a new mandate each action", measured(partial(changing_messages, each=1), 1, seconds, few)
    )
    mac = told("session MAC", measured(session_messages, 64, seconds, many))
    signed = told("signature per call", measured(signed_messages, 64, seconds, 2 * few))
    full = told(f"{peer}, every fact", measured(channel_messages, 64, seconds, many, with_everything=True))
    with Scratch() as directory:
        bare = uvloop.run(bare_path.cpu_us_per_action(directory, callers=64, seconds=seconds))
    figures: dict[str, float] = {
        "cpu_us_per_action": by_callers[64].cpu_us,
        "cpu_us_per_action_no_answer_kept": asked.cpu_us,
        "share_of_answers_kept": by_callers[64].kept,
        "cpu_us_per_action_one_caller_new_mandate_each_ten": used.cpu_us,
        "cpu_us_more_of_first_action_under_a_mandate": (each.cpu_us - used.cpu_us)
        / (1 - 1 / ACTIONS_A_MANDATE),
        "cpu_us_per_action_session_mac": mac.cpu_us,
        "cpu_us_per_action_proof_per_call": signed.cpu_us,
        "cpu_us_per_action_every_fact": full.cpu_us,
        "cpu_us_bare_path": bare,
        "actions_per_s_c64": by_callers[64].rate,
    }
    if not options.quick:
        one, two = process_rate(1, 2 * seconds), process_rate(2, 2 * seconds)
        costs = policy_rules.decision_costs(50, 10_000)
        figures |= {
            "rate_c256_over_cpu_limit": by_callers[256].rate / (1e6 / by_callers[256].cpu_us),
            "decision_p50_over_fdatasync_c1": by_callers[1].decision_p50 / sync_ms,
            "fdatasync_p50_ms": sync_ms,
            "policies_10000_over_50": costs[10_000] / costs[50],
            "two_process_scaling": two / one,
        }
    figures |= native_figures("walk", "--quick", f"--seconds={seconds}")
    where = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    machine = f"{where}, load {os.getloadavg()[0]:.1f}"
    if options.json:
        print(json.dumps({"bench": "walk", "machine": machine, "rows": rows, "figures": figures}))
        return
    print(f"\n{machine}")
    for name, value in figures.items():
        print(f"  {name:36} {value:10.3f}")


def _row(proof: str, result: Measured, floor: float) -> dict[str, object]:
    return {
        "proof": proof,
        "callers": result.callers,
        "cpu_us": round(result.cpu_us, 1),
        "actions_per_s": round(result.rate),
        "p50_ms": round(result.p50, 3),
        "p99_ms": round(result.p99, 3),
        "raw_log_limit_actions_per_s": round(floor),
    }


def _say(as_json: bool, row: dict[str, object]) -> None:
    if not as_json:
        print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
