"""The panic button: without a server, without room, with something odd in its place, lifted, pressed again."""

from __future__ import annotations

import errno
import json
import os
import stat

import anyio
import pytest

from answerable.adapters.panic_file import keep_ready, press, pressed
from answerable.adapters.system import SystemEntropy
from answerable.core.containment.hold import EVERYTHING
from answerable.core.containment.press import FILE, READY
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Refused, Unavailable
from answerable.flows.revocation.place_hold import place_hold
from answerable.wiring.stops import following_panic, hold_if_pressed
from tests.worlds.gateway import until
from tests.worlds.hold import bench_to_hold, lift
from tests.worlds.parts import to_hold
from tests.worlds.revocation import act_as_instance

pytestmark = pytest.mark.anyio
ENTROPY = SystemEntropy()


def pressed_now(directory, reason=""):
    press(directory, reason=reason, entropy=ENTROPY)
    found = pressed(directory)
    assert found is not None
    return found


@pytest.mark.requirement("STOP-06")
async def test_a_press_holds_every_action_before_any_door_opens_and_says_who_and_why(tmp_path):
    bench = await bench_to_hold()
    await act_as_instance(bench)
    pressed_now(tmp_path, "it deletes mail")
    await hold_if_pressed(*to_hold(bench.walk), tmp_path, None)
    with pytest.raises(Refused) as raised:
        await act_as_instance(bench)
    assert raised.value.code == "held.everything"
    [hold] = bench.authority.holds.all()
    assert (hold.what, hold.source, hold.by, hold.reason) == (
        EVERYTHING, "panic", f"uid:{os.geteuid()}", "it deletes mail",
    )  # fmt: skip
    assert hold.persons_to_lift == 2
    [leaf] = bench.entries(Tag.HOLD_PLACED)
    assert (leaf["kind"], leaf["source"], leaf["rule"]) == ("everything", "panic", hold.rule)


@pytest.mark.requirement("STOP-06")
async def test_a_running_server_sees_it_without_being_asked(tmp_path):
    bench = await bench_to_hold()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(following_panic, *to_hold(bench.walk), tmp_path, None)
        await anyio.lowlevel.checkpoint()
        assert bench.authority.holds.find((EVERYTHING,), bench.clock.now()) is None
        pressed_now(tmp_path)
        await until(
            lambda: bench.authority.holds.find((EVERYTHING,), bench.clock.now()) is not None, seconds=60
        )
        tasks.cancel_scope.cancel()


@pytest.mark.requirement("STOP-07", "FULLDISK-05")
async def test_a_second_press_by_file_on_a_running_server_stops_again_after_the_first_was_lifted(tmp_path):
    bench = await bench_to_hold()

    def held() -> bool:
        return bench.authority.holds.find((EVERYTHING,), bench.clock.now()) is not None

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(following_panic, *to_hold(bench.walk), tmp_path, None)
        first = pressed_now(tmp_path)
        await until(held, seconds=60)
        [hold] = bench.authority.holds.all()
        assert (await lift(bench, await lift(bench, hold, "bob"), "carol")).lifted_at
        assert not held()
        (tmp_path / FILE).unlink()
        assert pressed_now(tmp_path).id != first.id
        await until(held, seconds=60)
        tasks.cancel_scope.cancel()
    with pytest.raises(Refused) as raised:
        await act_as_instance(bench)
    assert raised.value.code == "held.everything"


@pytest.mark.requirement("STOP-07")
async def test_removing_the_file_lifts_nothing_and_what_was_lifted_does_not_hold_again(tmp_path):
    bench = await bench_to_hold()
    pressed_now(tmp_path)
    await hold_if_pressed(*to_hold(bench.walk), tmp_path, None)
    (tmp_path / FILE).unlink()
    await hold_if_pressed(*to_hold(bench.walk), tmp_path, None)
    with pytest.raises(Refused):
        await act_as_instance(bench)


@pytest.mark.requirement("STOP-07")
async def test_a_press_whose_hold_was_lifted_holds_no_more_and_another_press_does(tmp_path):
    bench = await bench_to_hold()
    first = pressed_now(tmp_path)
    await hold_if_pressed(*to_hold(bench.walk), tmp_path, None)
    [hold] = bench.authority.holds.all()
    after = await lift(bench, await lift(bench, hold, "bob"), "carol")
    assert after.lifted_at
    for _ in range(2):
        await hold_if_pressed(*to_hold(bench.walk), tmp_path, None)
    await act_as_instance(bench)
    again = pressed_now(tmp_path)
    assert again.id != first.id
    await hold_if_pressed(*to_hold(bench.walk), tmp_path, None)
    with pytest.raises(Refused):
        await act_as_instance(bench)
    assert len(list(bench.authority.holds.all())) == 2


def text(place):
    place.write_bytes(b"\xff\x00 not a press")


def long_text(place):
    place.write_bytes(b"x" * 100_000)


def empty(place):
    place.write_bytes(b"")


def of_another_shape(place):
    place.write_text(json.dumps({"press": 7, "reason": "x"}))


def forged_reason(place):
    place.write_text(json.dumps({"press": "A" * 22, "reason": "line\nbreak"}))


def link(place):
    place.symlink_to("/etc/hostname")


def dangling(place):
    place.symlink_to(place.parent / "nowhere")


def directory(place):
    place.mkdir()


def pipe(place):
    os.mkfifo(place)


def unreadable(place):
    place.write_text("{}")
    place.chmod(0)


ODD = (text, long_text, empty, of_another_shape, forged_reason, link, dangling, directory, pipe, unreadable)


@pytest.mark.requirement("STOP-06", "STOP-07")
@pytest.mark.parametrize("odd", ODD, ids=lambda one: one.__name__)
async def test_whatever_is_there_under_the_name_holds_everything_once(tmp_path, odd):
    bench = await bench_to_hold()
    odd(tmp_path / FILE)
    for _ in range(2):
        await hold_if_pressed(*to_hold(bench.walk), tmp_path, None)
    [hold] = bench.authority.holds.all()
    assert (hold.what, hold.source, hold.reason) == (EVERYTHING, "panic", "")
    with pytest.raises(Refused):
        await act_as_instance(bench)


@pytest.mark.requirement("STOP-06")
async def test_a_place_that_cannot_be_looked_at_counts_as_pressed(tmp_path, monkeypatch):
    bench = await bench_to_hold()

    def failing(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("pathlib.Path.lstat", failing)
    found = pressed(tmp_path)
    monkeypatch.undo()
    assert found is not None
    await bench_held(bench, tmp_path, found)


async def bench_held(bench, directory_, found):
    from answerable.flows.containment.trigger_emergency_stop import trigger_emergency_stop

    assert await trigger_emergency_stop(*to_hold(bench.walk), found) is not None
    with pytest.raises(Refused):
        await act_as_instance(bench)


@pytest.mark.requirement("STOP-06")
def test_it_is_written_whole_for_its_owner_alone_and_writes_through_no_link(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("mine")
    house = tmp_path / "house"
    house.mkdir()
    (house / FILE).symlink_to(outside)
    pressed_now(house, "now")
    assert outside.read_text() == "mine"
    found = (house / FILE).lstat()
    assert stat.S_ISREG(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert [one.name for one in house.iterdir()] == [FILE]


@pytest.mark.requirement("STOP-06")
def test_on_a_disk_without_room_what_was_kept_ready_is_taken_and_then_a_name_alone(tmp_path, monkeypatch):
    keep_ready(tmp_path, ENTROPY)
    keep_ready(tmp_path, ENTROPY)
    kept = (tmp_path / READY).read_bytes()

    def full(_descriptor, _text):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert press(tmp_path, reason="", entropy=ENTROPY) == "taken from what was kept ready"
    assert (tmp_path / FILE).read_bytes() == kept
    first = pressed(tmp_path)
    seen = {first.id}
    # Nothing is ready any more: what is there is emptied, and each press is another one.
    for _ in range(3):
        assert press(tmp_path, reason="", entropy=ENTROPY) == "written empty"
        seen.add(pressed(tmp_path).id)
    assert len(seen) == 4
    assert [one.name for one in tmp_path.iterdir()] == [FILE]


@pytest.mark.requirement("STOP-06")
def test_a_press_that_cannot_be_made_says_so_and_makes_no_directory(tmp_path):
    with pytest.raises(Unavailable) as raised:
        press(tmp_path / "nowhere", reason="", entropy=ENTROPY)
    assert raised.value.code == "panic.no_data"
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(Malformed):
        press(tmp_path, reason="two\nlines", entropy=ENTROPY)
    assert not list(tmp_path.iterdir())


@pytest.mark.requirement("STOP-06")
async def test_a_server_that_cannot_hold_everything_neither_starts_nor_goes_on(tmp_path, monkeypatch):
    bench = await bench_to_hold()
    pressed_now(tmp_path)

    def failing(_):
        raise Unavailable("no room", code="register.unavailable", port="hold_register")

    monkeypatch.setattr(bench.authority.holds, "place", failing)
    for run in (hold_if_pressed, following_panic):
        with pytest.raises(Unavailable) as raised:
            await run(*to_hold(bench.walk), tmp_path, None)
        assert raised.value.code == "panic.not_held"


@pytest.mark.requirement("STOP-06")
async def test_it_holds_with_the_ledger_full_and_is_written_down_when_there_is_room(tmp_path, monkeypatch):
    bench = await bench_to_hold()
    pressed_now(tmp_path)
    submit = bench.recorder.ledger.submit

    def full(entry):
        raise Unavailable("full", code="ledger.full", port="ledger")

    monkeypatch.setattr(bench.recorder.ledger, "submit", full)
    await hold_if_pressed(*to_hold(bench.walk), tmp_path, None)
    assert bench.authority.holds.find((EVERYTHING,), bench.clock.now()) is not None
    assert len(bench.authority.holds.unrecorded()) == 1
    monkeypatch.setattr(bench.recorder.ledger, "submit", submit)


@pytest.mark.requirement("STOP-07")
async def test_a_press_whose_hold_a_crash_forgot_has_the_same_hold_again_and_another_press_another_one(
    tmp_path,
):
    pressed_now(tmp_path)
    placed = []
    for _ in range(2):
        # The second one starts without what the disk did not take of the first.
        bench = await bench_to_hold(entropy=ENTROPY)
        await hold_if_pressed(*to_hold(bench.walk), tmp_path, None)
        placed += [one.id for one in bench.authority.holds.all()]
    assert len(placed) == 2
    assert len({*placed, pressed_now(tmp_path).hold}) == 2


@pytest.mark.requirement("STOP-07")
async def test_two_servers_that_see_one_press_place_one_hold(tmp_path):
    bench = await bench_to_hold()
    pressed_now(tmp_path)
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(hold_if_pressed, *to_hold(bench.walk), tmp_path, None)
    assert len(list(bench.authority.holds.all())) == 1


@pytest.mark.requirement("STOP-06")
async def test_another_hold_on_everything_does_not_stand_in_for_the_press(tmp_path, monkeypatch):
    bench = await bench_to_hold()
    await place_hold(*to_hold(bench.walk), EVERYTHING, by="alice", expires_at=bench.clock.now() + 60_000)
    pressed_now(tmp_path)

    def failing(_):
        raise Unavailable("no room", code="register.unavailable", port="hold_register")

    with monkeypatch.context() as broken:
        broken.setattr(bench.authority.holds, "place", failing)
        with pytest.raises(Unavailable) as raised:
            await hold_if_pressed(*to_hold(bench.walk), tmp_path, None)
    assert raised.value.code == "panic.not_held"
    await hold_if_pressed(*to_hold(bench.walk), tmp_path, None)
    bench.clock.advance(61)
    with pytest.raises(Refused):
        await act_as_instance(bench)


@pytest.mark.requirement("STOP-07")
async def test_whoever_touches_a_press_that_was_lifted_presses_again_and_who_copies_it_with_its_time_does_not(
    tmp_path,
):
    bench = await bench_to_hold()
    pressed_now(tmp_path, "it deletes mail")
    place = tmp_path / FILE
    before = place.stat()
    for _ in range(2):
        await hold_if_pressed(*to_hold(bench.walk), tmp_path, None)
    [hold] = bench.authority.holds.all()
    assert (await lift(bench, await lift(bench, hold, "bob"), "carol")).lifted_at

    text = place.read_bytes()
    place.unlink()
    place.write_bytes(text)
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    await hold_if_pressed(*to_hold(bench.walk), tmp_path, None)
    assert bench.authority.holds.find((EVERYTHING,), bench.clock.now()) is None

    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    await hold_if_pressed(*to_hold(bench.walk), tmp_path, None)
    again = bench.authority.holds.find((EVERYTHING,), bench.clock.now())
    assert again is not None
    assert again.reason == "it deletes mail"


@pytest.mark.requirement("STOP-07")
@pytest.mark.parametrize(("later_ms", "holds"), [(0, False), (1, True)])
async def test_a_press_that_an_earlier_release_held_is_the_same_one_until_it_is_touched(
    tmp_path, later_ms, holds
):
    bench = await bench_to_hold()
    found = pressed_now(tmp_path)
    assert found.told
    hold = (
        await place_hold(*to_hold(bench.walk), EVERYTHING, by=found.by, source="panic", rule=found.told)
    ).hold
    assert (await lift(bench, await lift(bench, hold, "bob"), "carol")).lifted_at
    written_ns = (hold.at + later_ms) * 1_000_000
    os.utime(tmp_path / FILE, ns=(written_ns, written_ns))
    await hold_if_pressed(*to_hold(bench.walk), tmp_path, None)
    assert (bench.authority.holds.find((EVERYTHING,), bench.clock.now()) is not None) is holds
