"""Logs, checkpoints and proofs that others wrote, before our code."""

from __future__ import annotations

import os
import shutil
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.core.tlog.merkle import leaf_hash, verify_consistency
from answerable.core.tlog.note import VerifierKey
from answerable.core.tlog.proof import HEADER, TlogProof
from answerable.core.tlog.tile import TILE_WIDTH, tile_path, tiles_of
from answerable.errors import Malformed, Unverified
from tests.interop.our_log import OurLog, changed_root, changed_signature, flipped, without_cosignature
from tests.interop.programs import run, spicy
from tests.interop.their_logs import INDEX, OLD_SIZE, ORIGIN, SIZE, WRITERS, TheirLog, by_go, root_over

ENTRY = f"entry {INDEX}".encode()


@pytest.fixture(scope="module", params=list(WRITERS))
def original(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TheirLog:
    """As its writer left it; nobody changes it."""
    return WRITERS[request.param](tmp_path_factory.mktemp("theirs") / "log")


@pytest.fixture
def theirs(original: TheirLog, tmp_path: Path) -> TheirLog:
    shutil.copytree(original.directory, tmp_path / "log", copy_function=os.link)
    return replace(original, directory=tmp_path / "log")


def change(path: Path, how: Callable[[bytes], bytes]) -> None:
    before = path.read_bytes()
    path.unlink()  # It is shared with the original.
    path.write_bytes(how(before))


@pytest.mark.requirement("INTEROP-04")
@pytest.mark.parametrize("index", [0, 255, INDEX, 65_535, 65_536, SIZE - 1])
def test_we_find_their_entries_and_their_growth_in_their_tiles(theirs: TheirLog, index: int) -> None:
    assert (theirs.head().size, theirs.past().size) == (SIZE, OLD_SIZE)
    theirs.judge(index=index, entry=f"entry {index}".encode())


@pytest.mark.requirement("INTEROP-04")
def test_we_recompute_their_whole_log(theirs: TheirLog) -> None:
    entries = theirs.entries()
    assert entries == [f"entry {number}".encode() for number in range(SIZE)]
    assert root_over(entries) == theirs.head().root


@pytest.mark.requirement("INTEROP-01", "INTEROP-04")
def test_we_publish_the_same_entries_in_the_same_files(theirs: TheirLog, tmp_path: Path) -> None:
    """Path for path, byte for byte."""
    ours = tmp_path / "ours"
    OurLog(theirs.entries()).publish(ours)

    def files(directory: Path) -> dict[str, bytes]:
        found = (path for path in directory.rglob("*") if path.is_file())
        return {str(path.relative_to(directory)): path.read_bytes() for path in found}

    shared = files(ours / "tile")
    assert len(shared) == len(list(tiles_of(SIZE)))
    # A log that grew may have left earlier partial tiles behind.
    assert shared.items() <= files(theirs.directory / "tile").items()


TAMPERED: dict[str, Callable[[TheirLog], None]] = {
    "the root": lambda log: change(log.directory / "checkpoint", changed_root),
    "the log's signature": lambda log: change(log.directory / "checkpoint", changed_signature(0)),
    "the cosignature": lambda log: change(log.directory / "checkpoint", changed_signature(1)),
    "no cosignature": lambda log: change(log.directory / "checkpoint", without_cosignature),
    "the past": lambda log: change(log.directory / "checkpoint.old", changed_root),
    "a tile": lambda log: change(
        log.directory / tile_path(0, INDEX // TILE_WIDTH),
        lambda tile: flipped(tile, (INDEX % TILE_WIDTH ^ 1) * 32),
    ),
    "a tile above": lambda log: change(
        log.directory / tile_path(1, 1, SIZE // TILE_WIDTH % TILE_WIDTH), lambda tile: flipped(tile, 0)
    ),
    "a tile cut short": lambda log: change(
        log.directory / tile_path(0, INDEX // TILE_WIDTH), lambda tile: tile[:-32]
    ),
}


@pytest.mark.requirement("INTEROP-04")
@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=list(TAMPERED))
def test_we_refuse_a_changed_copy_of_theirs(theirs: TheirLog, tamper: Callable[[TheirLog], None]) -> None:
    tamper(theirs)
    with pytest.raises((Malformed, Unverified)):
        theirs.judge()


@pytest.mark.requirement("INTEROP-04")
def test_we_refuse_an_entry_that_is_not_in_their_log(theirs: TheirLog) -> None:
    theirs.judge()
    with pytest.raises(Unverified):
        theirs.judge(entry=b"entry 4712")
    with pytest.raises(Unverified):
        theirs.judge(index=INDEX + 1)


@pytest.mark.requirement("INTEROP-04")
def test_we_verify_proofs_that_transparency_dev_made(tmp_path: Path) -> None:
    theirs = by_go(tmp_path / "log")
    proof = TlogProof.parse((theirs.directory / "entry.tlog-proof").read_bytes())
    keys = [theirs.key]
    assert proof.verify(leaf=leaf_hash(ENTRY), origin=ORIGIN, log_keys=keys) == theirs.head()
    head, cosignatures = proof.verify_under(theirs.policy, leaf=leaf_hash(ENTRY), origin=ORIGIN)
    assert (head, [one.cosigner for one in cosignatures]) == (theirs.head(), [theirs.witness])
    with pytest.raises(Unverified):
        proof.verify(leaf=leaf_hash(b"entry 4712"), origin=ORIGIN, log_keys=keys)
    grown = [b64decode(line) for line in (theirs.directory / "consistency").read_text().split()]
    verify_growth(theirs.past(), theirs.head(), grown)
    with pytest.raises(Unverified):
        verify_growth(theirs.past(), theirs.head(), [*grown[:-1], flipped(grown[-1], 0)])


def verify_growth(past: Checkpoint, head: Checkpoint, proof: list[bytes]) -> None:
    verify_consistency(
        old_size=past.size, new_size=head.size, old_root=past.root, new_root=head.root, proof=proof
    )


@pytest.mark.requirement("INTEROP-04")
def test_we_verify_the_proof_files_that_spicy_writes(tmp_path: Path) -> None:
    """Its file is a C2SP tlog-proof without the first line."""
    made = run(spicy(), "-init", ORIGIN, "-key", "key", "-assets", ".", here=tmp_path)
    assert made.returncode == 0, made.stderr
    said = next(line for line in made.stderr.splitlines() if "Public key" in line)
    key = VerifierKey.parse(said.split()[-1])
    for number in range(5):  # One append each, so that it grows.
        (tmp_path / f"entry-{number}").write_bytes(f"entry {number}".encode())
        done = run(spicy(), "-key", "key", "-assets", ".", f"entry-{number}", here=tmp_path)
        assert done.returncode == 0, done.stderr
    newest = verified_checkpoint((tmp_path / "latest").read_bytes(), origin=ORIGIN, log_keys=[key])
    assert newest.size == 5
    for number in range(5):
        content = (tmp_path / f"entry-{number}.spicy").read_bytes()
        proof = TlogProof.parse(f"{HEADER}\n".encode() + content)
        leaf = leaf_hash(f"entry {number}".encode())
        assert proof.index == number
        assert proof.verify(leaf=leaf, origin=ORIGIN, log_keys=[key]).size == number + 1
        with pytest.raises(Unverified):
            proof.verify(leaf=leaf_hash(b"entry"), origin=ORIGIN, log_keys=[key])
