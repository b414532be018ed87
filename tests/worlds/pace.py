"""Processes on one register file: they share what is in it, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteMandateRegister,
    SqliteOpeningRegister,
    SqlitePasskeyRegister,
    SqliteRegistryStore,
    SqliteStore,
)
from answerable.core.approval.challenge import challenge
from answerable.core.approval.typed_name import name_to_type
from answerable.core.approval.words import words_of
from answerable.core.identity.names.principal import PrincipalId
from answerable.flows.approval.answer_approval import answer_approval, answer_by_passkey
from answerable.flows.approval.open_approval import open_to_answer
from answerable.flows.state.passkey_desk import PasskeyState
from answerable.sdk.signing import signed_answer
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy
from answerable.testing.samples import AUDIENCE, signing_key
from answerable.testing.soft_passkey import ORIGIN, RP_ID

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.token import Verdict
    from answerable.core.canonical import JSONValue
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.testing.soft_passkey import SoftPasskey


@dataclass(slots=True, kw_only=True)
class Replicas:
    """What several processes on one file have in common."""

    directory: Path
    limits: WalkLimits
    clock: ManualClock = field(default_factory=ManualClock)
    stores: dict[int, SqliteStore] = field(default_factory=dict)
    started: int = 0

    def started_one(self) -> Bench:
        """A process starts; each has a log and randomness of its own."""
        self.started += 1
        store = SqliteStore.open(self.directory / "registers.db")
        bench = Bench(
            clock=self.clock,
            entropy=SeededEntropy(f"process {self.started}"),
            registry=SqliteRegistryStore(store),
            mandates=SqliteMandateRegister(store),
            approvals=SqliteApprovalRegister(store),
            openings=SqliteOpeningRegister(store),
            limits=self.limits,
        )
        bench.asking.passkeys = PasskeyState(
            register=SqlitePasskeyRegister(store), rp_id=RP_ID, origins=(ORIGIN,)
        )
        self.stores[id(bench)] = store
        return bench

    def restarted(self, bench: Bench) -> Bench:
        """The process is gone, with all that it had in memory; another one comes."""
        self.stores.pop(id(bench)).close()
        return self.started_one()

    def refresh(self) -> None:
        """Every process takes over what the others wrote, as each does all the time."""
        for store in self.stores.values():
            store.refresh()


async def replicas(
    directory: Path, limits: WalkLimits, count: int = 2, documents: list[JSONValue] | None = None
) -> tuple[Replicas, list[Bench]]:
    """So many, of which the first has applied the documents and issued a mandate."""
    made = Replicas(directory=directory, limits=limits)
    first = await made.started_one().registered(documents or bench_documents())
    await first.issue("m-1", calls_max=200)
    return made, [first, *(made.started_one() for _ in range(count - 1))]


async def questions(made: Replicas, bench: Bench, count: int) -> list[Approval]:
    """So many refunds wait for one approver each, and every process knows of them."""
    found = [(await bench.refund(6_000 + number)).approval for number in range(count)]
    made.refresh()
    assert all(found)
    return [one for one in found if one is not None]


def begun(
    bench: Bench, approval: Approval, by: str = "bob", verdict: Verdict = "approve", comment: str = ""
) -> str:
    """A person opens it at this process and signs."""
    nonce, shown, _ = open_to_answer(
        bench.recorder.ledger, bench.authority, bench.asking.openings, bench.walk.entropy, approval.id, to=by
    )
    return signed_answer(
        shown,
        nonce=nonce,
        by=PrincipalId(by),
        verdict=verdict,
        comment=comment,
        audience=AUDIENCE,
        at=bench.clock.now(),
        key=signing_key(by),
    )


async def sent(bench: Bench, approval: Approval, token: str) -> Approval:
    """What was signed comes in at this process, with the name typed where one is wanted."""
    return await answer_approval(
        bench.recorder,
        bench.authority,
        bench.asking,
        bench.counters,
        approval.id,
        token,
        typed=name_to_type(approval),
    )


async def tapped(bench: Bench, approval: Approval, device: SoftPasskey, nonce: bytes) -> Approval:
    """Bob says yes at this process by his device, with a nonce from wherever it is."""
    signed = challenge(
        nonce=nonce,
        action=approval.shown.digest,
        rendering=approval.card.digest,
        verdict="approve",
        words=words_of("approve", comment="seen"),
    )
    return await answer_by_passkey(
        bench.recorder,
        bench.authority,
        bench.asking,
        bench.counters,
        approval.id,
        person=PrincipalId("bob"),
        verdict="approve",
        comment="seen",
        nonce=nonce,
        assertion=device.assertion(signed),
        typed=name_to_type(approval),
    )
