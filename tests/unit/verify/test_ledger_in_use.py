"""A ledger whose server goes on writing while it is verified."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from answerable.testing.contracts.ledger import log_key
from answerable.verify import ledger_history
from answerable.verify.ledger_history import verify_ledger
from answerable.verify.log_signatures import read_signatures
from answerable.verify.tiles import listed_tiles
from tests.worlds.ledger import BEGIN, KEY, sealed_story
from tests.worlds.ledger_files import grown, small_log


@pytest.mark.requirement("SEAM-11")
def test_a_log_that_is_sealed_while_it_is_read_is_not_called_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server seals between the verifier's looks at two files."""
    sealed_story(tmp_path, seals=(BEGIN + 2,), tiles=False)

    def read_and_sealed_meanwhile(*asked: Any) -> Any:
        found = read_signatures(*asked)
        sealed_story(tmp_path, tiles=False)
        return found

    monkeypatch.setattr(ledger_history, "read_signatures", read_and_sealed_meanwhile)
    report = verify_ledger(tmp_path, key=KEY)
    assert (report.status, report.findings) == ("valid_but", ())


async def verified(tmp_path: Path) -> Any:
    return await anyio.to_thread.run_sync(partial(verify_ledger, tmp_path, key=log_key()[0]))


@pytest.mark.anyio
@pytest.mark.requirement("SEAM-14")
@pytest.mark.parametrize(("size", "then"), [(200, 300), (300, 520)])
async def test_a_tile_that_became_full_since_it_was_listed_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, then: int
) -> None:
    """The server removes partial tiles between the verifier's looks at the list of them and at them."""
    ledger = small_log(tmp_path)
    await grown(ledger, size)
    ledger.seal()

    def listed_and_grown_meanwhile(*asked: Any) -> Any:
        found = listed_tiles(*asked)
        anyio.from_thread.run(grown, ledger, then)
        anyio.from_thread.run_sync(ledger.seal)
        return found

    monkeypatch.setattr(ledger_history, "listed_tiles", listed_and_grown_meanwhile)
    report = await verified(tmp_path)
    assert report.findings == ()
    monkeypatch.undo()
    await ledger.close()
    assert (await verified(tmp_path)).findings == ()


@pytest.mark.anyio
@pytest.mark.requirement("SEAM-14")
async def test_a_log_that_is_verified_all_the_time_while_it_grows_is_never_called_wrong(
    tmp_path: Path,
) -> None:
    ledger = small_log(tmp_path)
    reports: list[Any] = []
    async with anyio.create_task_group() as tasks:

        async def verifying() -> None:
            while True:
                reports.append(await verified(tmp_path))

        tasks.start_soon(verifying)
        for size in range(40, 3_000, 40):
            await grown(ledger, size)
            ledger.seal()
        tasks.cancel_scope.cancel()
    assert reports
    # That a checkpoint was just being written may be told, and is nothing wrong.
    assert [one for report in reports for one in report.findings if one.severity == "error"] == []
    await ledger.close()
