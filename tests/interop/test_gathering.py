"""Our own client before witnesses that others wrote: what it gathers, and what it learns from them about our log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from hashlib import sha256
from pathlib import Path

import pytest

from answerable.adapters.system import SystemClock
from answerable.adapters.witness_http import HttpWitness
from answerable.core.tlog.policy import Group, Log, Policy, verified_checkpoint_under
from answerable.core.tlog.policy import Witness as KnownWitness
from answerable.errors import Broken
from answerable.flows.ledger.gather_cosignatures import Cosigning, CosigningLimits
from tests.interop.judges import COSIGNATURE_JUDGES, Shown
from tests.interop.our_log import INDEX, OLD_SIZE, OurLog, flipped
from tests.interop.witnesses import WITNESSES, Witness, aics_witness

SIZE = 5_003
# Sigsum names a log after its key, so the log has a name that every witness takes.
ORIGIN = f"sigsum.org/v1/tree/{sha256(OurLog([]).key.public).hexdigest()}"


class LedgerAt:
    """The ledger as its witnesses see it, at a size that a test chooses."""

    def __init__(self, log: OurLog, size: int) -> None:
        self.log, self.size, self.cosigned = log, size, b""

    @property
    def checkpoint(self) -> str:
        return self.log.checkpoint(self.size).decode()

    def consistency_proof(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        return self.log.growth(old_size, new_size)

    def publish_cosigned(self, note: bytes) -> None:
        self.cosigned = note


@pytest.fixture(scope="module")
def log() -> OurLog:
    return OurLog([f'{{"entry":{number},"v":2}}'.encode() for number in range(SIZE)], ORIGIN)


@pytest.fixture
def all_witnesses(tmp_path: Path, log: OurLog) -> Iterator[list[Witness]]:
    with ExitStack() as running:
        found = []
        for name, start in WITNESSES.items():
            (tmp_path / name).mkdir()
            found.append(running.enter_context(start(tmp_path / name, log.key)))
        yield found


@pytest.fixture
def with_memory(tmp_path: Path, log: OurLog) -> Iterator[Witness]:
    """The one that shows what it cosigned."""
    (tmp_path / "aics").mkdir()
    with aics_witness(tmp_path / "aics", log.key) as one:
        yield one


def client_of(witness: Witness) -> HttpWitness:
    return HttpWitness(
        name=witness.key.name, address=witness.url, keys=lambda: (witness.key,), answer_seconds_max=10
    )


def gathered(ledgers: Sequence[LedgerAt], witnesses: Sequence[Witness]) -> list[str]:
    """One round for each ledger, one after the other, as of one log; how the witnesses stand after the last one."""

    async def run() -> list[str]:
        async with AsyncExitStack() as stack:
            clients = []
            for witness in witnesses:
                clients.append(await stack.enter_async_context(client_of(witness)))
            states = []
            for ledger in ledgers:
                cosigning = Cosigning(
                    ledger=ledger,
                    log_keys=[ledger.log.key],
                    witnesses=clients,
                    clock=SystemClock(),
                    limits=CosigningLimits(quorum=len(clients)),
                )
                await cosigning.gather()
                states = [f"{one.state} {one.size} {one.reason}".strip() for one in cosigning.states()]
            return states

    return asyncio.run(run())


@pytest.mark.requirement("INTEROP-05")
def test_our_client_gathers_cosignatures_from_every_witness_of_others(
    log: OurLog, all_witnesses: list[Witness], tmp_path: Path
) -> None:
    ledgers = [LedgerAt(log, size) for size in (1, OLD_SIZE, SIZE)]
    assert gathered(ledgers, all_witnesses) == [f"ok {SIZE}"] * len(all_witnesses)
    names = [f"w{number}" for number in range(len(all_witnesses))]
    policy = Policy(
        logs=(Log(key=log.key),),
        witnesses=tuple(
            KnownWitness(name=name, key=one.key) for name, one in zip(names, all_witnesses, strict=True)
        ),
        groups=(Group(name="all", threshold=len(names), members=tuple(names)),),
        quorum="all",
    )
    cosigned = ledgers[-1].cosigned
    checkpoint, cosignatures = verified_checkpoint_under(cosigned, policy, origin=ORIGIN)
    assert (checkpoint.size, len(cosignatures)) == (SIZE, len(all_witnesses))
    directory = tmp_path / "log"
    log.publish(directory)
    (directory / "checkpoint").write_bytes(cosigned)
    for judge in COSIGNATURE_JUDGES:
        for witness in all_witnesses:
            verdict = judge.verdict(
                Shown(
                    directory=directory,
                    key=log.key,
                    witness=witness.key,
                    index=INDEX,
                    entry=log.entries[INDEX],
                    old=log.checkpoint(OLD_SIZE),
                )
            )
            assert verdict.accepted, verdict.said


@pytest.mark.requirement("INTEROP-05")
def test_our_client_learns_of_a_rollback_from_every_witness_of_others(
    log: OurLog, all_witnesses: list[Witness]
) -> None:
    for witness in all_witnesses:
        assert gathered([LedgerAt(log, SIZE)], [witness]) == [f"ok {SIZE}"]
        with pytest.raises(Broken) as told:
            gathered([LedgerAt(log, OLD_SIZE)], [witness])
        assert told.value.code == "ledger.rolled_back"


@pytest.mark.requirement("INTEROP-05")
def test_our_client_learns_of_a_fork_from_a_witness_that_shows_what_it_cosigned(
    log: OurLog, with_memory: Witness
) -> None:
    fork = OurLog(
        [*log.entries[: OLD_SIZE - 1], *(flipped(one, 0) for one in log.entries[OLD_SIZE - 1 :])], ORIGIN
    )
    assert gathered([LedgerAt(log, OLD_SIZE)], [with_memory]) == [f"ok {OLD_SIZE}"]
    with pytest.raises(Broken) as told:
        gathered([LedgerAt(fork, SIZE)], [with_memory])
    assert told.value.code == "ledger.rolled_back"
