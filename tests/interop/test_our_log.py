"""Our log before verifiers that others wrote: each accepts it as it is and refuses whatever was changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.interop.judges import (
    COSIGNATURE_JUDGES,
    JUDGES,
    PROOF_JUDGES,
    TRANSPARENCY_DEV,
    Judge,
    ProofJudge,
    Shown,
    ShownProof,
)
from tests.interop.our_log import (
    INDEX,
    OLD_SIZE,
    SIZE,
    TAMPERED,
    TAMPERED_COSIGNATURE,
    TAMPERED_PROOF,
    TAMPERED_PROOF_COSIGNATURE,
    TAMPERED_STORE,
    big_log,
    changed_file,
    with_lattice_signatures,
)

each_judge = pytest.mark.parametrize("judge", JUDGES, ids=lambda judge: judge.name)
each_proof_judge = pytest.mark.parametrize("judge", PROOF_JUDGES, ids=lambda judge: judge.name)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published directory; nobody changes it."""
    directory = tmp_path_factory.mktemp("published") / "log"
    big_log().publish(directory)
    return directory


@pytest.fixture
def shown(original: Path, tmp_path: Path) -> Iterator[Shown]:
    """A copy of it, and what to look for in there."""
    copy = tmp_path / "log"
    shutil.copytree(original, copy, copy_function=os.link)
    log = big_log()
    yield Shown(
        directory=copy,
        key=log.key,
        witness=log.witness,
        index=INDEX,
        entry=log.entries[INDEX],
        old=log.checkpoint(OLD_SIZE),
    )
    shutil.rmtree(copy)


@pytest.fixture
def shown_proof(tmp_path: Path) -> ShownProof:
    log = big_log()
    return ShownProof(
        folder=tmp_path,
        key=log.key,
        witness=log.witness,
        entry=log.entries[INDEX],
        proof=log.proof(INDEX, SIZE).encoded(),
    )


@pytest.mark.requirement("INTEROP-01")
@each_judge
@pytest.mark.parametrize("index", [0, 255, INDEX, 65_535, 65_536, SIZE - 1])
def test_others_find_our_entries_and_our_growth_in_our_tiles(judge: Judge, shown: Shown, index: int) -> None:
    entry = big_log().entries[index]
    for old_size in (1, OLD_SIZE, SIZE):
        old = big_log().checkpoint(old_size)
        verdict = judge.verdict(replace(shown, index=index, entry=entry, old=old))
        assert verdict.accepted, verdict.said


@pytest.mark.requirement("INTEROP-01")
@each_judge
def test_others_recompute_our_whole_log(judge: Judge, shown: Shown) -> None:
    verdict = judge.audit(shown)
    assert verdict.accepted, verdict.said


@pytest.mark.requirement("INTEROP-01")
@each_judge
def test_others_pass_over_our_signatures_of_a_kind_that_is_new_to_them(judge: Judge, shown: Shown) -> None:
    """They stand first, so that nobody has stopped reading before them."""
    changed_file("checkpoint", with_lattice_signatures)(shown)
    verdict = judge.verdict(shown)
    assert verdict.accepted, verdict.said


@pytest.mark.requirement("INTEROP-02")
@each_judge
@pytest.mark.parametrize("change", TAMPERED.values(), ids=list(TAMPERED))
def test_others_refuse_a_changed_copy(judge: Judge, shown: Shown, change: Callable[[Shown], Shown]) -> None:
    verdict = judge.verdict(change(shown))
    assert not verdict.accepted, verdict.said


@pytest.mark.requirement("INTEROP-02")
@pytest.mark.parametrize("judge", COSIGNATURE_JUDGES, ids=lambda judge: judge.name)
@pytest.mark.parametrize("change", TAMPERED_COSIGNATURE.values(), ids=list(TAMPERED_COSIGNATURE))
def test_others_refuse_what_our_witness_did_not_cosign(
    judge: Judge, shown: Shown, change: Callable[[Shown], Shown]
) -> None:
    verdict = judge.verdict(change(shown))
    assert not verdict.accepted, verdict.said


@pytest.mark.requirement("INTEROP-02")
@each_judge
@pytest.mark.parametrize("change", TAMPERED_STORE.values(), ids=list(TAMPERED_STORE))
def test_others_miss_nothing_when_they_read_the_whole_log(
    judge: Judge, shown: Shown, change: Callable[[Shown], Shown]
) -> None:
    verdict = judge.audit(change(shown))
    assert not verdict.accepted, verdict.said


@pytest.mark.requirement("INTEROP-03")
@each_proof_judge
def test_others_accept_our_proof_files(judge: ProofJudge, shown_proof: ShownProof) -> None:
    verdict = judge.verdict_on_proof(shown_proof)
    assert verdict.accepted, verdict.said


@pytest.mark.requirement("INTEROP-03")
@each_proof_judge
@pytest.mark.parametrize("change", TAMPERED_PROOF.values(), ids=list(TAMPERED_PROOF))
def test_others_refuse_a_changed_proof_file(
    judge: ProofJudge, shown_proof: ShownProof, change: Callable[[ShownProof], ShownProof]
) -> None:
    verdict = judge.verdict_on_proof(change(shown_proof))
    assert not verdict.accepted, verdict.said


@pytest.mark.requirement("INTEROP-03")
@pytest.mark.parametrize("change", TAMPERED_PROOF_COSIGNATURE.values(), ids=list(TAMPERED_PROOF_COSIGNATURE))
def test_others_refuse_a_proof_file_that_our_witness_did_not_cosign(
    shown_proof: ShownProof, change: Callable[[ShownProof], ShownProof]
) -> None:
    verdict = TRANSPARENCY_DEV.verdict_on_proof(change(shown_proof))
    assert not verdict.accepted, verdict.said
