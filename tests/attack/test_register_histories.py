"""Random histories of what registers keep, on real SQLite files: whichever older copy is put back, and wherever a write
is cut off, the registers are what the whole ledger makes of nothing."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from answerable.adapters.sqlite import SqliteStore
from answerable.core.base64url import to_base64url
from answerable.core.containment.hold import HoldTarget
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import AnswerableError, Unavailable
from answerable.flows.escalation.appoint_deputy import end_duty
from answerable.flows.events.manage_streams import change_status, create_stream, delete_stream
from answerable.flows.people.remove_passkey import remove_passkey
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.testing.samples import document
from answerable.testing.soft_passkey import SoftPasskey
from tests.worlds.duty import delegate, duty_document
from tests.worlds.enrolment import sign_manifest
from tests.worlds.parts import to_apply
from tests.worlds.passkey import enrolled
from tests.worlds.projection import Life, asked, events_of, lived, rows

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PROJECT-08")]

STEPS, COPIES = 24, 3


class Lives:
    """What can happen, each by chance. What is refused has happened, too."""

    def __init__(self, life: Life, chance: Random) -> None:
        self.life, self.chance, self.count = life, chance, 0
        self.streams = events_of(life)

    def one_of(self, found: Any) -> Any:
        there = [*found]
        return self.chance.choice(there) if there else None

    def mandate(self) -> str:
        return str(self.one_of(one.id for one in self.life.bench.authority.mandates.all()))

    async def issued(self) -> None:
        self.count += 1
        await self.life.bench.issue(f"m-{self.count}")

    async def asks(self) -> None:
        await asked(self.life.bench, self.chance.choice((6_000, 7_000, 60_000)), mandate=self.mandate())

    async def acts(self) -> None:
        await self.life.bench.refund(self.chance.choice((6_000, 7_000)), mandate=self.mandate())

    async def answered(self) -> None:
        bench = self.life.bench
        waiting = self.one_of(bench.authority.approvals.all(pending_only=True, now=bench.clock.now()))
        if self.chance.random() < 0.7:
            await bench.answer(waiting, by=self.chance.choice(("bob", "carol")))
        else:
            await bench.answer(waiting, verdict="deny", reason="too_much", comment="less")

    async def closed(self) -> None:
        walk = self.life.bench.walk
        await close_mandate(walk.recorder, walk.authority, walk.live, self.mandate(), by="operator")

    async def held(self) -> None:
        walk, what = self.life.bench.walk, HoldTarget("mandate", self.mandate())
        await place_hold(walk.recorder, walk.authority, walk.live, walk.counters.cuts, what, by="operator")

    async def revoked(self) -> None:
        walk, what = self.life.bench.walk, RevocationTarget("mandate", self.mandate())
        await revoke_authority(walk.recorder, walk.authority, walk.live, what, by="operator")

    async def applied(self) -> None:
        groups = self.chance.sample(["sales", "support", "night"], 2)
        applying = to_apply(self.life.bench.walk)
        await apply_registry(*applying, [document("Principal", "erin", {"groups": groups})], by="operator")

    async def manifest(self) -> None:
        await sign_manifest(self.life.bench.walk, self.chance.randbytes(4))

    async def passkey(self) -> None:
        await enrolled(
            self.life.bench, self.chance.choice(("alice", "carol")), SoftPasskey(seed=str(self.count))
        )

    async def no_passkey(self) -> None:
        bench, passkeys = self.life.bench, self.life.bench.asking.passkeys
        gone = self.one_of(passkeys.register.all())
        await remove_passkey(bench.recorder, passkeys, to_base64url(gone.id), by="operator")

    async def deputy(self) -> None:
        await delegate(self.life.bench, of=self.chance.choice(("bob", "carol")))

    async def no_deputy(self) -> None:
        bench, duties = self.life.bench, self.life.bench.asking.duties
        await end_duty(bench.recorder, duties, self.one_of(duties.register.delegations()).id, by="bob")

    async def stream(self) -> None:
        await create_stream(self.streams, "scout", {"description": str(self.count)})

    async def other_stream(self) -> None:
        name = self.one_of(self.streams.register.streams()).id
        if self.chance.random() < 0.5:
            await delete_stream(self.streams, "scout", name)
        else:
            await change_status(self.streams, "scout", {"stream_id": name, "status": "paused"})

    async def step(self) -> None:
        weighed = (
            *[self.issued] * 2, *[self.asks] * 3, *[self.answered] * 3, *[self.acts] * 3, *[self.stream] * 2,
            self.closed, self.held, self.revoked, self.applied, self.manifest, self.passkey, self.no_passkey,
            self.deputy, self.no_deputy, self.other_stream,
        )  # fmt: skip
        happens: Callable[[], Awaitable[None]] = self.chance.choice(weighed)
        try:
            await happens()
        except (AnswerableError, AssertionError, AttributeError):
            return  # There was nothing for it to happen to, or it is refused.


def limited(store: SqliteStore, left: int) -> Callable[[], Any]:
    """So many more writes of the registers, and then none: as if the process ended there."""
    write, count = store.write, itertools.count()

    @contextmanager
    def written() -> Iterator[Any]:
        if next(count) >= left:
            raise Unavailable("full", code="register.unavailable", port="registers")
        with write() as connection:
            yield connection

    return written


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happened_and_whichever_copy_is_put_back_the_ledger_says_what_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
):
    chance = Random(seed)
    with closing(SqliteStore.open(tmp_path / "live.db")) as store:
        life = lived(tmp_path, store)
        await life.bench.registered()
        await apply_registry(*to_apply(life.bench.walk), [duty_document()], by="operator")
        lives = Lives(life, chance)
        await lives.issued()
        kept = {chance.randrange(STEPS) for _ in range(COPIES)}
        for number in range(STEPS):
            if number in kept:
                life.copied(f"step {number}")
            await lives.step()
            life.bench.clock.advance(1)
        with monkeypatch.context() as patched:
            patched.setattr(store, "write", limited(store, chance.randrange(3)))
            await lives.step()
    told, done = life.caught_up(None)
    with closing(told):
        whole = rows(told)
        assert done.left_out == []
    assert len({table for table, _ in whole}) > 3
    for name, copy in {**life.copies, "live": tmp_path / "live.db"}.items():
        made, _ = life.caught_up(copy)
        with closing(made):
            found = rows(made)
            # One that was taken for an action that was cut off is burned, and no entry says so.
            burned = {one for one, row in found.items() if one[0] == "approvals" and row[0] == "used"}
            assert {
                one for one in found.keys() | whole.keys() if found.get(one) != whole.get(one)
            } <= burned, name
