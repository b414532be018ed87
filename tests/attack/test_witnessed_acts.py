"""An action that witnesses must have seen first, on a real log and before a real witness."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.checkpoint import verified_checkpoint
from answerable.core.tlog.cosignature import verified_cosignatures
from answerable.core.tlog.note import Note, VerifierKey
from answerable.flows.ledger.gather_cosignatures import Cosigning, CosigningLimits
from answerable.flows.ledger.witness_intent import intent_witness
from answerable.testing.builders import Bench, bench_documents, ledger_key
from answerable.testing.clock import ManualClock
from answerable.testing.samples import signing_key
from tests.worlds.ledger_files import SMALL
from tests.worlds.obligation import PERMIT, obliging
from tests.worlds.witness import HonestWitness, cosigners, desk

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("OBL-08")]


@dataclass
class Known:
    key: VerifierKey


async def test_the_intent_is_under_a_cosigned_checkpoint_when_the_effect_happens(tmp_path: Path) -> None:
    clock, key = ManualClock(), ledger_key()
    ledger = TlogFilesLedger.open(
        tmp_path / "log", key=key, sign=signing_key("ledger").sign, clock=clock, settings=SMALL
    )
    with desk(tmp_path / "w", Known(key), clock=clock) as at:
        async with ledger:
            honest = HonestWitness(at)
            rounds = Cosigning(
                ledger=ledger,
                log_keys=[key],
                witnesses=[honest],
                clock=clock,
                limits=CosigningLimits(quorum=1),
            )
            bench = await Bench(clock=clock, ledger=ledger).registered(
                bench_documents(PERMIT + obliging("witnessed"))
            )
            await bench.issue()
            bench.recorder.witness = intent_witness(rounds, ledger.seal_now)
            sizes: list[int] = []

            async def before(effect) -> None:
                note = Note.parse((tmp_path / "log" / "cosigned").read_bytes())
                assert verified_cosignatures(note, cosigners=[one.key for one in cosigners()])
                known = verified_checkpoint(note.encoded(), origin=ledger.origin, log_keys=[key])
                assert known.size > effect.intent
                sizes.append(known.size)

            bench.upstream.before = before
            for _ in range(3):
                answer = await bench.act()
                assert answer.outcome is not None
                assert answer.outcome.status == "succeeded"
            assert len(sizes) == 3
            honest.down = True
            bench.walk.limits = bench.asking.limits = type(bench.walk.limits)(intent_ttl_ms=600)
            answer = await bench.act()
            assert answer.outcome is not None
            assert answer.outcome.status == "not_started"
            assert len(bench.upstream.effects) == 3
            assert len(bench.entries(Tag.OUTCOME)) == 4
