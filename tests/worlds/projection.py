"""A bench on real registers that lives through everything, and copies of them that are brought up from its ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from answerable.adapters.event_http import HttpEventPost
from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteDutyRegister,
    SqliteEventRegister,
    SqliteMandateRegister,
    SqliteManifestRegister,
    SqliteOpeningRegister,
    SqlitePasskeyRegister,
    SqlitePolicyRegister,
    SqliteProjections,
    SqliteRegistryStore,
    SqliteStore,
    SqliteToolPinRegister,
)
from answerable.core.approval.approval import Approval
from answerable.core.base64url import to_base64url
from answerable.core.containment.hold import HoldTarget
from answerable.core.ledger.subject import LOG_SUBJECT
from answerable.core.mandate.revocation import RevocationTarget
from answerable.flows.escalation.appoint_deputy import end_duty
from answerable.flows.escalation.check_card import void
from answerable.flows.events.event_desk import EventState
from answerable.flows.events.manage_streams import (
    change_status,
    create_stream,
    delete_stream,
    remove_subject,
)
from answerable.flows.people.remove_passkey import remove_passkey
from answerable.flows.policy.publish_policy import withdraw_proposal
from answerable.flows.recording.record_entry import record_entry, sealing_for
from answerable.flows.recovery.project_ledger import CaughtUp, Log, catch_up
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.flows.state.duty_desk import OnCallState
from answerable.flows.state.passkey_desk import PasskeyState
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import POLICIES, Bench
from answerable.testing.samples import document
from answerable.testing.soft_passkey import ORIGIN, RP_ID
from tests.worlds.duty import delegate, duty_document
from tests.worlds.enrolment import sign_manifest
from tests.worlds.older import ROWS
from tests.worlds.parts import to_apply
from tests.worlds.passkey import enrolled
from tests.worlds.publication import STOP, house, propose, publish, roll_back
from tests.worlds.tool import approve_offered

if TYPE_CHECKING:
    from answerable.core.ledger.opened import FindKey


@dataclass
class Life:
    """A bench on real registers, and a copy of their file before each step."""

    root: Path
    store: SqliteStore
    bench: Bench
    copies: dict[str, Path] = field(default_factory=dict)

    @property
    def log(self) -> Log:
        ledger = self.bench.recorder.ledger
        return Log(ledger.origin, ledger.replay)

    def copied(self, before: str) -> None:
        copy = self.root / f"{len(self.copies)}.db"
        with closing(sqlite3.connect(self.root / "live.db")) as live, closing(sqlite3.connect(copy)) as kept:
            live.backup(kept)
        self.copies[before] = copy

    def caught_up(self, copy: Path | None, find: FindKey | None = None) -> tuple[SqliteStore, CaughtUp]:
        """The registers of a copy, or those that were lost, as the ledger makes them. find: with other keys."""
        path = copy or self.root / "nothing.db"
        store = SqliteStore.open(path)
        try:
            return store, catch_up(
                SqliteProjections(store, path), [self.log], find or self.bench.recorder.subject_keys.find
            )
        except BaseException:
            store.close()
            raise


def rows(store: SqliteStore) -> dict[tuple[str, Any], tuple[object, ...]]:
    return {(table, row[0]): row[1:] for table, query in ROWS.items() for row in store.rows(query)}


def lived(root: Path, store: SqliteStore) -> Life:
    """One that begins, on this file."""
    bench = Bench(
        registry=SqliteRegistryStore(store),
        mandates=SqliteMandateRegister(store),
        approvals=SqliteApprovalRegister(store),
        openings=SqliteOpeningRegister(store),
        pins=SqliteToolPinRegister(store),
        limits=replace(WalkLimits(), pin_tools_at_first_sight=True),
    )
    bench.walk.policies.records = SqlitePolicyRegister(store)
    bench.authority.manifests = SqliteManifestRegister(store)
    bench.asking.passkeys = PasskeyState(
        register=SqlitePasskeyRegister(store), rp_id=RP_ID, origins=(ORIGIN,)
    )
    bench.asking.duties = OnCallState(register=SqliteDutyRegister(store))
    return Life(root, store, bench)


@pytest.fixture
async def life(tmp_path: Path) -> AsyncIterator[Life]:
    with closing(SqliteStore.open(tmp_path / "live.db")) as store:
        yield lived(tmp_path, store)


async def asked(bench: Bench, amount: int, *, mandate: str = "m-1") -> Approval:
    answer = await bench.refund(amount, mandate=mandate)
    assert answer.approval is not None, answer
    found = bench.authority.approvals.find(answer.approval.id)
    assert found is not None
    return found


async def steps(life: Life) -> AsyncIterator[str]:
    """A whole life, a step each; the clock goes on between them."""
    bench, walk, applying = life.bench, life.bench.walk, to_apply(life.bench.walk)
    await bench.registered()
    yield "applied"
    await bench.issue()
    await bench.issue("m-2")
    yield "issued"
    await bench.act()
    yield "pinned at first sight"
    await sign_manifest(walk, b"be kind")
    yield "manifest"
    await approve_offered(walk, "crm", "refund")
    yield "pinned by its owner"
    one = await asked(bench, 6_000)
    yield "asked"
    await bench.answer(one)
    yield "approved"
    await bench.refund(6_000)
    yield "used"
    await bench.answer(await asked(bench, 7_000), verdict="deny", reason="too_much", comment="less")
    yield "denied"
    two = await asked(bench, 60_000)
    await bench.answer(two)
    yield "one of two"
    await bench.answer(two, by="carol")
    yield "two of two"
    await void(
        walk.recorder,
        walk.authority.approvals,
        walk.asking.under_way,
        await asked(bench, 8_000),
        ("the card",),
    )
    yield "void"
    waiting = await asked(bench, 9_000, mandate="m-2")
    await close_mandate(walk.recorder, walk.authority, walk.live, "m-2", by="operator")
    yield "closed"
    await place_hold(
        walk.recorder,
        walk.authority,
        walk.live,
        walk.counters.cuts,
        HoldTarget("mandate", "m-1"),
        by="operator",
    )
    held = walk.authority.approvals.find(two.id)
    assert held is not None
    assert held.state == "denied"
    yield "held"
    await revoke_authority(
        walk.recorder, walk.authority, walk.live, RevocationTarget("mandate", "m-2"), by="operator"
    )
    assert waiting.id
    yield "revoked"
    await apply_registry(*applying, [house(STOP)], by="operator")
    yield "forbidden"
    await apply_registry(
        *applying, [house(POLICIES), document("Principal", "erin", {"groups": ["sales"]})], by="operator"
    )
    yield "allowed again, and somebody more"
    walk.policies.publishers = "approvers"
    proposal = await propose(bench)
    yield "proposed"
    await withdraw_proposal(walk.recorder, walk.asking.under_way, walk.policies, proposal.id, by="operator")
    yield "withdrawn"
    await publish(bench, await propose(bench, POLICIES + "// other\n"))
    yield "published"
    async for step in people_steps(life):
        yield step


async def people_steps(life: Life) -> AsyncIterator[str]:
    """Its end: policies go back, and passkeys and deputies come and go."""
    bench, applying = life.bench, to_apply(life.bench.walk)
    await roll_back(bench)
    yield "rolled back"
    gone = await enrolled(bench, "alice")
    await enrolled(bench, "carol")
    yield "passkeys"
    await remove_passkey(bench.recorder, bench.asking.passkeys, to_base64url(gone.id), by="operator")
    yield "a passkey removed"
    await apply_registry(*applying, [duty_document()], by="operator")
    over = await delegate(bench)
    await delegate(bench, of="carol")
    yield "deputies"
    await end_duty(bench.recorder, bench.asking.duties, over.id, by="bob")
    yield "a deputy ended"
    desk = events_of(life)
    name, gone = [(await create_stream(desk, "scout", {}))["stream_id"] for _ in range(2)]
    yield "streams"
    await remove_subject(desk, "scout", {"stream_id": name, "subject": {"format": "opaque", "id": "x"}})
    await change_status(desk, "scout", {"stream_id": name, "status": "paused", "reason": "night"})
    yield "a stream changed"
    await delete_stream(desk, "scout", str(gone))
    yield "a stream removed"


def events_of(life: Life) -> EventState:
    """The desk of streams of events on the same file."""
    walk, register = life.bench.walk, SqliteEventRegister(life.store)
    return EventState(
        recorder=walk.recorder,
        authority=walk.authority,
        register=register,
        post=HttpEventPost(answer_seconds_max=1.0),
        issuer=str,
        receivers={"scout": frozenset()},
    )


async def appended(life: Life, made: Callable[[Any], Any]) -> None:
    await record_entry(life.bench.recorder, made(sealing_for(life.bench.recorder, LOG_SUBJECT)))


def erased(life: Life, *subjects: str) -> FindKey:
    """The keys that are left when those of these subjects were destroyed."""
    keys = life.bench.recorder.subject_keys
    gone = {keys.of(one).id for one in subjects}
    return lambda key_id: None if key_id in gone else keys.find(key_id)
