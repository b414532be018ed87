"""The reason of a press on a disk without room, and whatever is kept ready for it."""

from __future__ import annotations

import errno
import os

import pytest

from answerable.adapters.panic_file import keep_ready, press, pressed
from answerable.adapters.system import SystemEntropy
from answerable.core.containment.press import ID_BYTES, READY, pressed_text
from answerable.wiring.stops import hold_if_pressed
from tests.probes.full_disk import fill, small_disk
from tests.worlds.hold import bench_to_hold
from tests.worlds.parts import to_hold

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("STOP-13")]
ENTROPY = SystemEntropy()


async def test_on_a_disk_without_a_byte_a_press_keeps_its_reason_and_its_hold_has_it(tmp_path):
    reason = "the keys are out, and “rover” reads mail 🛑" + " again" * 70
    with small_disk(tmp_path / "disk", mebibytes=2) as disk:
        keep_ready(disk, ENTROPY)
        fill(disk)
        assert press(disk, reason=reason, entropy=ENTROPY) == "taken from what was kept ready"
        found = pressed(disk)
        assert found.reason == reason
        bench = await bench_to_hold()
        await hold_if_pressed(*to_hold(bench.walk), disk, None)
        assert [one.reason for one in bench.authority.holds.all()] == [reason]
        # Nothing is ready any more.
        assert press(disk, reason=reason, entropy=ENTROPY) == "written empty"
        assert pressed(disk).reason == ""


@pytest.mark.parametrize("odd", ["short", "a pipe", "a link", "a directory"])
def test_whatever_is_kept_ready_is_neither_waited_for_nor_written_through(tmp_path, monkeypatch, odd):
    outside, ready = tmp_path / "outside", tmp_path / "house" / READY
    ready.parent.mkdir()
    outside.write_bytes(b"mine".ljust(5_000))
    match odd:
        case "short":
            ready.write_bytes(pressed_text(bytes(ID_BYTES), ""))
        case "a pipe":
            os.mkfifo(ready)
        case "a link":
            ready.symlink_to(outside)
        case "a directory":
            ready.mkdir()

    def full(_text, _place, *, draft):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("answerable.adapters.panic_file.file._put", full)
    press(ready.parent, reason="now", entropy=ENTROPY)
    assert pressed(ready.parent) is not None
    assert outside.read_bytes() == b"mine".ljust(5_000)
