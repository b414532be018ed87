"""A ledger's files in which something happened, and commands that are run over them."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from answerable.adapters.local_keys import open_or_create_secret
from answerable.adapters.sqlite import SqliteSubjectKeys
from answerable.adapters.system import SystemEntropy
from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.core.attribution.finding import Finding
from answerable.errors import Refused
from answerable.flows.counters.record_findings import record_findings
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.testing.builders import Bench
from answerable.testing.clock import START, ManualClock
from answerable.testing.contracts.ledger import log_key
from answerable.testing.samples import AUDIENCE
from tests.worlds.ledger_files import SMALL
from tests.worlds.parts import to_end
from tests.worlds.searched import HOSTILE

FOUND = tuple(
    Finding(
        id=f"{number:032x}",
        target="shop-db",
        kind="postgres",
        verdict="bypass",
        at=START,
        account=account,
        is_governed=account == "app_rw",
    )
    for number, account in enumerate(("maria", "app_rw"))
)
"""Somebody past the broker: by an account that may be a person's name, and by one of the broker's."""


async def lived(place: Path, ledger_at: Path, origin: str = AUDIENCE) -> None:
    """Reads, a refund that waits and is approved, refusals, two findings in a target's log, a closed mandate; and every
    hostile text as a reason."""
    key, sign = log_key(origin)
    entropy = SystemEntropy()
    root = open_or_create_secret(place / "keys" / "subjects.key", count=32, entropy=entropy)
    keys = SqliteSubjectKeys.open(place / "subject-keys.db", root=root, entropy=entropy)
    ledger = TlogFilesLedger.open(ledger_at, key=key, sign=sign, clock=ManualClock(), settings=SMALL)
    async with ledger:
        bench = await Bench(ledger=ledger, subject_keys=keys).registered()
        await bench.issue(calls_max=100)
        await bench.act()
        await bench.act(arguments={"case": "4712"})
        approval = (await bench.refund(7_000)).approval
        assert approval is not None
        await bench.answer(approval, comment="seen and agreed")
        await bench.refund(7_000)
        with suppress(Refused):
            await bench.refund(2_000_000)
        for text in HOSTILE:
            await bench.act(arguments={"case": text}, reason=text)
        await record_findings(bench.recorder, bench.authority, bench.counters, FOUND)
        await close_mandate(*to_end(bench.walk), "m-1", by="operator")
        with suppress(Refused):
            await bench.act()
        ledger.seal()
    keys.close()


def ran(*words: str, code: int = 0, verb: str = "search") -> subprocess.CompletedProcess[str]:
    """A command, which ends with this code."""
    found = subprocess.run(
        [sys.executable, "-m", "answerable", verb, *words], capture_output=True, text=True, timeout=120
    )
    assert found.returncode == code, found.stderr
    return found
