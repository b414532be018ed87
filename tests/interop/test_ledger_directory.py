"""The directory that our ledger itself writes, before verifiers that others wrote."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.cosignature import cosignature
from answerable.core.tlog.note import Note, VerifierKey
from answerable.core.tlog.proof import TlogProof
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import log_key, refusal_entry
from tests.interop.judges import (
    COSIGNATURE_JUDGES,
    JUDGES,
    PROOF_JUDGES,
    Judge,
    ProofJudge,
    Shown,
    ShownProof,
)
from tests.interop.our_log import COSIGNED_AT, ORIGIN, WITNESS
from tests.interop.programs import aics, run, spicy
from tests.probes.demo_run import ROOT, blocks

# Tiles of three levels in the end; full tiles took the place of the partial ones before.
SEALS = (100, 300, 700, 66_300)
AT_ONCE = 500
COSIGNED = 2  # Which of the seals the witness had come to.
INDEX = 471
PAGE = ROOT / "docs/reference/verifiers.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Paths of two public copies, as of the newest checkpoint and of the newest cosigned one; what else was kept."""

    newest: Path
    cosigned: Path
    key: VerifierKey
    witness: VerifierKey
    leaves: list[bytes]
    seals: list[bytes]
    proof: bytes


def cosigned_note(encoded: bytes, witness: VerifierKey) -> bytes:
    note = Note.parse(encoded)
    line = cosignature(note.text, key=witness, timestamp=COSIGNED_AT, sign=log_key(WITNESS)[1])
    return Note(text=note.text, signatures=(*note.signatures, line)).encoded()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("ledger")
    key, sign = log_key(ORIGIN)
    witness = VerifierKey.ed25519_cosignature(WITNESS, log_key(WITNESS)[0].public)

    async def run() -> tuple[list[bytes], list[bytes], bytes]:
        ledger = TlogFilesLedger.open(folder / "log", key=key, sign=sign, clock=ManualClock())
        async with ledger:
            seals = []
            for size in SEALS:
                while ledger.size < size:
                    numbers = range(ledger.size, min(ledger.size + AT_ONCE, size))
                    await asyncio.gather(*(ledger.append(refusal_entry(number)) for number in numbers))
                seals.append(ledger.seal().encode())
                if len(seals) == COSIGNED + 1:
                    ledger.publish_cosigned(cosigned_note(seals[-1], witness))
            proof = ledger.inclusion_proof(INDEX).encode()
            return [stored.leaf for stored in ledger.replay()], seals, proof

    leaves, seals, proof = asyncio.run(run())
    # The parts that C2SP tools read, and no more.
    for name, checkpoint in (("newest", "checkpoint"), ("cosigned", "cosigned")):
        shutil.copytree(folder / "log/tile", folder / name / "tile")
        shutil.copy(folder / "log" / checkpoint, folder / name / "checkpoint")
    return Written(
        newest=folder / "newest",
        cosigned=folder / "cosigned",
        key=key,
        witness=witness,
        leaves=leaves,
        seals=seals,
        proof=proof,
    )


def shown(written: Written, directory: Path, *, index: int, cosigned: bool) -> Shown:
    return Shown(
        directory=directory,
        key=written.key,
        witness=written.witness if cosigned else None,
        index=index,
        entry=written.leaves[index],
        old=written.seals[0],
    )


@pytest.mark.requirement("INTEROP-01")
@pytest.mark.parametrize("judge", JUDGES, ids=lambda judge: judge.name)
def test_others_accept_the_directory_that_our_ledger_writes(judge: Judge, written: Written) -> None:
    for index in (0, 255, 256, SEALS[-1] - 1):
        verdict = judge.verdict(shown(written, written.newest, index=index, cosigned=False))
        assert verdict.accepted, verdict.said
    verdict = judge.audit(shown(written, written.newest, index=0, cosigned=False))
    assert verdict.accepted, verdict.said


@pytest.mark.requirement("INTEROP-01")
@pytest.mark.parametrize("judge", COSIGNATURE_JUDGES, ids=lambda judge: judge.name)
def test_others_accept_what_was_cosigned_after_the_log_has_grown_on(judge: Judge, written: Written) -> None:
    note = Note.parse((written.cosigned / "checkpoint").read_bytes())
    assert Checkpoint.parse(note.text).size == SEALS[COSIGNED]
    for index in (0, 255, SEALS[COSIGNED] - 1):
        verdict = judge.verdict(shown(written, written.cosigned, index=index, cosigned=True))
        assert verdict.accepted, verdict.said
    verdict = judge.audit(shown(written, written.cosigned, index=0, cosigned=True))
    assert verdict.accepted, verdict.said


@pytest.mark.requirement("INTEROP-03")
@pytest.mark.parametrize("judge", PROOF_JUDGES, ids=lambda judge: judge.name)
def test_others_accept_the_proof_that_our_ledger_makes(
    judge: ProofJudge, written: Written, tmp_path: Path
) -> None:
    proof = ShownProof(
        folder=tmp_path,
        key=written.key,
        witness=None,
        entry=written.leaves[TlogProof.parse(written.proof).index],
        proof=written.proof,
    )
    verdict = judge.verdict_on_proof(proof)
    assert verdict.accepted, verdict.said


@pytest.mark.requirement("INTEROP-01", "INTEROP-03")
def test_the_commands_of_the_page_about_verifiers_work(written: Written, tmp_path: Path) -> None:
    shutil.copytree(written.newest, tmp_path / "LOG")
    shutil.copy(written.cosigned / "checkpoint", tmp_path / "LOG/cosigned")
    (tmp_path / "kept.checkpoint").write_bytes(written.seals[1])
    (tmp_path / "entry").write_bytes(written.leaves[INDEX])
    (tmp_path / "entry.tlog-proof").write_bytes(written.proof)
    path = os.pathsep.join((str(aics("aics-tlog").parent), str(Path(spicy()).parent), os.environ["PATH"]))
    given = {"PATH": path, "KEY": written.key.formatted(), "WITNESS": written.witness.formatted()}
    found = blocks(PAGE.read_text(), "sh")
    assert len(found) == 2
    for block in found:
        done = run("bash", "-euo", "pipefail", "-c", block, here=tmp_path, **given)
        assert done.returncode == 0, done.stdout + done.stderr
