"""Searches of a ledger's files while its process writes them."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import anyio.to_thread
import pytest

from answerable.adapters.local_keys import open_or_create_secret
from answerable.adapters.sqlite import SqliteSubjectKeys
from answerable.adapters.system import SystemEntropy
from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.core.search.query import parsed_query
from answerable.testing.builders import Bench
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import log_key
from answerable.testing.samples import AUDIENCE
from answerable.wiring.ledger_search import places_of_copy, searching
from tests.system.test_attributed_nothing import recorded
from tests.worlds.ledger_files import SMALL


@pytest.mark.requirement("SEARCH-06")
def test_beside_a_process_that_writes_each_answer_is_a_beginning_of_the_whole(tmp_path: Path) -> None:
    async def lived() -> list[tuple[int, int]]:
        key, sign = log_key(AUDIENCE)
        entropy = SystemEntropy()
        root = open_or_create_secret(tmp_path / "keys" / "subjects.key", count=32, entropy=entropy)
        keys = SqliteSubjectKeys.open(tmp_path / "subject-keys.db", root=root, entropy=entropy)
        ledger = TlogFilesLedger.open(
            tmp_path / "ledger", key=key, sign=sign, clock=ManualClock(), settings=SMALL
        )
        found: list[tuple[int, int]] = []
        over = False
        places = places_of_copy(tmp_path / "ledger", tmp_path, tmp_path / "index")

        def search() -> None:
            with searching(places) as one:
                page = one.teller().search(parsed_query(["resource:4711"], now=0), limit=1_000, after=None)
                found.append((page.entries, len(page.hits)))

        async def searched() -> None:
            while not over:
                await anyio.to_thread.run_sync(search)

        async with ledger:
            bench = await Bench(ledger=ledger, subject_keys=keys).registered()
            await bench.issue(calls_max=1_000)
            other = asyncio.create_task(searched())
            for number in range(300):
                await bench.act()
                if number % 20 == 0:
                    ledger.seal()
            over = True
            await other
            await anyio.to_thread.run_sync(search)
        keys.close()
        return found

    found = asyncio.run(lived())
    assert found == sorted(found)
    assert found[-1][1] == 300
    assert len(found) > 2


@pytest.mark.requirement("SEARCH-06")
def test_a_search_that_keeps_no_index_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passing = tmp_path / "passing"
    passing.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(passing))
    asyncio.run(recorded(tmp_path / "ledger"))
    with searching(places_of_copy(tmp_path / "ledger", None, None)) as found:
        assert found.index.position().entries == found.log.size > 0
        assert [*passing.iterdir()]
    assert not [*passing.iterdir()]
