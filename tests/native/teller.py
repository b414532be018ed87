"""Tells what this build does, line by line: FIRST LAST VALUES MUTANTS. Another build must tell the same, to the byte.

Simulated walks by their seeds, with the octets of their ledgers; calls with arguments of every kind and at every bound;
and what the parsers of the path make of octets that strangers send. An error is told by its kind, code and text.
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from itertools import islice

from answerable.core.canonical import JSONValue
from answerable.core.ledger import disclosure
from answerable.core.mandate.budget import checked_limits
from answerable.testing.builders import Bench, bench_documents, with_spending
from answerable.testing.disks import MemoryDisk
from answerable.testing.simulation import Simulation
from tests.fuzz.mutated import mutants
from tests.fuzz.stranger_bytes import targets

PARSERS = """
segment header; frame; notes; head; batch head; batch head text; leaf; fields; envelope; sealed fields;
disclosure array; disclosure; delegation detail; arguments; context values; obligations; narrowed arguments;
hidden answer; asked question; pointed arguments
"""
DEEP: JSONValue = "deep"
for _ in range(63):
    DEEP = [DEEP]
NUMBERS = (0, 1, -1, 2**31, 2**53 - 1, 2**53, 2**62, 2**63, 2**64, -(2**63), 10**40, 0.0, 1.0, 1.5, -0.0)
TEXTS = ("", "4711", "true", "1", "é", "\x00", "\ud800", "x" * 5_000)
NESTED: tuple[JSONValue, ...] = ([], {}, [True], {"case": True}, [[1]], DEEP, [DEEP], {"a": DEEP})
VALUES = (None, True, False, float("nan"), float("inf"), *NUMBERS, *TEXTS, *NESTED)
PERMIT = '@id("all") permit (principal, action, resource);'


def told(value: object) -> str:
    """Without places in memory, which differ from run to run."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def fault(error: Exception) -> str:
    """Its kind, code and text, and the kinds of what it was raised from."""
    return " ".join(
        [
            type(error).__name__,
            str(getattr(error, "code", "")),
            str(error),
            type(error.__cause__).__name__,
            str(error.__suppress_context__),
        ]
    )


def outcome(what: Callable[[], object]) -> str:
    """What it returns or raises."""
    try:
        return told(what())
    except Exception as error:
        return fault(error)


def simulated(seed: int) -> Iterator[str]:
    """All that happens in one simulation, and what it leaves."""
    simulation, lines = Simulation(seed), list[str]()
    simulation.narrate = lines.append
    simulation.disk = disk = MemoryDisk(simulation.clock)
    report = asyncio.run(simulation.run(lives=3, steps=25))
    yield from lines
    yield told(report)
    for stored in asyncio.run(disk.opened()).ledger.replay():
        yield f"{stored.leaf!r} {sha256(stored.attachment).hexdigest()}"


async def called(count: int) -> list[str]:
    """Calls with values of every kind in the place of every argument; then the ledger."""
    bench = await Bench().registered([with_spending(one) for one in bench_documents(PERMIT)])
    await bench.issue(calls_max=10_000)
    lines = []
    for target, name in (("get_case", "case"), ("refund", "case"), ("refund", "amount"), ("refund", "other")):
        for value in VALUES[:count]:
            arguments: JSONValue = (
                {"case": "4711", "amount": 5, name: value} if target == "refund" else {name: value}
            )
            try:
                lines.append(told(await bench.act(target, arguments)))
            except Exception as error:
                lines.append(fault(error))
    for stored in bench.recorder.ledger.replay():
        lines.append(f"{stored.leaf!r} {sha256(stored.attachment).hexdigest()}")
    return lines


def parsed(count: int) -> Iterator[str]:
    """What parsers make of mutants."""
    for name in re.split(r"\s*;\s*", PARSERS.strip().replace("\n", " ")):
        target = targets()[name]
        for sent in islice(mutants(target.samples, random.Random(name)), count):
            yield f"{name} {outcome(partial(target.parsed, sent))}"


def main() -> None:
    """Tell it all."""
    first, last, values, count = (int(one) for one in sys.argv[1:])
    print(disclosure.__file__)
    for seed in range(first, last):
        for line in simulated(seed):
            print(f"seed {seed} {line!r}")
    for line in asyncio.run(called(values)):
        print(f"call {line!r}")
    for value in VALUES[:values]:
        print(f"limit {outcome(partial(checked_limits, [('rows', value)]))!r}")
    for line in parsed(count):
        print(f"parsed {line!r}")


if __name__ == "__main__":
    main()
