"""Our witness before a client that others wrote, and its cosignatures before verifiers that others wrote."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.judges import COSIGNATURE_JUDGES, Shown
from tests.interop.our_log import INDEX, OLD_SIZE, OurLog, changed_signature, flipped
from tests.interop.programs import ACCEPTED, REFUSED, aics, run_aics
from tests.interop.witnesses import Witness, our_witness

SIZE = 5_003


@pytest.fixture(scope="module")
def log() -> OurLog:
    return OurLog([f'{{"entry":{number},"v":2}}'.encode() for number in range(SIZE)])


@pytest.fixture(scope="module")
def published(log: OurLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("published") / "log"
    log.publish(directory)
    return directory


@pytest.fixture
def witness(log: OurLog, tmp_path: Path) -> Iterator[Witness]:
    aics("aics-witness")  # Without the client there is nothing to serve.
    folder = tmp_path / "witness"
    folder.mkdir(mode=0o700)
    with our_witness(folder, log.key) as one:
        yield one


def fed(witness: Witness, tiles: Path, folder: Path, *checkpoints: bytes) -> subprocess.CompletedProcess[str]:
    """Each checkpoint in turn, by the client of aics-witness; it starts from what the witness names."""
    paths = [folder / f"checkpoint-{number}" for number in range(len(checkpoints))]
    for path, checkpoint in zip(paths, checkpoints, strict=True):
        path.write_bytes(checkpoint)
    done = run_aics("", "feed", witness.url, witness.key.formatted(), tiles, *paths)
    assert done.returncode in (ACCEPTED, REFUSED), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.requirement("INTEROP-06")
def test_our_witness_cosigns_for_a_client_of_others_and_its_word_counts_with_others(
    log: OurLog, published: Path, witness: Witness, tmp_path: Path
) -> None:
    grown = [log.checkpoint(size) for size in (1, OLD_SIZE, SIZE)]
    done = fed(witness, published, tmp_path, *grown)
    assert done.returncode == ACCEPTED, done.stderr
    # A client that forgot everything is told the size, and goes on from there.
    assert fed(witness, published, tmp_path, grown[-1]).returncode == ACCEPTED
    directory = tmp_path / "log"
    log.publish(directory)
    shown = Shown(
        directory=directory,
        key=log.key,
        witness=witness.key,
        index=INDEX,
        entry=log.entries[INDEX],
        old=log.checkpoint(OLD_SIZE),
    )
    for judge in COSIGNATURE_JUDGES:
        (directory / "checkpoint").write_text(done.stdout)
        verdict = judge.verdict(shown)
        assert verdict.accepted, verdict.said
        (directory / "checkpoint").write_bytes(changed_signature(1)(done.stdout.encode()))
        assert not judge.verdict(shown).accepted


@pytest.mark.requirement("INTEROP-06")
def test_our_witness_tells_a_client_of_others_what_it_does_not_cosign(
    log: OurLog, published: Path, witness: Witness, tmp_path: Path
) -> None:
    assert fed(witness, published, tmp_path, log.checkpoint(OLD_SIZE)).returncode == ACCEPTED
    fork = OurLog([flipped(entry, 0) for entry in log.entries])
    fork.publish(tmp_path / "fork")
    stranger = OurLog(log.entries, "ledger.example/unheard-of")
    unsigned = changed_signature(0)(log.checkpoint(SIZE))
    for tiles, checkpoint, told in (
        (tmp_path / "fork", fork.checkpoint(SIZE), "witness answered 422"),
        (tmp_path / "fork", fork.checkpoint(OLD_SIZE), "witness answered 422"),
        (published, log.checkpoint(OLD_SIZE - 1), "WitnessAhead: witness already cosigned size 1000"),
        (published, unsigned, "witness answered 403"),
        (published, stranger.checkpoint(SIZE), "witness answered 404"),
    ):
        done = fed(witness, tiles, tmp_path, checkpoint)
        assert done.returncode == REFUSED
        assert told in done.stderr
    assert fed(witness, published, tmp_path, log.checkpoint(SIZE)).returncode == ACCEPTED
