"""Whoever has an invitation that ran out sets the clock back, or waits until somebody does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import pytest

from answerable.adapters.sqlite import SqlitePasskeyRegister, SqliteStore
from answerable.core.identity.people.invitation import LIFETIME_SECONDS
from answerable.errors import Unverified
from answerable.flows.people.enrol_passkey import begin_enrolment
from answerable.flows.people.invite_person import invite_person
from answerable.flows.state.passkey_desk import PasskeyState
from answerable.flows.trust_domain.workloads import Workloads
from answerable.flows.workloads.watch_clock import end_what_had_lapsed, watch_clock
from answerable.testing.builders import Bench
from answerable.testing.soft_passkey import ORIGIN, RP_ID
from tests.worlds.enrolment import enrolling

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("CEREMONY-18")]

LATE = LIFETIME_SECONDS + 1


@asynccontextmanager
async def inviting(tmp_path: Path) -> AsyncIterator[tuple[Bench, Workloads, str]]:
    """A product whose invitations are in a file, and the code of one."""
    bench, workloads = await enrolling()
    with closing(SqliteStore.open(tmp_path / "state" / "registers.db")) as store:
        bench.asking.passkeys = PasskeyState(
            register=SqlitePasskeyRegister(store), rp_id=RP_ID, origins=(ORIGIN,)
        )
        yield (
            bench,
            workloads,
            (
                await invite_person(
                    bench.recorder, bench.authority, bench.asking.passkeys, "alice", by="uid:1000"
                )
            ).code,
        )


def refused(bench: Bench, code: str) -> bool:
    try:
        begin_enrolment(bench.authority, bench.asking.passkeys, bench.walk.entropy, code, browser="b")
    except Unverified as error:
        return error.code == "invitation.refused"
    return False


async def test_an_invitation_that_was_shown_late_is_over_whatever_the_clock_says_then(tmp_path):
    async with inviting(tmp_path) as (bench, _, code):
        bench.clock.jump(LATE)
        assert refused(bench, code)
        bench.clock.jump(-LATE)
        assert refused(bench, code)


async def test_one_that_nobody_showed_is_over_once_the_clock_is_seen_to_go_back(tmp_path):
    async with inviting(tmp_path) as (bench, workloads, code):
        jumps = [LATE, -LATE, 0]
        with anyio.CancelScope() as watching:

            async def sleep(seconds: float) -> None:
                bench.clock.advance(seconds)
                if jumps:
                    bench.clock.jump(jumps.pop(0))
                else:
                    watching.cancel()
                await anyio.lowlevel.checkpoint()

            await watch_clock(workloads, sleep=sleep)
        assert refused(bench, code)
        fresh = await invite_person(
            bench.recorder, bench.authority, bench.asking.passkeys, "alice", by="uid:1000"
        )
        assert not refused(bench, fresh.code), "the next one is good"


async def test_one_that_ran_out_by_an_entry_of_the_ledger_is_over_at_the_next_start(tmp_path):
    async with inviting(tmp_path) as (bench, workloads, code):
        bench.clock.jump(LATE)
        await invite_person(bench.recorder, bench.authority, bench.asking.passkeys, "bob", by="uid:1000")
        bench.clock.jump(-LATE)
        await end_what_had_lapsed(workloads)
        assert refused(bench, code)


async def test_where_the_clock_is_right_an_invitation_outlasts_a_start(tmp_path):
    async with inviting(tmp_path) as (bench, workloads, code):
        bench.clock.advance(LIFETIME_SECONDS - 1)
        await end_what_had_lapsed(workloads)
        assert not refused(bench, code)
