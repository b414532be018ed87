"""Whether a directory keeps what a log promised, whatever befell it: looked at before and after it is reopened."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.core.ledger.codec import SEGMENT_HEADER_BYTES, decode_frame
from answerable.core.tlog.merkle import leaf_hash
from answerable.errors import AnswerableError, Malformed, Unverified
from answerable.testing.contracts.ledger import refusal_entry
from answerable.verify.ledger_history import verify_ledger
from answerable.verify.report import LedgerReport
from tests.worlds.ledger_script import KEY, Promised, cosigned_note, opened, trusted

UNBORN = frozenset({"log.empty", "key.file"})
"""What may be said of a log that died before it promised anything."""


class PromiseBroken(AssertionError):
    """Says which promise."""


def required(holds: object, promise: str) -> None:
    """Raises PromiseBroken."""
    if not holds:
        raise PromiseBroken(promise)


def checked(directory: Path, promised: Promised) -> LedgerReport:
    """The verdict of a stranger who kept every signed statement of the log and trusts one witness."""
    return verify_ledger(directory, key=KEY, policy=trusted(), kept=promised.kept())


def stored_hashes(directory: Path) -> dict[int, bytes]:
    """Leaf hash by index, read from the segments by the format alone."""
    found: dict[int, bytes] = {}
    for path in sorted((directory / "wal").glob("*.wal")):
        content, offset = path.read_bytes(), SEGMENT_HEADER_BYTES
        index = int(path.name[:16], 16)
        while True:
            try:
                frame = decode_frame(content, offset)
            except (Malformed, Unverified):
                break
            if frame is None:
                break
            found[index] = leaf_hash(frame.leaf)
            index, offset = index + 1, frame.end
    return found


def require_all(acknowledged: Mapping[int, bytes], stored: Mapping[int, bytes], where: str) -> None:
    """Every acknowledged entry is at its place."""
    lost = sorted(index for index, hashed in acknowledged.items() if stored.get(index) != hashed)
    required(not lost, f"{where}: acknowledged entries {lost[:8]} are lost")


def require_kept(directory: Path, promised: Promised) -> None:
    """Every promise holds in this directory, which it uses up. Raises PromiseBroken.

    1. A copy as it lies there verifies without an error, and holds every acknowledged entry.
    2. The log opens, with all of them, and goes on: an entry, a cosigned checkpoint, a closing in order.
    3. Then it is valid and nothing is left open, and what was said before the fault still holds.
    """
    report = checked(directory, promised)
    unborn = (
        not promised.acknowledged
        and {one.rule for one in report.findings if one.severity == "error"} <= UNBORN
    )
    required(report.errors == 0 or unborn, "\n".join(["as it lies there:", *report.as_lines()]))
    require_all(promised.acknowledged, stored_hashes(directory), "as it lies there")
    try:
        stored = asyncio.run(_gone_on(directory, promised))
    except AnswerableError as error:
        raise PromiseBroken(f"does not open: {error.code} {error.message}") from error
    require_all(promised.acknowledged, stored, "reopened")
    after = checked(directory, promised)
    required(
        (after.status, after.warnings) == ("valid", 0),
        "\n".join(["after it went on:", *after.as_lines()]),
    )


async def _gone_on(directory: Path, promised: Promised) -> dict[int, bytes]:
    async with opened(directory) as ledger:
        _require_cosigned(ledger, promised)
        found = {one.index: one.leaf_hash for one in ledger.replay()}
        required(sorted(found) == list(range(len(found))), "reopened: entries are missing between others")
        receipt = await ledger.append(refusal_entry(9))
        required(receipt.index == len(found), "reopened: the next entry has another place")
        ledger.publish_cosigned(cosigned_note(ledger.seal().encode()))
    return found


def _require_cosigned(ledger: TlogFilesLedger, promised: Promised) -> None:
    size = int(ledger.cosigned.split("\n")[1]) if ledger.cosigned else 0
    required(
        size >= promised.cosigned,
        f"reopened: the cosigned checkpoint of {promised.cosigned} entries is lost, {size} is the newest",
    )
