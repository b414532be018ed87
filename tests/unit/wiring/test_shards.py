"""The log of logs as one process wires it: keeping it, following it, and saying when nobody covers the shard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from answerable.adapters.system import SystemEntropy
from answerable.adapters.tlog_files import PublishedFiles, TlogFilesLedger, TlogFilesSettings
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.note import Note
from answerable.errors import Broken, Malformed
from answerable.testing.clock import ManualClock
from answerable.wiring.setting_tree import Settings
from answerable.wiring.settings import parse_settings
from answerable.wiring.shard_settings import with_shard
from answerable.wiring.shards import LATE_SECONDS, LogOfLogs, heads_identity, own_log, own_witnesses

pytestmark = [pytest.mark.anyio]

SMALL = TlogFilesSettings(segment_bytes=65_536)
ENTROPY = SystemEntropy()


def settings(data: Path, shard: str = "a", more: str = "") -> Settings:
    text = f'[ledger]\nshard = "{shard}"\nsegment_bytes = 65536\nseal_seconds = 1\n[witnesses]\nlocal = false\n{more}'
    read, found = parse_settings(text.encode(), data=data)
    assert read is not None, found
    return read


def opened(chosen: Settings, clock: ManualClock) -> TlogFilesLedger:
    own = own_log(chosen, ENTROPY)
    return TlogFilesLedger.open(
        chosen.ledger.place, key=own.log_key, sign=own.key.sign, clock=clock, settings=SMALL
    )


@asynccontextmanager
async def running(chosen: Settings, clock: ManualClock) -> AsyncIterator[LogOfLogs]:
    heads = LogOfLogs(chosen, identity=heads_identity(chosen, ENTROPY), clock=clock)
    async with anyio.create_task_group() as tasks:
        await tasks.start(heads.run)
        yield heads
        tasks.cancel_scope.cancel()


async def until(condition) -> None:
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - nothing here could set an event for it
            await anyio.sleep(0.02)


def size_of(log: PublishedFiles) -> int:
    note = log.checkpoint()
    return Checkpoint.parse(Note.parse(note).text).size if note else 0


@pytest.mark.requirement("SHARD-02")
async def test_the_first_process_keeps_it_and_the_second_takes_over(tmp_path: Path) -> None:
    clock, a, b = ManualClock(), settings(tmp_path), settings(tmp_path, "b")
    async with opened(a, clock), opened(b, clock):
        async with running(b, clock) as second:
            assert second.is_kept_here
            assert [one.state for one in second.states()] == ["ok", "ok"]
            async with running(a, clock) as first:
                assert not first.is_kept_here
                assert first.states() == second.states()
                assert first.witness_states() == ()
        async with running(a, clock) as first:
            assert first.is_kept_here
            assert [one.state for one in first.states()] == ["ok", "ok"]
    assert size_of(PublishedFiles(a.ledger.heads)) == 3, "genesis and two heads: nothing was written twice"


@pytest.mark.requirement("SHARD-02")
async def test_the_last_round_covers_what_was_sealed_at_the_end(tmp_path: Path) -> None:
    clock, a = ManualClock(), settings(tmp_path)
    async with opened(a, clock) as ledger, running(a, clock) as heads:
        await ledger.append(sealed_entry(Tag.GAP, at=clock.now(), members={}))
        ledger.seal()
        await heads.last_round()
        assert [one.size for one in heads.states()] == [2]


@pytest.mark.requirement("SHARD-03")
async def test_a_process_says_that_nobody_covers_it(tmp_path: Path) -> None:
    clock, a = ManualClock(), settings(tmp_path)
    identity = heads_identity(a, ENTROPY)
    idle = TlogFilesLedger.open(
        a.ledger.heads, key=identity.log_key, sign=identity.key.sign, clock=clock, settings=SMALL
    )
    async with idle, opened(a, clock), running(a, clock) as heads:
        assert not heads.is_kept_here
        clock.advance(int(LATE_SECONDS * 1000) + 1)
        [state] = heads.states()
        assert (state.origin.rpartition("/")[2], state.state) == ("a", "alarm")
        await idle.close()
        await until(lambda: heads.is_kept_here)
        await until(lambda: [one.state for one in heads.states()] == ["ok"])


@pytest.mark.requirement("SHARD-02")
async def test_a_log_of_logs_that_cannot_be_written_is_in_alarm_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, a = ManualClock(), settings(tmp_path)
    blocked = a.ledger.heads
    blocked.parent.mkdir(parents=True)
    blocked.write_text("")
    async with opened(a, clock), running(a, clock) as heads:
        assert [(one.origin, one.state) for one in heads.states()] == [(heads.origin, "alarm")]
        blocked.unlink()
        await until(lambda: [(one.origin[-2:], one.state) for one in heads.states()] == [("/a", "ok")])


@pytest.mark.requirement("SHARD-03")
async def test_a_shard_that_went_back_behind_its_head_is_not_opened(tmp_path: Path) -> None:
    clock, a = ManualClock(), settings(tmp_path)
    async with opened(a, clock), running(a, clock):
        pass
    for path in sorted(a.ledger.place.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    with pytest.raises(Broken) as told:
        own_log(a, ENTROPY)
    assert told.value.code == "ledger.rolled_back"


@pytest.mark.requirement("SHARD-07")
def test_one_log_and_shards_do_not_share_a_directory(tmp_path: Path) -> None:
    single = settings(tmp_path, "")
    (tmp_path / "ledger/wal").mkdir(parents=True)
    assert own_log(single, ENTROPY).origin.startswith("answerable-log-")
    with pytest.raises(Malformed) as told:
        own_log(settings(tmp_path), ENTROPY)
    assert told.value.code == "ledger.unsharded"
    (tmp_path / "ledger/wal").rmdir()
    (tmp_path / "ledger/shards/b").mkdir(parents=True)
    (tmp_path / "ledger/shards/lost+found").mkdir()
    with pytest.raises(Malformed) as told:
        own_log(single, ENTROPY)
    assert told.value.code == "ledger.sharded"
    assert "(b)" in told.value.message


@pytest.mark.requirement("SHARD-01")
def test_all_logs_of_a_house_have_one_first_name_and_keys_of_their_own(tmp_path: Path) -> None:
    chosen = [settings(tmp_path), settings(tmp_path, "b")]
    found = [*(own_log(one, ENTROPY) for one in chosen), heads_identity(chosen[0], ENTROPY)]
    assert len({one.origin.rpartition("/")[0] for one in found}) == 1
    assert [one.origin.rpartition("/")[2] for one in found] == ["a", "b", "heads"]
    assert len({one.log_key.public for one in found}) == 3


@pytest.mark.requirement("SHARD-01")
def test_sockets_get_the_name_of_the_shard_unless_somebody_chose_them(tmp_path: Path) -> None:
    a = settings(tmp_path, "a", '[control]\nsocket = "mine.sock"\n')
    assert a.gateway.socket == tmp_path / "gateway-a.sock"
    assert a.control.socket == tmp_path / "mine.sock"
    b = with_shard(a, "b")
    assert (b.ledger.shard, b.gateway.socket.name, b.control.socket.name) == (
        "b",
        "gateway-b.sock",
        "mine.sock",
    )
    with pytest.raises(Malformed):
        with_shard(a, "heads")


@pytest.mark.requirement("SHARD-01")
def test_what_is_wrong_with_the_settings_of_a_shard_is_said_where_it_stands(tmp_path: Path) -> None:
    text = '[ledger]\nshard = "heads"\n[witnesses]\nstop_after_seconds = 60\n'
    read, found = parse_settings(text.encode(), data=tmp_path)
    assert read is None
    assert [(one.line, one.key) for one in found] == [
        (2, "ledger.shard"),
        (4, "witnesses.stop_after_seconds"),
    ]


@pytest.mark.requirement("SHARD-02")
def test_who_is_asked_to_cosign_a_shard(tmp_path: Path) -> None:
    def chosen(shard: str, more: str = "") -> Settings:
        text = f'[ledger]\nshard = "{shard}"\n[witnesses]\n{more}'
        read, found = parse_settings(text.encode(), data=tmp_path)
        assert read is not None, found
        return read

    assert not own_witnesses(chosen("a")).witnesses.local, "the log of logs is cosigned for it"
    for one in (chosen(""), chosen("a", "shards = true")):
        assert own_witnesses(one) is one
