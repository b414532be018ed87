"""The product as it is put together shows an intent to its own witness, a process beside it, when policy wants that."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest

from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.note import Note
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.builders import bench_documents
from answerable.wiring.assemble import assembled
from answerable.wiring.kept_process import KeptProcess
from answerable.wiring.settings import load_settings
from tests.worlds.parts import to_apply

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("OBL-08")]


async def test_an_entry_is_cosigned_by_the_local_witness_before_it_counts_as_seen() -> None:
    # A short path, for sockets have short names.
    with TemporaryDirectory(prefix="seen-") as folder:
        settings = load_settings(Path(folder))
        async with assembled(settings) as product, anyio.create_task_group() as tasks:
            await apply_registry(*to_apply(product.walk), bench_documents(), by="operator")
            newest = product.ledger.size - 1
            assert product.walk.recorder.witness is not None
            assert not await product.walk.recorder.witness.covers(newest, seconds_max=0.5), (
                "no witness runs yet"
            )
            start = (sys.executable, "-m", "answerable.main", "--data", folder, "witness", "serve")
            witness = KeptProcess(
                name="witness",
                command=(*start, "--log", product.log_key),
                socket=settings.local_witness.socket,
            )
            tasks.start_soon(witness.run)
            with anyio.fail_after(60):
                await witness.answering()
                assert await product.walk.recorder.witness.covers(newest, seconds_max=60)
            cosigned = Note.parse((settings.ledger.place / "cosigned").read_bytes())
            assert Checkpoint.parse(cosigned.text).size > newest
            tasks.cancel_scope.cancel()


async def test_without_witnesses_in_the_settings_there_is_nobody_to_show_it_to(tmp_path: Path) -> None:
    (tmp_path / "answerable.toml").write_text("[witnesses]\nlocal = false\n")
    async with assembled(load_settings(tmp_path)) as product:
        assert product.walk.recorder.witness is None
