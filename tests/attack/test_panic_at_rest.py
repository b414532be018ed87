"""A server that the system tells of a press does not look for one; one that it would not tell everything does."""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from answerable.adapters import panic_file
from answerable.adapters.panic_file import keep_ready, press, watch
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.containment.hold import EVERYTHING
from answerable.core.containment.press import FILE, READY
from answerable.flows.containment.trigger_emergency_stop import trigger_emergency_stop
from answerable.testing.builders import Bench
from answerable.testing.clock import ManualClock
from answerable.wiring import stops
from answerable.wiring.stops import following_panic, hold_if_pressed
from tests.worlds.gateway import until
from tests.worlds.hold import bench_to_hold, lift
from tests.worlds.parts import to_hold

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HOUSE-32")]
TURNS = 50
"""In which who is not told would look as often."""
linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify(7) is of Linux: NOT PROVEN here")


def file_of_the_product(directory: Path) -> None:
    press(directory, reason="", entropy=SystemEntropy())


def made_empty(directory: Path) -> None:
    (directory / FILE).touch()


def renamed_into_place(directory: Path) -> None:
    (directory / READY).write_bytes(b"{}")
    (directory / READY).rename(directory / FILE)


def linked(directory: Path) -> None:
    (directory / "other").write_bytes(b"stop")
    os.link(directory / "other", directory / FILE)


def symbolic_link(directory: Path) -> None:
    (directory / FILE).symlink_to("nowhere")


def folder(directory: Path) -> None:
    (directory / FILE).mkdir()


WAYS = (file_of_the_product, made_empty, renamed_into_place, linked, symbolic_link, folder)


@asynccontextmanager
async def following(bench: Bench, directory: Path, looks: list[int]) -> AsyncIterator[Callable[[], bool]]:
    """Who follows, without a second line: what it is not told it never sees while it is told at all."""

    def held() -> bool:
        return bench.authority.holds.find((EVERYTHING,), bench.clock.now()) is not None

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            partial(following_panic, *to_hold(bench.walk), directory, None, rest_seconds=math.inf)
        )
        await until(lambda: looks, seconds=60)
        assert not held()
        yield held
        tasks.cancel_scope.cancel()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    seen: list[int] = []
    pressed = panic_file.pressed

    def counted(directory: Path) -> Any:
        seen.append(1)
        return pressed(directory)

    monkeypatch.setattr(panic_file, "pressed", counted)
    return seen


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever file system the tests are on: all that changes here changes through this kernel."""
    monkeypatch.setattr(watch, "OWN_FILE_SYSTEMS", _Any())


class _Any(frozenset[int]):
    def __contains__(self, _: object) -> bool:
        return True


@linux
@pytest.mark.parametrize("way", WAYS)
async def test_a_press_is_told_and_nobody_looks_before(tmp_path, looks, told, way, monkeypatch):
    bench = await bench_to_hold()
    monkeypatch.setattr(stops, "LOOK_SECONDS", 0.001)
    async with following(bench, tmp_path, looks) as held:
        for _ in range(TURNS):
            await anyio.sleep(0.001)
        assert len(looks) == 1
        way(tmp_path)
        await until(held, seconds=60)


def linked_again(directory: Path) -> None:
    os.link(directory / READY, directory / FILE)


def gone_at_once(directory: Path) -> None:
    (directory / FILE).touch()
    (directory / FILE).unlink()


@linux
@pytest.mark.parametrize("way", [linked_again, gone_at_once])
async def test_a_press_that_a_look_would_not_see_holds_all_the_same(tmp_path, looks, told, way):
    bench = await bench_to_hold(clock=ManualClock(SystemClock().now()))
    keep_ready(tmp_path, SystemEntropy())
    linked_again(tmp_path)
    await hold_if_pressed(*to_hold(bench.walk), tmp_path, None)
    [hold] = bench.authority.holds.all()
    await lift(bench, await lift(bench, hold, "bob"), "carol")
    (tmp_path / FILE).unlink()
    looks.clear()
    async with following(bench, tmp_path, looks) as held:
        bench.clock.advance(60)
        way(tmp_path)
        await until(held, seconds=60)


@linux
@pytest.mark.parametrize("way", WAYS)
async def test_a_press_that_is_told_and_seen_has_one_hold(tmp_path, looks, told, way):
    # Later than any file of this test.
    bench = await bench_to_hold(clock=ManualClock(SystemClock().now() + 60_000))
    async with following(bench, tmp_path, looks) as held:
        way(tmp_path)
        await until(held, seconds=60)
        seen = len(looks)
        await until(lambda: len(looks) > seen + 2, seconds=60)
    assert len(list(bench.authority.holds.all())) == 1


@linux
async def test_a_file_that_is_made_and_then_dated_has_one_hold(tmp_path, looks, told, monkeypatch):
    """`touch` makes the file and then sets its time, and a look may come in between."""
    bench = await bench_to_hold(clock=ManualClock(SystemClock().now() + 60_000))
    pressed, dated = panic_file.pressed, list[int]()

    def seen_before_it_is_dated(directory: Path) -> Any:
        found = pressed(directory)
        if found is not None and not dated:
            dated.append(1)
            os.utime(directory / FILE, ns=(1, 1))
        return found

    monkeypatch.setattr(panic_file, "pressed", seen_before_it_is_dated)
    async with following(bench, tmp_path, looks) as held:
        made_empty(tmp_path)
        await until(held, seconds=60)
        seen = len(looks)
        await until(lambda: len(looks) > seen + 2, seconds=60)
    assert len(list(bench.authority.holds.all())) == 1


@contextmanager
def making(directory: Path) -> Iterator[int]:
    """A `touch` that is held up between its steps: it creates the file, dates it, and closes it."""
    descriptor = os.open(directory / FILE, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def rules_of(bench: Bench) -> list[str]:
    return [one.rule for one in bench.authority.holds.all()]


async def looked_at(looks: list[int]) -> None:
    seen = len(looks)
    await until(lambda: len(looks) > seen + 2, seconds=60)


@linux
async def test_a_touch_that_is_held_up_has_one_hold_and_the_next_touch_one_more(tmp_path, looks, told):
    bench = await bench_to_hold(clock=ManualClock(SystemClock().now()))
    async with following(bench, tmp_path, looks) as held:
        with making(tmp_path) as file:
            await until(held, seconds=60)
            for _ in range(2):
                await looked_at(looks)
                os.utime(file)
        await looked_at(looks)
        assert len(rules_of(bench)) == 1
        (tmp_path / FILE).touch()
        await until(lambda: len(rules_of(bench)) == 2, seconds=60)
        await looked_at(looks)
        assert len(rules_of(bench)) == 2


@linux
async def test_a_file_that_is_dated_while_its_hold_is_placed_has_one_hold(tmp_path, looks, told, monkeypatch):
    bench = await bench_to_hold(clock=ManualClock(SystemClock().now()))

    async def dated_meanwhile(*parts: Any) -> Any:
        placed = await trigger_emergency_stop(*parts)
        if placed is not None:
            await anyio.sleep(0.02)
            os.utime(file)
        return placed

    monkeypatch.setattr(stops, "trigger_emergency_stop", dated_meanwhile)
    async with following(bench, tmp_path, looks) as held:
        with making(tmp_path) as file:
            await until(held, seconds=60)
            await looked_at(looks)
        await looked_at(looks)
    assert len(rules_of(bench)) == 1


@linux
async def test_a_touch_that_is_held_up_has_one_hold_where_several_processes_share_the_directory(
    tmp_path, looks, told, monkeypatch
):
    bench = await bench_to_hold(clock=ManualClock(SystemClock().now()))
    asked = list[int]()

    async def one_after_the_other(*parts: Any) -> Any:
        """The second process finds the hold of the first, and the file is dated before it looks any further."""
        asked.append(1)
        is_second = len(asked) == 2
        if is_second:
            await until(held, seconds=60)
        placed = await trigger_emergency_stop(*parts)
        if is_second:
            os.utime(file)
        return placed

    monkeypatch.setattr(stops, "trigger_emergency_stop", one_after_the_other)
    async with following(bench, tmp_path, looks), following(bench, tmp_path, looks) as held:
        await until(lambda: len(looks) == 2, seconds=60)
        with making(tmp_path) as file:
            await until(lambda: len(asked) == 2, seconds=60)
            await looked_at(looks)
            await looked_at(looks)
        await looked_at(looks)
        await looked_at(looks)
    assert len(rules_of(bench)) == 1


@linux
async def test_a_file_that_is_closed_without_a_date_is_pressed_again_by_a_touch(tmp_path, looks, told):
    bench = await bench_to_hold(clock=ManualClock(SystemClock().now()))
    async with following(bench, tmp_path, looks) as held:
        with making(tmp_path):
            await until(held, seconds=60)
            await looked_at(looks)
        os.utime(tmp_path / FILE)
        await until(lambda: len(rules_of(bench)) == 2, seconds=60)


@linux
async def test_a_link_that_nobody_closes_is_pressed_again_by_a_touch(tmp_path, looks, told):
    bench = await bench_to_hold(clock=ManualClock(SystemClock().now()))
    async with following(bench, tmp_path, looks) as held:
        linked(tmp_path)
        await until(held, seconds=60)
        await looked_at(looks)
        before = len(rules_of(bench))
        os.utime(tmp_path / FILE)
        await until(lambda: len(rules_of(bench)) == before + 1, seconds=60)


@linux
async def test_a_touch_that_ends_after_the_lift_of_its_hold_holds_again(tmp_path, looks, told):
    """Nobody can tell it from another press by then."""
    bench = await bench_to_hold(clock=ManualClock(SystemClock().now()))
    async with following(bench, tmp_path, looks) as held:
        with making(tmp_path) as file:
            await until(held, seconds=60)
            await looked_at(looks)
            [hold] = bench.authority.holds.all()
            await lift(bench, await lift(bench, hold, "bob"), "carol")
            assert not held()
            os.utime(file)
            await until(held, seconds=60)


@linux
async def test_a_file_that_is_gone_before_its_second_look_holds_all_the_same(
    tmp_path, looks, told, monkeypatch
):
    bench = await bench_to_hold(clock=ManualClock(SystemClock().now() + 60_000))
    pressed = panic_file.pressed

    def gone_once_it_is_seen(directory: Path) -> Any:
        found = pressed(directory)
        (directory / FILE).unlink(missing_ok=True)
        return found

    monkeypatch.setattr(panic_file, "pressed", gone_once_it_is_seen)
    monkeypatch.setattr(watch, "_of_press", lambda _: [])
    async with following(bench, tmp_path, looks) as held:
        made_empty(tmp_path)
        await until(held, seconds=60)


@linux
async def test_what_is_written_into_a_press_of_old_is_seen_as_before(tmp_path, looks, told):
    bench = await bench_to_hold()
    async with following(bench, tmp_path, looks) as held:
        made_empty(tmp_path)
        await until(held, seconds=60)
        seen = len(looks)
        await until(lambda: len(looks) > seen + 2, seconds=60)


@linux
async def test_a_directory_that_was_put_in_place_of_another_one_is_followed(tmp_path, looks, told):
    bench = await bench_to_hold()
    directory = tmp_path / "data"
    directory.mkdir()
    async with following(bench, directory, looks) as held:
        directory.rename(tmp_path / "away")
        directory.mkdir()
        file_of_the_product(directory)
        await until(held, seconds=60)


@pytest.mark.parametrize("lacks", ["a file system of its own", "a watch", "the call"])
async def test_who_would_not_be_told_everything_looks_as_often_as_ever(tmp_path, looks, monkeypatch, lacks):
    if lacks == "a file system of its own":
        monkeypatch.setattr(watch, "OWN_FILE_SYSTEMS", frozenset())
    else:
        monkeypatch.setattr(watch, "OWN_FILE_SYSTEMS", _Any())
        monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: _System(has=lacks == "a watch"))
    bench = await bench_to_hold()
    with closing(panic_file.PressWatch(tmp_path)) as one:
        assert not one.tells()
    async with following(bench, tmp_path, looks) as held:
        await until(lambda: len(looks) > 2, seconds=60)
        file_of_the_product(tmp_path)
        await until(held, seconds=60)


class _System:
    """A kernel without a watch left, or without any."""

    def __init__(self, *, has: bool) -> None:
        if has:
            self.inotify_init1 = lambda _: os.open(os.devnull, os.O_RDONLY)
            self.inotify_add_watch = lambda *_: -1

    def statfs(self, *_: object) -> int:
        """Some file system."""
        return 0
