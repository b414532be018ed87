"""Whoever is revoked tries to act all the same: before the decision, after it, in a crowd, in a process that slept."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from functools import partial

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from answerable.adapters.sqlite import SqliteHoldRegister, SqliteRevocationRegister, SqliteStore
from answerable.adapters.system import SystemClock
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.revocation import Revocation, revocable
from answerable.errors import Refused, Unavailable
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.flows.validity.refuse_revoked import signing_key_of
from answerable.testing.builders import Bench
from answerable.testing.clock import ManualClock
from answerable.testing.registers import fresh_store
from answerable.testing.samples import signing_key
from tests.probes import warm_starts
from tests.worlds.revocation import INSTANCE, MANIFEST, act_as_instance, bench_with_vendors, revoke_now
from tests.worlds.walk import cited


@pytest.mark.anyio
@pytest.mark.requirement("REVOKE-03")
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("mandate", "m-1"),
        ("agent", "scout"),
        ("agent", "spiffe://example.org/agent/scout/abc"),
        ("agent", INSTANCE),
        ("key", signing_key("scout").public.thumbprint),
        ("key", "K" * 43),
        ("key", signing_key("alice").public.thumbprint),
        ("manifest", MANIFEST),
        ("owner", "alice"),
        ("vendor", "model-maker"),
        ("vendor", "framework-maker"),
        ("vendor", "crm-maker"),
        ("trust_domain", "example.org"),
    ],
)
async def test_an_action_under_any_revoked_name_is_refused_and_recorded(kind, name):
    bench = await bench_with_vendors()
    await act_as_instance(bench)
    revoke_now(bench, revocable(kind, name))
    with pytest.raises(Refused) as raised:
        await act_as_instance(bench)
    assert raised.value.code == f"revoked.{kind}"
    assert name in raised.value.message
    assert len(bench.upstream.effects) == 1
    assert [leaf["code"] for leaf in bench.entries(Tag.REFUSAL)] == [f"revoked.{kind}"]


@pytest.mark.anyio
@pytest.mark.requirement("REVOKE-03")
async def test_names_of_others_stop_nobody():
    bench = await bench_with_vendors()
    for kind, name in (("agent", "rover"), ("vendor", "other"), ("mandate", "m-2"), ("owner", "carol")):
        revoke_now(bench, revocable(kind, name))
    revoke_now(bench, revocable("agent", "spiffe://example.org/agent/scout/abd"))
    await act_as_instance(bench)
    assert len(bench.upstream.effects) == 1


@pytest.mark.anyio
@pytest.mark.requirement("REVOKE-03")
async def test_a_revoked_person_or_key_can_give_no_new_mandate():
    bench = await bench_with_vendors()
    revoke_now(bench, revocable("key", signing_key("alice").public.thumbprint))
    with pytest.raises(Refused) as raised:
        await bench.issue("m-2")
    assert raised.value.code == "revoked.key"
    assert bench.authority.mandates.find("m-2") is None


@pytest.mark.anyio
@pytest.mark.requirement("REVOKE-03")
async def test_an_approval_counts_no_more_once_the_key_that_signed_it_is_revoked():
    bench = await bench_with_vendors()
    waiting = (await bench.refund(6_000)).approval
    assert waiting is not None
    approved = await bench.answer(waiting)
    revoke_now(bench, revocable("key", signing_key_of(approved.answers[0].token)))
    answer = await bench.refund(6_000)
    assert answer.outcome is None
    assert not bench.upstream.effects


@pytest.mark.anyio
@pytest.mark.requirement("REVOKE-04")
@pytest.mark.parametrize(("kind", "name"), [("mandate", "m-1"), ("agent", "scout"), ("owner", "alice")])
async def test_what_was_decided_and_has_not_started_when_it_is_revoked_does_not_start(kind, name):
    bench = await bench_with_vendors()
    await cited(bench)
    ledger = bench.recorder.ledger
    submit = ledger.submit

    def revoked_meanwhile(entry):
        if entry.tag == Tag.INTENT:
            revoke_now(bench, revocable(kind, name))
        return submit(entry)

    ledger.submit = revoked_meanwhile
    answer = await bench.act()
    assert answer.outcome is not None
    assert answer.outcome.status == "not_started"
    assert f"`{name}` was revoked before the start" in answer.outcome.detail
    assert not bench.upstream.effects
    [end] = bench.entries(Tag.OUTCOME)
    assert end["status"] == "not_started"


class Asleep(SqliteRevocationRegister):
    """A register that cannot say what was revoked, from the second look on."""

    looks = 0

    def epoch(self) -> int:
        self.looks += 1
        if self.looks > 2:
            raise Unavailable("the disk is gone", code="register.unavailable", port="register")
        return 0


@pytest.mark.anyio
@pytest.mark.requirement("REVOKE-04")
async def test_where_it_cannot_be_said_what_was_revoked_nothing_starts():
    store, clock = fresh_store(), ManualClock()
    register = Asleep(store, clock=clock)
    holds = SqliteHoldRegister(store, register)
    bench = await Bench(clock=clock, revocations=register, holds=holds).registered()
    await bench.issue()
    for _ in range(2):
        with pytest.raises(Unavailable):
            await bench.act()
    assert not bench.upstream.effects
    assert all(leaf["status"] == "not_started" for leaf in bench.entries(Tag.OUTCOME))


@pytest.mark.anyio
@pytest.mark.requirement("REVOKE-04")
async def test_of_many_in_flight_none_starts_after_the_revocation_returned(tmp_path):
    store = SqliteStore.open(tmp_path / "registers.db")
    register = SqliteRevocationRegister(store, clock=SystemClock())
    bench = await Bench(revocations=register, holds=SqliteHoldRegister(store, register)).registered()
    await bench.issue(calls_max=100_000)
    await cited(bench)
    over = anyio.Event()
    late: list[str] = []

    async def noticed(effect):
        if over.is_set():
            late.append(effect.action_id)
        await anyio.lowlevel.checkpoint()

    bench.upstream.before = noticed
    ends: list[str] = []

    async def agent() -> None:
        try:
            while True:
                await bench.act()
        except Refused as refused:
            ends.append(refused.code)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(agent)
            while len(bench.upstream.effects) < 50:
                await anyio.lowlevel.checkpoint()
            await revoke_authority(
                bench.recorder, bench.authority, bench.live, revocable("mandate", "m-1"), by="operator"
            )
            over.set()
    assert ends == ["revoked.mandate"] * 8
    assert late == []


@pytest.mark.requirement("REVOKE-04")
def test_no_thread_finds_a_name_unrevoked_after_the_revocation_returned(tmp_path):
    clock = SystemClock()
    opened = partial(SqliteStore.open, tmp_path / "registers.db")
    register = SqliteRevocationRegister(opened(), clock=clock)
    other = SqliteRevocationRegister(opened(), clock=clock)
    missed: list[int] = []
    for number in range(6):
        what = revocable("agent", f"agent-{number}")
        returned, done = threading.Event(), threading.Event()

        def ask(what=what, returned=returned, done=done) -> None:
            while not done.is_set():
                was_over = returned.is_set()
                if register.find((what,)) is None and was_over:
                    missed.append(1)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        other.add(Revocation(what=what, at=clock.now(), by="operator"))
        returned.set()
        done.wait(0.005)
        done.set()
        for thread in threads:
            thread.join()
    assert missed == []


SLEEPER = """
import sys
from pathlib import Path
from answerable.adapters.sqlite import SqliteRevocationRegister, SqliteStore
from answerable.adapters.system import SystemClock
from answerable.core.mandate.revocation import revocable
register = SqliteRevocationRegister(SqliteStore.open(Path(sys.argv[1])), clock=SystemClock())
scout = (revocable("agent", "scout"),)
for line in sys.stdin:
    print("revoked" if register.find(scout) else "stands", flush=True)
"""


@pytest.mark.requirement("REVOKE-02")
def test_a_process_that_slept_during_the_revocation_sees_it_at_its_first_call(tmp_path):
    file = tmp_path / "registers.db"
    here = SqliteRevocationRegister(SqliteStore.open(file), clock=SystemClock())
    sleeper = subprocess.Popen(
        [*warm_starts.program(SLEEPER), str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert sleeper.stdin is not None
    assert sleeper.stdout is not None
    with sleeper:
        try:
            sleeper.stdin.write("ask\n")
            sleeper.stdin.flush()
            assert sleeper.stdout.readline() == "stands\n"
            os.kill(sleeper.pid, signal.SIGSTOP)
            what = revocable("agent", "scout")
            here.add(Revocation(what=what, at=SystemClock().now(), by="operator"))
            # The question waits in the pipe: it is the very first thing that the process does.
            sleeper.stdin.write("ask\n")
            sleeper.stdin.flush()
            os.kill(sleeper.pid, signal.SIGCONT)
            assert sleeper.stdout.readline() == "revoked\n"
        finally:
            sleeper.stdin.close()
            sleeper.kill()
