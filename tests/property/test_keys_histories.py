"""Whatever happens to people's keys, and wherever documents are applied: no honest answer reads as forged."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from answerable.core.canonical import encode
from answerable.errors import Refused, Unavailable
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.fault_injection import Crash, Trouble, TroubledLedger
from tests.worlds.keys import LATER, answered, found, person, registered
from tests.worlds.parts import to_apply

if TYPE_CHECKING:
    from answerable.testing.builders import Bench
    from answerable.testing.fault_injection import Fault

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("KEYS-03")]

NAMES = ("bob", "carol", "erin", "frank")
KEYS = (*NAMES, "fifth", "sixth")
FAULTS: tuple[Fault, ...] = ("full", "undone", "done", "crash_before", "crash_after")


def dealt(chance: random.Random, held: dict[str, list[str]]) -> dict[str, list[str]]:
    """Some keep what they have; what is left over is dealt anew."""
    after = {name: held[name] for name in NAMES if chance.random() < 0.5}
    left = [key for key in KEYS if not any(key in keys for keys in after.values())]
    for name in NAMES:
        if name not in after:
            after[name] = [
                left.pop(chance.randrange(len(left))) for _ in range(min(len(left), chance.randint(0, 2)))
            ]
    return after


async def applied(bench: Bench, held: dict[str, list[str]]) -> None:
    await apply_registry(
        *to_apply(bench.walk), [person(name, *keys) for name, keys in held.items()], by="operator"
    )


async def applied_in_vain(bench: Bench, held: dict[str, list[str]], fault: Fault) -> bool:
    """Whether it came into force all the same, as where nothing had to be written."""
    plain = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(
        plain, Trouble(lambda _n, method: fault if "submit" in method else None)
    )
    try:
        await applied(bench, held)
    except (Unavailable, Crash):
        return False
    finally:
        bench.recorder.ledger = plain
    return True


@pytest.mark.parametrize("seed", range(12))
async def test_no_honest_answer_reads_as_forged(seed: int):
    chance = random.Random(seed)
    held = {name: [name] for name in NAMES}
    bench = await registered(*[person(name, *keys) for name, keys in held.items()])
    for number in range(20):
        what = chance.choice(["here", "elsewhere", "in vain", "restart", "wait", "yes", "yes", "yes"])
        if what == "here":
            held = dealt(chance, held)
            await applied(bench, held)
        elif what == "elsewhere":
            # By the process of another shard, whose log has the entry.
            held = dealt(chance, held)
            documents = bench.authority.registry.documents()
            more = {f"Principal/{name}": encode(person(name, *keys)) for name, keys in held.items()}
            bench.authority.registry.put({**documents, **more})
        elif what == "in vain":
            other = dealt(chance, held)
            held = other if await applied_in_vain(bench, other, chance.choice(FAULTS)) else held
        elif what == "restart":
            bench.recorder.keys_named.clear()
        elif what == "wait":
            bench.clock.advance(LATER)
        else:
            await somebody_says_yes(bench, chance, held, 6_000 + number)
    rules, shown, unread = found(bench)
    assert rules == []
    assert shown + unread >= 1


async def somebody_says_yes(
    bench: Bench, chance: random.Random, held: dict[str, list[str]], amount: int
) -> None:
    by = chance.choice([name for name in NAMES if held[name]])
    try:
        await answered(bench, by=by, key=chance.choice(held[by]), amount=amount)
    except Refused:
        # Documents came into force at the same moment, or the person was asked too often.
        return
