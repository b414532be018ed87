"""The server's side of the process that answers searches, with programs in its place that do not answer."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from answerable.errors import Unavailable
from answerable.wiring import search_side
from answerable.wiring.search_settings import SearchSettings
from answerable.wiring.search_side import SearchSide

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SEARCH-08")]


def side(place: Path, **settings: object) -> SearchSide:
    wanted = SearchSettings(socket=place / "search.sock", **settings)
    return SearchSide(wanted, SimpleNamespace(size=999))


async def refused(one: SearchSide) -> str:
    with pytest.raises(Unavailable) as told:
        await one.search(("agent:x",), limit=1, cursor="")
    return told.value.code


async def test_without_a_server_or_where_it_is_turned_off_no_process_is_asked(tmp_path: Path) -> None:
    for one, command in ((side(tmp_path), ()), (side(tmp_path, enabled=False), ("false",))):
        await one.kept(command)
        assert await refused(one) == "search.off"
        assert await one.told() == ("off", 0, "")


async def test_the_first_question_starts_it_and_one_that_does_not_come_up_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_side, "START_SECONDS_MAX", 0.5)
    one = side(tmp_path)
    async with anyio.create_task_group() as beside:
        beside.start_soon(one.kept, ("sh", "-c", "exit 3"))
        await anyio.wait_all_tasks_blocked()
        assert await one.told() == ("waiting", 0, "")
        assert await refused(one) == "search.down"
        state, entries, reason = await one.told()
        assert (state, entries) == ("alarm", 0)
        assert "cannot be reached; it ended" in reason
        beside.cancel_scope.cancel()


async def test_a_long_ledger_starts_it_and_it_is_told_how_far_the_ledger_goes(tmp_path: Path) -> None:
    one = side(tmp_path, start_entries=999)
    async with anyio.create_task_group() as beside:
        beside.start_soon(one.kept, ("sh", "-c", f"read size; echo $size > {tmp_path}/told; cat"))
        await anyio.run_process(["sh", "-c", f"until [ -s {tmp_path}/told ]; do sleep 0.01; done"])
        beside.cancel_scope.cancel()
    assert (tmp_path / "told").read_text() == "999\n"
