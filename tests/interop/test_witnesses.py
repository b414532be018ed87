"""Witnesses that others wrote watch our log: they follow its growth and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from answerable.core.tlog.cosignature import Cosignature, verified_cosignatures
from answerable.core.tlog.note import Note
from answerable.core.tlog.policy import parse_policy, verified_checkpoint_under
from answerable.core.tlog.witnessing import AddCheckpoint
from answerable.errors import Unverified
from tests.interop.judges import COSIGNATURE_JUDGES, Shown
from tests.interop.our_log import INDEX, OLD_SIZE, OurLog, changed_signature, flipped
from tests.interop.witnesses import WITNESSES, Answer, Witness

SIZE = 5_003
PUBLIC = OurLog([]).key.public
# Sigsum names a log after its key, so the log has a name that every witness takes.
ORIGIN = f"sigsum.org/v1/tree/{sha256(PUBLIC).hexdigest()}"


@pytest.fixture(scope="module")
def log() -> OurLog:
    return OurLog([f'{{"entry":{number},"v":2}}'.encode() for number in range(SIZE)], ORIGIN)


@pytest.fixture(params=list(WITNESSES))
def witness(request: pytest.FixtureRequest, tmp_path: Path, log: OurLog) -> Iterator[Witness]:
    folder = tmp_path / "witness"
    folder.mkdir()
    with WITNESSES[request.param](folder, log.key) as one:
        yield one


def asked(log: OurLog, old_size: int, size: int) -> bytes:
    """The request for growth from one size to another."""
    proof = log.growth(old_size, size)
    return AddCheckpoint(old_size=old_size, proof=proof, checkpoint=log.checkpoint(size)).encoded()


def cosigned(log: OurLog, size: int, answer: Answer) -> Note:
    """The checkpoint with the lines of the answer."""
    assert answer.status == 200, answer.body
    return Note.parse(log.checkpoint(size) + answer.body)


def heard(log: OurLog, size: int, answer: Answer, witness: Witness) -> tuple[Cosignature, ...]:
    return verified_cosignatures(cosigned(log, size, answer), cosigners=[witness.key])


@pytest.mark.requirement("INTEROP-05")
def test_a_witness_of_others_cosigns_our_log_as_it_grows(log: OurLog, witness: Witness) -> None:
    old_size = 0
    for size in (1, OLD_SIZE, SIZE, SIZE):
        (line,) = heard(log, size, witness.add_checkpoint(asked(log, old_size, size)), witness)
        assert line.cosigner == witness.key
        assert line.timestamp > 1_700_000_000
        old_size = size


@pytest.mark.requirement("INTEROP-05")
def test_a_witness_of_others_refuses_what_our_log_never_was(log: OurLog, witness: Witness) -> None:
    assert witness.add_checkpoint(asked(log, 0, OLD_SIZE)).status == 200
    fork = OurLog([flipped(entry, 0) for entry in log.entries], ORIGIN)
    assert witness.add_checkpoint(asked(fork, OLD_SIZE, SIZE)).status == 422
    # The size and the root must go together at the same size as well.
    assert witness.add_checkpoint(asked(fork, OLD_SIZE, OLD_SIZE)).status in (409, 422)
    # None of it has moved the witness.
    assert witness.add_checkpoint(asked(log, OLD_SIZE, SIZE)).status == 200
    if witness.evidence is not None:
        assert fork.checkpoint(SIZE).split(b"\n")[2].decode() in witness.evidence()


@pytest.mark.requirement("INTEROP-05")
def test_a_witness_of_others_tells_a_log_that_was_rolled_back(log: OurLog, witness: Witness) -> None:
    assert witness.add_checkpoint(asked(log, 0, SIZE)).status == 200
    answer = witness.add_checkpoint(asked(log, OLD_SIZE, OLD_SIZE + 1))
    assert (answer.status, answer.body) == (409, f"{SIZE}\n".encode())
    assert answer.kind == "text/x.tlog.size"


@pytest.mark.requirement("INTEROP-05")
def test_a_witness_of_others_asks_who_signed(log: OurLog, witness: Witness) -> None:
    unsigned = changed_signature(0)(log.checkpoint(OLD_SIZE))
    forged = AddCheckpoint(old_size=0, proof=(), checkpoint=unsigned).encoded()
    assert witness.add_checkpoint(forged).status == 403
    stranger = OurLog(log.entries[:OLD_SIZE], "ledger.example/unheard-of")
    assert witness.add_checkpoint(asked(stranger, 0, OLD_SIZE)).status == 404
    assert witness.add_checkpoint(asked(log, 0, OLD_SIZE)).status == 200


@pytest.mark.requirement("INTEROP-05")
def test_a_cosignature_by_others_counts_here_and_with_others(
    log: OurLog, witness: Witness, tmp_path: Path
) -> None:
    note = cosigned(log, SIZE, witness.add_checkpoint(asked(log, 0, SIZE)))
    policy = parse_policy(
        f"log {log.key.formatted()}\nwitness w {witness.key.formatted()}\nquorum w\n".encode()
    )
    checkpoint, _ = verified_checkpoint_under(note.encoded(), policy, origin=ORIGIN)
    assert checkpoint.size == SIZE
    with pytest.raises(Unverified):
        verified_checkpoint_under(log.checkpoint(SIZE), policy, origin=ORIGIN)
    with pytest.raises(Unverified):
        verified_checkpoint_under(changed_signature(1)(note.encoded()), policy, origin=ORIGIN)
    directory = tmp_path / "log"
    log.publish(directory)
    for judge in COSIGNATURE_JUDGES:
        (directory / "checkpoint").write_bytes(note.encoded())
        shown = Shown(
            directory=directory,
            key=log.key,
            witness=witness.key,
            index=INDEX,
            entry=log.entries[INDEX],
            old=log.checkpoint(OLD_SIZE),
        )
        verdict = judge.verdict(shown)
        assert verdict.accepted, verdict.said
        (directory / "checkpoint").write_bytes(changed_signature(1)(note.encoded()))
        assert not judge.verdict(shown).accepted
