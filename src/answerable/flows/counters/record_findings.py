"""Record what the logs of targets show against the record, and count it for stop rules.

Law: whoever tells findings tells each until its entry is in the log, and not after: a crash in between repeats none.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from answerable.core.attribution.finding_entry import log_finding
from answerable.core.containment.stop_rule_signal import shown_by_log
from answerable.core.ledger.subject import TARGET_LOGS_SUBJECT
from answerable.errors import shown
from answerable.flows.counters.trigger_rules import count, noted
from answerable.flows.recording.record_entry import record_entry, sealing_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.attribution.finding import Finding
    from answerable.core.containment.stop_rule_signal import StopRuleSignal
    from answerable.core.ledger.entry import Receipt
    from answerable.flows.state.parts import AuthorityRegisters, Counters, Recorder

_log: Final = logging.getLogger("answerable.logs")


async def record_findings(
    recorder: Recorder, authority: AuthorityRegisters, counters: Counters, findings: Sequence[Finding]
) -> None:
    """Record findings that no entry has. Raises Unavailable; what was not recorded is to be given again."""
    for found in findings:
        at = recorder.clock.now()
        signal = shown_by_log(found.verdict, found.agent, found.mandate, at=at, grade=found.grade)

        def placed(receipt: Receipt, signal: StopRuleSignal | None = signal) -> None:
            if signal is None:
                noted(counters.stop_rules, receipt.index)
            else:
                count(authority, counters, recorder.entropy, signal, index=receipt.index)

        entry = log_finding(found, at=at, sealing=sealing_for(recorder, TARGET_LOGS_SUBJECT))
        receipt, left = await record_entry(recorder, entry, patient=False, then=placed)
        _log.warning(
            "%s log of target %s: %s, account %s%s (entry %d)",
            found.kind,
            found.target,
            found.verdict,
            shown(found.account, 64) if found.is_governed else "of somebody else",
            f", agent {found.agent}" if found.agent else "",
            receipt.index,
        )
        if left is not None:
            raise left
