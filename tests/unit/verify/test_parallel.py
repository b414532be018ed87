"""Work shared between processes: what it yields, what it raises, and who is left afterwards."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from answerable.errors import Unavailable
from answerable.verify.parallel import in_order

pytestmark = pytest.mark.requirement("LEDGER-40")


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_tasks_and_a_file_that_cannot_be_read_ends_them(
    tmp_path: Path, processes: int
) -> None:
    files = [tmp_path / str(size) for size in range(5)]
    for size, file in enumerate(files):
        file.write_bytes(bytes(size))
    assert [*in_order(os.path.getsize, files, processes=processes)] == [0, 1, 2, 3, 4]
    files[3].unlink()
    with pytest.raises(FileNotFoundError):
        [*in_order(os.path.getsize, files, processes=processes)]
    assert multiprocessing.active_children() == []


def test_a_process_that_ends_before_its_result_is_said_to_have_ended() -> None:
    with pytest.raises(Unavailable) as caught:
        next(in_order(os._exit, [0, 0], processes=2))
    assert caught.value.code == "verify.process"
    assert multiprocessing.active_children() == []
