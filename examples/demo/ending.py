"""The end of the demo: each story as the ledger tells it, the ledger verified on a copy, and what to try next."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import anyio
from company import PAYEE, Home
from narrator import UnexpectedError
from product import Done, Product, command_line
from story import Story

CHECK_FAILED: Final = 5
"""Exit code of a check that found something."""
COPIES_MAX: Final = 5
SIGNED: Final = re.compile(r"(\d+) of them signed over")
ASKED: Final = re.compile(rb'"tag":7,[^{}\x02]*"v":2\}\x02')
"""Where the leaf of an approval that was asked for ends and what was sealed with it begins."""
LEAF_BYTES: Final = 1_000
"""Before that, in which the leaf names its mandate."""
SEALED_AT: Final = 100
"""Bytes from there into the fields, past the key that they are sealed under."""


async def tell(product: Product, stories: Sequence[Story], *, payment: Story) -> None:
    """Print the timelines and verify. payment: the story in which one was made. Raises UnexpectedError."""
    narrator = product.narrator
    narrator.title("What the ledger tells")
    told: dict[str, Done] = {}

    async def run(story: Story) -> None:
        told[story.mandate] = await product.command("timeline", story.mandate, show=())

    async with anyio.create_task_group() as tasks:
        for story in stories:
            tasks.start_soon(run, story)
    for story in stories:
        narrator.say(story.title)
        narrator.command(command_line("timeline", story.mandate))
        narrator.output(told[story.mandate].out)
    missing = [
        (story.title, wanted)
        for story in stories
        for wanted in ("set out to call", *story.told)
        if wanted not in " ".join(" ".join(told[story.mandate].out).split())
    ]
    narrator.expect(not missing, "each story can be told from the ledger alone", happened=missing)
    await verify(product, stories, payment)


async def verify(product: Product, stories: Sequence[Story], payment: Story) -> None:
    """Verify a copy of the ledger with nothing else, and a copy in which one byte of the payment is changed."""
    narrator = product.narrator
    narrator.title("Can it be trusted?")
    narrator.say(
        "The log signs what it holds. Then an auditor takes a copy and checks every byte, without the server."
    )
    await product.seal()
    copy = copied(product.home, "ledger-copy")
    done = await product.command("ledger", "verify", str(copy))
    entries = await product.entries(payment.mandate)
    last = max([(await product.entries(story.mandate))[-1]["index"] for story in stories])
    signed = SIGNED.search("\n".join(done.out))
    # The server may have noted something of its own since it signed; the stories are what counts here.
    narrator.expect(
        signed is not None and int(signed[1]) > last,
        "the ledger is whole, and all four stories are signed over",
        happened=done.out,
    )
    narrator.say("Somebody changes one byte in another copy, in what was sealed when the agent asked to pay.")
    changed = copied(product.home, "ledger-changed")
    falsify(changed, payment.mandate.encode())
    index = next(entry["index"] for entry in entries if entry["kind"] == "approval_asked")
    done = await product.command("ledger", "verify", str(changed), code=CHECK_FAILED)
    narrator.expect(
        any(f"entry {index}" in line for line in done.out),
        f"the change is found, and that it is in entry {index}",
        happened=done.out,
    )


def copied(home: Home, name: str) -> Path:
    """A copy of the ledger beside it, taken while the server runs. Raises UnexpectedError."""
    copy = home.path / name
    for _ in range(COPIES_MAX):
        try:
            return Path(shutil.copytree(home.path / "ledger", copy))
        except (shutil.Error, FileNotFoundError):
            # The server put a new checkpoint in the place of the old one meanwhile.
            shutil.rmtree(copy, ignore_errors=True)
    raise UnexpectedError("a copy of the ledger", f"{COPIES_MAX} times a file went away while it was copied")


def falsify(ledger: Path, mandate: bytes) -> None:
    """Change a sealed byte of the first payment that was asked for, in the log itself. Raises UnexpectedError."""
    for segment in sorted((ledger / "wal").glob("*.wal")):
        content = segment.read_bytes()
        every = ASKED.finditer(content)
        found = next((one for one in every if mandate in content[: one.end()][-LEAF_BYTES:]), None)
        if found is not None:
            place = found.end() + SEALED_AT
            changed = bytes((content[place] ^ 1,))
            segment.write_bytes(content[:place] + changed + content[place + 1 :])
            return
    raise UnexpectedError("the payment in the log", "no segment holds it")


def console_commands(data: Path) -> list[str]:
    """What brings Chen to the pages for people: the first in one terminal, the second in another."""
    return [
        f".dev/venv/bin/{command_line('--data', str(data), *command)}"
        for command in (("up",), ("person", "invite", "chen"))
    ]


def next_commands(data: Path) -> list[str]:
    """Three commands that work once the demo is over, without a server."""
    where = ("--data", str(data))
    return [
        f".dev/venv/bin/{command_line(*where, *command)}"
        for command in (
            ("approval", "list"),
            ("mandate", "preview", "pay-supplier", "--as", "dora", "--set", f"payee={PAYEE}"),
            ("timeline", "chen"),
        )
    ]
