"""Records the small ledger that must verify for ever: `python -m tests.replay.record_ledger DIRECTORY`.

Run once per version of the format, by hand; what it made stays as it is. It tells one of everything that the first
version writes: both ends of an intent, a settled and corrected one, a refusal, approvals, mandates, registry and policy
changes, counted refusals, a clean reopening, a kill with a torn end, two segments and several checkpoints.
A clean reopening leaves no entry any more; the first recording has one.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from answerable.adapters.tlog_files import TlogFilesLedger, TlogFilesSettings
from answerable.core.ledger.tags import Tag
from answerable.testing.clock import START, ManualClock
from answerable.testing.contracts.ledger import log_key
from tests.worlds.ledger import CITED, DIGEST, end, entry, intent

SETTINGS = TlogFilesSettings(segment_bytes=16_384, commit="inline")
NAME = "ledger.example/recorded"


def opened(directory: Path) -> TlogFilesLedger:
    """The log, under the key that follows from its name."""
    key, sign = log_key(NAME)
    return TlogFilesLedger.open(directory, key=key, sign=sign, clock=ManualClock(), settings=SETTINGS)


async def first_life(directory: Path) -> None:
    """From the beginning to a closing in order."""
    async with opened(directory) as ledger:
        for one in CITED:
            await ledger.append(one)
        change = {"after": DIGEST, "before": "", "by": "alice"}
        await ledger.append(entry(Tag.REGISTRY_CHANGE, {**change}, b"[]"))
        await ledger.append(
            entry(Tag.POLICY_CHANGE, {**change}, b'{"policies":"permit (principal, action, resource);"}')
        )
        await ledger.append(
            entry(
                Tag.MANDATE_ISSUED,
                {
                    "agent": "scout",
                    "calls_max": 5,
                    "expires": START + 3_600_000,
                    "mandate": "m-1",
                    "principal": "alice",
                    "use_case": "support",
                },
                b'{"purpose":"answer customers"}',
            )
        )
        await acted(ledger, "a-1", "succeeded")
        await acted(ledger, "a-2", "failed")
        await acted(ledger, "a-3", "not_started")
        ledger.seal()
        await ledger.append(
            entry(
                Tag.REFUSAL,
                {"action": "a-4", "agent": "scout", "code": "policy.denied"},
                '{"reasons":["nein, Ümläut"]}'.encode(),
            )
        )
        await ledger.append(entry(Tag.REFUSALS_COUNTED, {"agents": {"scout": 3}, "strangers": {"proof": 2}}))
        asked = {"agent": "scout", "approval": "q-1", "digest": DIGEST, "mandate": "m-1"}
        await ledger.append(entry(Tag.APPROVAL_ASKED, {**asked}, b'{"action":1}'))
        answer = {"approval": "q-1", "digest": DIGEST, "person": "bob", "verdict": "approve"}
        await ledger.append(entry(Tag.APPROVAL_ANSWER, {**answer}, b'{"comment":""}'))


async def second_life(directory: Path) -> None:
    """Reopened in order, ended by force."""
    ledger = opened(directory)
    await acted(ledger, "a-5", "indeterminate", "succeeded")
    await asyncio.gather(*(ledger.append(intent(f"b-{number}", payload=b"x" * 900)) for number in range(12)))
    await ledger.append(entry(Tag.MANDATE_CLOSED, {"agent": "scout", "by": "alice", "mandate": "m-1"}))
    ledger._release()
    last = max((directory / "wal").glob("*.wal"))
    content = last.read_bytes()
    written = len(content.rstrip(b"\x00"))
    # The power goes while the next entry is written: all that is left of it is half a header.
    last.write_bytes(content[:written] + b"\xf5ENT1234" + content[written + 8 :])


async def third_life(directory: Path) -> None:
    """Reopened after a torn end; open intents stay open."""
    async with opened(directory) as ledger:
        assert ledger.recovered is not None
        await acted(ledger, "a-6", "succeeded")
        ledger.seal()


async def acted(ledger: TlogFilesLedger, action: str, *ends: str) -> None:
    """One action with these ends."""
    begun = intent(action, payload=b'{"action":{"method":"tools/call"}}')
    receipt = await ledger.append(begun)
    for status in ends:
        await ledger.append(end(begun, receipt.index, action, status, b'{"detail":""}'))


def record(directory: Path) -> None:
    """Write the log and leave only what an auditor would be given."""
    for life in (first_life, second_life, third_life):
        asyncio.run(life(directory))
    (directory / "lock").unlink()
    (directory / "wal/spare").unlink(missing_ok=True)
    (directory / "tile.new").rmdir()


if __name__ == "__main__":
    record(Path(sys.argv[1]))
