"""Intent logs as the product has them: a ledger in files, registers in SQLite, budgets in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteMandateRegister,
    SqlitePreparedRegister,
    SqliteStore,
)
from answerable.flows.recording.intent_log import EmbeddedIntentLog
from answerable.ports.approval_register import ApprovalRegister
from answerable.ports.entropy import Entropy
from answerable.ports.ledger import Ledger
from answerable.ports.mandate_register import MandateRegister
from answerable.ports.prepared_register import PreparedRegister
from answerable.testing.contracts.intent_log import Opened
from answerable.testing.entropy import SeededEntropy
from tests.worlds.ledger_files import small_log


@dataclass
class Parts:
    """What a commit takes from. Each can be put out of order."""

    entropy: Entropy
    ledger: Ledger
    mandates: MandateRegister
    approvals: ApprovalRegister
    prepared: PreparedRegister | None

    @property
    def recorder(self) -> Parts:
        return self

    @property
    def authority(self) -> Parts:
        return self

    @property
    def verification(self) -> Parts:
        return self


def opened_in(folder: Path, *, seed: str = "runs") -> tuple[Opened, Parts]:
    """Open what is in that folder. The parts must be kept as long as the intent log is used."""
    ledger, store = small_log(folder / "log"), SqliteStore.open(folder / "registers.db")
    mandates, approvals = SqliteMandateRegister(store), SqliteApprovalRegister(store)
    prepared = SqlitePreparedRegister(store)
    parts = Parts(SeededEntropy(seed), ledger, mandates, approvals, prepared)

    async def close() -> None:
        assert parts.mandates is mandates, "the parts live as long as the intent log"
        await ledger.close()
        store.close()

    intents = EmbeddedIntentLog(cast(Any, parts), cast(Any, parts), cast(Any, parts))
    opened = Opened(
        intents=intents,
        ledger=ledger,
        mandates=mandates,
        approvals=approvals,
        prepared=prepared,
        close=close,
    )
    return opened, parts
