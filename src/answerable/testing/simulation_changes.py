"""Random changes of authority in simulated runs: what ends a right to act while intents are being written to the disk.

Laws: no effect starts under a mandate that is closed or revoked, by a tool whose definition differs from the one its
caller was checked against, or while witnesses are late. Checked by an independent model, which does not use epochs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors.codes.ledger import LEDGER_UNWITNESSED
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.testing.recording_upstream import HINTS

if TYPE_CHECKING:
    from random import Random

    from answerable.core.canonical import JSONValue
    from answerable.errors import Refused
    from answerable.flows.state.parts import Recorder
    from answerable.ports.mandate_register import MandateRegister
    from answerable.testing.builders import Bench
    from answerable.testing.recording_upstream import Effect, RecordingUpstream

OTHERWISE: Final[JSONValue] = {"title": "Another tool by now"}


class RandomChanges:
    """Random changes. Revocations survive the process; servers' tool definitions and the witnesses' state do not."""

    def __init__(self, chance: Random, violations: list[str], *, happens: bool) -> None:
        """happens: whether changes occur by themselves, besides explicit calls of `change`."""
        self._chance, self._violations, self.happens = chance, violations, happens
        self._revoked: set[str] = set()

    def begin(self, recorder: Recorder, mandates: MandateRegister, upstream: RecordingUpstream) -> None:
        """Begin a process; its witnesses are in time."""
        self._recorder, self._mandates, self._upstream = recorder, mandates, upstream
        self._late = False
        recorder.unwitnessed = self._unwitnessed

    def _unwitnessed(self) -> Refused | None:
        # A new exception each time: a raised one keeps references to all frames that it passed.
        late = LEDGER_UNWITNESSED("no quorum of witnesses has cosigned the ledger")
        return late if self._late else None

    async def change(self, bench: Bench, mandate: str) -> str:
        """Make one random change of authority; return a description."""
        if self._chance.random() < 0.8:
            return self._other()
        await revoke_authority(
            bench.recorder,
            bench.authority,
            bench.live,
            RevocationTarget("mandate", mandate),
            by="uid:1000",
            reason="lost",
        )
        self._revoked.add(mandate)
        return f"{mandate} is revoked"

    def latency(self) -> int:
        """Return the turns until an entry is durable; a change may happen before."""
        if self.happens and self._chance.random() < 0.1:
            self._other()
        return self._chance.choice((0, 1, 1, 3, 12))

    def _other(self) -> str:
        """Change a tool definition or the witnesses' timeliness: neither waits for a disk."""
        if self._chance.random() < 0.5:
            self._late = self._chance.random() < 0.3
            return "witnesses are late" if self._late else "witnesses are in time"
        target = self._chance.choice(("get_case", "refund"))
        self._upstream.hints[target] = self._chance.choice((OTHERWISE, HINTS[target], HINTS[target]))
        self._upstream.generation += 1
        return f"{target} is described anew"

    def starts(self, effect: Effect, *, in_one_thread: bool) -> None:
        """Check the laws at the moment an effect is sent. If a separate thread writes the registers, an end can fall
        between the last check and this moment, so nothing is checked then."""
        if not in_one_thread:
            return
        found = self._recorder.open_intents.get(effect.intent)
        verified = found.verified if found is not None else None
        if verified is None:
            return
        mandate, capability = verified.mandate.id, verified.resolved.capability
        definition = self._upstream.definition(capability)
        for is_broken, how in (
            (mandate in self._revoked, f"mandate {mandate} was revoked"),
            (
                self._mandates.state(MandateId(mandate)) != "open",
                f"mandate {mandate} was closed",
            ),
            (
                definition is None or definition.digest != verified.definition.digest,
                f"{capability.target} was another tool",
            ),
            (self._late, "witnesses were late"),
        ):
            if is_broken:
                self._violations.append(f"the effect of intent {effect.intent} began when {how}")


def random_budgets(chance: Random) -> tuple[tuple[str, int], ...]:
    """Return budgets for some mandates: small enough to be spent, large enough for several actions."""
    if chance.random() < 0.4:
        return ()
    sizes = (("bytes", 3_000), ("money:EUR", 9_000), ("rows", 40), ("wall_ms", 600_000))
    chosen = [one for one in sizes if chance.random() < 0.6]
    return tuple((name, chance.choice((1, 2, 5)) * size) for name, size in chosen)
