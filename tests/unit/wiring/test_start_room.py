"""What a start that finds no room says: which disk, and how much is left there."""

from __future__ import annotations

import errno
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.errors import Unavailable
from answerable.wiring.settings import load_settings
from answerable.wiring.start_room import make_product_directory, room_told

pytestmark = pytest.mark.requirement("FULLDISK-14")


def told(data: Path, failure: Exception) -> Unavailable:
    with pytest.raises(Unavailable) as raised, room_told(load_settings(data)):
        raise failure
    return raised.value


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_where_no_folder_can_be_made_the_room_left_on_its_disk_is_told(tmp_path: Path, number: int) -> None:
    found = told(tmp_path / "not/there", OSError(number, os.strerror(number)))
    assert found.code == "start.no_room"
    assert "Free space on the disk of" in found.message
    left = re.search(r"has (\d+) bytes left", found.message)
    assert left is not None
    # Others write to this disk, too.
    assert abs(int(left[1]) - shutil.disk_usage(tmp_path).free) < 2**30


@pytest.mark.requirement("CLI-11")
def test_a_place_where_no_folder_can_be_made_is_told_with_how_to_name_another(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        Unavailable, match="cannot be made: not a directory; name another with --data"
    ) as told:
        make_product_directory(replace(load_settings(tmp_path), data=tmp_path / "file" / "data"))
    assert told.value.code == "start.directory"


def test_a_full_segment_is_told_with_its_disk_whatever_is_left_there(tmp_path: Path) -> None:
    found = told(tmp_path, Unavailable("it takes no more", code="ledger.full", port="ledger"))
    assert (found.code, found.port) == ("ledger.full", "ledger")
    assert found.message.startswith("it takes no more. Free space on the disk of `")


def test_what_fails_on_a_disk_with_room_is_told_as_it_is(tmp_path: Path) -> None:
    failed = Unavailable("a port is taken", code="front.bind", port="front")
    assert told(tmp_path, failed) is failed
    with pytest.raises(PermissionError), room_told(load_settings(tmp_path)):
        raise PermissionError(errno.EACCES, "denied")
