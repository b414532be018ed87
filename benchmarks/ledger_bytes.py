"""Bytes on disk an action, by part: `./dev bench ledger_bytes [--json]`.

The course's own actions, one after another under one mandate, sealed at the end. A segment is filled with zeros
beforehand, so what is counted of it is what its frames take; of tiles, what they take once they are full.
"""

from __future__ import annotations

import argparse
import asyncio
import json

import uvloop
from course import Course, Scratch, channel_messages, course, one_action

from answerable.core.ledger.codec import FRAME_HEADER_BYTES
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import HASH_BYTES

ACTIONS = 5_000
QUICK_ACTIONS = 500
CALLERS = 64
GOAL = 4_500
"""Of an action with a reason, and an answer of a few words."""


def main() -> None:
    """Print the table, or with `--json` one object."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print one JSON object")
    options.add_argument("--quick", action="store_true", help="a short log: to see that it works")
    options.add_argument("--everything", action="store_true", help="under policies that look at all there is")
    chosen = options.parse_args()
    actions = QUICK_ACTIONS if chosen.quick else ACTIONS
    with Scratch() as directory:
        made = course(directory, with_everything=chosen.everything)
        parts = uvloop.run(parts_of(made, actions))
    figures = {"bytes_per_action": sum(parts.values()), "goal": GOAL}
    if chosen.json:
        print(json.dumps({"bench": "ledger_bytes", "actions": actions, "parts": parts, "figures": figures}))
        return
    for name, size in (*parts.items(), *figures.items()):
        print(f"{name:<24} {size:>8,.0f}")


async def parts_of(made: Course, actions: int) -> dict[str, float]:
    """What each part takes, in bytes an action."""
    stream = channel_messages(made)
    messages = iter([next(stream) for _ in range(actions)])

    async def caller() -> None:
        for message in messages:
            await one_action(made, message)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    made.ledger.seal()
    parts = dict.fromkeys(("intent leaf", "intent sealed", "outcome leaf", "outcome sealed"), 0)
    entries = leaves = 0
    for stored in made.ledger.replay():
        kind = {Tag.INTENT: "intent", Tag.OUTCOME: "outcome"}.get(Tag(stored.tag))
        if kind is None:
            continue
        entries, leaves = entries + 1, leaves + len(stored.leaf)
        parts[f"{kind} leaf"] += len(stored.leaf)
        parts[f"{kind} sealed"] += len(stored.attachment)
    await made.ledger.close()
    parts["frame headers"] = entries * FRAME_HEADER_BYTES
    parts["entry bundles"] = leaves + 2 * entries
    parts["hash tiles"] = entries * HASH_BYTES * 256 // 255
    return {name: size / actions for name, size in parts.items()}


if __name__ == "__main__":
    main()
