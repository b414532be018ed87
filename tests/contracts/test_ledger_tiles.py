"""The tree as strangers get it: tiles, checkpoints, cosigned checkpoints and proofs, and what is never signed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from answerable.adapters.tlog_files.tiles import TileFiles
from answerable.core.canonical import parse
from answerable.core.ledger.codec import FRAME_HEADER_BYTES, chained, decode_frame, frame_header
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import leaf_hash, verify_consistency
from answerable.core.tlog.proof import TlogProof
from answerable.core.tlog.tile import (
    TileName,
    decode_bundle,
    parse_tile_path,
    tiles_of,
    verified_hash_reader,
)
from answerable.errors import Broken, Malformed, Unavailable
from answerable.plain_file import read_plain
from answerable.testing.contracts.ledger import ORIGIN, log_key, refusal_entry
from answerable.verify.ledger_history import verify_ledger
from tests.worlds.ledger_files import SMALL, checkpoint_of, grown, small_log


def there(directory: Path) -> dict[TileName, bytes]:
    """Every file below `tile`, all of which must be tiles."""
    found: dict[TileName, bytes] = {}
    for path in (directory / "tile").rglob("*"):
        if path.is_file():
            name = parse_tile_path(str(path.relative_to(directory)))
            assert name is not None, path
            found[name] = path.read_bytes()
    return found


def flipped(path: Path, at: int = 5) -> bytes:
    """Change one bit of a file; returns what was there."""
    before = path.read_bytes()
    path.write_bytes(before[:at] + bytes([before[at] ^ 4]) + before[at + 1 :])
    return before


def signing(texts: list[bytes]) -> Callable[[bytes], bytes]:
    _, sign = log_key()

    def noted(text: bytes) -> bytes:
        texts.append(text)
        return sign(text)

    return noted


@pytest.mark.requirement("LEDGER-10")
def test_every_checkpoint_has_its_tiles_and_they_lead_to_its_root(tmp_path: Path) -> None:
    async def run() -> None:
        async with small_log(tmp_path / "log") as ledger:
            seen: set[TileName] = set()
            for size in (1, 2, 200, 256, 257, 300, 511, 513, 900):
                await grown(ledger, size)
                ledger.seal()
                tiles, checkpoint = there(tmp_path / "log"), checkpoint_of(ledger)
                assert checkpoint.size == size
                assert set(tiles_of(size)) <= tiles.keys()
                # Widths that an earlier checkpoint needs stay, as C2SP asks, until the full tile is there.
                seen |= set(tiles_of(size))
                full = {(name.level, name.index) for name in tiles if name.width == 256}
                assert {
                    name for name in seen if name.width == 256 or (name.level, name.index) not in full
                } == {*tiles}
                hash_at = verified_hash_reader(size, checkpoint.root, tiles.__getitem__)
                stored = list(ledger.replay())
                assert [hash_at(0, one.index) for one in stored] == [one.leaf_hash for one in stored]
                for name, content in tiles.items():
                    if name.level is None:
                        first = name.index * 256
                        leaves = [one.leaf for one in stored[first : first + name.width]]
                        assert decode_bundle(content, count=name.width) == leaves
            assert not list((tmp_path / "log/tile.new").iterdir())

    asyncio.run(run())
    report = verify_ledger(tmp_path / "log", key=log_key()[0])
    assert (report.errors, report.warnings) == (0, 0), report.as_lines()


@pytest.mark.requirement("LEDGER-10")
def test_a_long_stretch_is_published_in_portions_while_the_loop_goes_on(tmp_path: Path) -> None:
    portions: list[int] = []

    class Counted(TileFiles):
        def write(self, contents):
            portions.append(len(contents))
            super().write(contents)

    async def run() -> None:
        async with small_log(tmp_path / "log") as ledger:
            await grown(ledger, 12_000)
            ledger._tiles = Counted(tmp_path / "log")
            sealing, turns = asyncio.ensure_future(ledger.seal_every(0)), 0
            while checkpoint_of(ledger).size < 12_000:
                await asyncio.sleep(0)
                turns += 1
            sealing.cancel()
            assert turns > 12_000 / SMALL.seal_slice_entries
            assert set(tiles_of(12_000)) <= there(tmp_path / "log").keys()

    asyncio.run(run())
    assert len(portions) > 1
    assert max(portions) <= 64


@pytest.mark.requirement("LEDGER-10")
@pytest.mark.parametrize("name", ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"])
def test_a_flipped_bit_in_a_tile_that_the_tree_goes_on_from_stops_the_signing(
    tmp_path: Path, name: str
) -> None:
    async def run() -> None:
        ledger = small_log(tmp_path / "log")
        await grown(ledger, 300)
        ledger.seal()
        texts: list[bytes] = []
        object.__setattr__(ledger._signer, "sign", signing(texts))
        flipped(tmp_path / "log" / name)
        await ledger.append(refusal_entry(1))
        with pytest.raises(Broken) as refused:
            ledger.seal()
        assert refused.value.code in ("ledger.corrupt", "ledger.root_mismatch")
        with pytest.raises(Unavailable) as poisoned:
            await ledger.append(refusal_entry(2))
        assert poisoned.value.code == "ledger.poisoned"
        await ledger.close()
        assert texts == []
        # The tile is derived: the next opening makes it anew, from segments that still hash to what was signed.
        async with small_log(tmp_path / "log") as again:
            assert checkpoint_of(again).size == again.size == 302

    asyncio.run(run())
    report = verify_ledger(tmp_path / "log", key=log_key()[0])
    assert (report.errors, report.warnings) == (0, 0), report.as_lines()


@pytest.mark.requirement("LEDGER-10")
@pytest.mark.parametrize("level", [None, 0, 1])
def test_a_bit_that_flips_while_a_tile_is_written_stops_the_signing(
    tmp_path: Path, level: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = TileFiles._settle

    def damaging(self, finished):
        flipped(next(path for path, name in finished if name.level == level))
        settle(self, finished)

    async def run() -> None:
        ledger = small_log(tmp_path / "log")
        await grown(ledger, 256)
        before = ledger.checkpoint
        monkeypatch.setattr(TileFiles, "_settle", damaging)
        with pytest.raises(Broken) as refused:
            ledger.seal()
        assert "tile/" in refused.value.message
        monkeypatch.setattr(TileFiles, "_settle", settle)
        assert ledger.checkpoint == before
        await ledger.close()

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-10")
def test_an_entry_forged_between_log_and_sealer_is_not_signed(tmp_path: Path) -> None:
    """The forger redoes every checksum and the chain; what was acknowledged was another chain value."""

    async def run() -> None:
        ledger = small_log(tmp_path / "log")
        await ledger.append(refusal_entry(1))
        segment = next((tmp_path / "log/wal").glob("*.wal"))
        content = bytearray(segment.read_bytes())
        start, other = content.rindex(b"\xf5ENT"), refusal_entry(2)
        before = content[content.index(b"\xf5ENT") + 32 :][:32]
        chain = chained(bytes(before), leaf_hash(other.leaf))
        frame = frame_header(other.leaf, other.attachment, chain=chain, batch=1) + other.leaf
        content[start : start + len(frame) + len(other.attachment)] = frame + other.attachment
        segment.write_bytes(content)
        with pytest.raises(Broken) as refused:
            ledger.seal()
        assert "not those acknowledged" in refused.value.message
        await ledger.close()

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-16")
def test_proofs_come_from_a_few_tiles_and_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, read, reads = log_key()[0], TileFiles.read, 0

    def counted(self: TileFiles, name: TileName) -> bytes:
        nonlocal reads
        reads += 1
        return read(self, name)

    async def run() -> None:
        nonlocal reads
        async with small_log(tmp_path / "log") as ledger:
            roots: dict[int, bytes] = {}
            for size in (1, 2, 255, 256, 257, 700, 1_500):
                await grown(ledger, size)
                ledger.seal()
                roots[size] = checkpoint_of(ledger).root
            monkeypatch.setattr(TileFiles, "read", counted)
            stored = list(ledger.replay())
            for index in (0, 1, 255, 256, 700, 1_499):
                reads = 0
                proof = TlogProof.parse(ledger.inclusion_proof(index).encode())
                assert reads <= 4
                proof.verify(leaf=stored[index].leaf_hash, origin=ORIGIN, log_keys=(key,))
            for old in roots:
                for new in (size for size in roots if size >= old):
                    reads = 0
                    proof_hashes = ledger.consistency_proof(old, new)
                    assert reads <= 4
                    verify_consistency(
                        old_size=old,
                        new_size=new,
                        old_root=roots[old],
                        new_root=roots[new],
                        proof=proof_hashes,
                    )
            await ledger.append(refusal_entry(1))
            for old, new in ((1, 1_501), (5, 2), (-1, 5)):
                with pytest.raises(Malformed):
                    ledger.consistency_proof(old, new)
            for index in (1_500, -1):
                with pytest.raises(Malformed):
                    ledger.inclusion_proof(index)

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-16")
def test_a_sealed_entry_that_was_forged_is_not_handed_out_by_itself(tmp_path: Path) -> None:
    """Checksum and chain of the frame are redone: only the tree tells."""

    async def run() -> None:
        async with small_log(tmp_path / "log") as ledger:
            await grown(ledger, 10)
            ledger.seal()
            path, true = next((tmp_path / "log/wal").glob("*.wal")), ledger.entry(4)
            content = path.read_bytes()
            start = content.index(true.leaf) - FRAME_HEADER_BYTES
            frame = decode_frame(content, start)
            assert frame is not None
            leaf = true.leaf.replace(b"scout", b"spout")
            header = frame_header(leaf, true.attachment, chain=frame.chain, batch=frame.batch)
            path.write_bytes(content[:start] + header + leaf + content[start + len(header + leaf) :])
            with pytest.raises(Broken) as refused:
                ledger.entry(4)
            assert "entry 4" in refused.value.message
            assert ledger.entry(5)

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-16")
def test_no_proof_is_handed_out_from_a_tile_that_is_damaged_or_gone(tmp_path: Path) -> None:
    async def run() -> None:
        async with small_log(tmp_path / "log") as ledger:
            await grown(ledger, 1_000)
            ledger.seal()
            tile = tmp_path / "log/tile/0/001"
            before = flipped(tile, 100)
            with pytest.raises(Broken) as refused:
                ledger.inclusion_proof(300)
            assert "tile/0/001" in refused.value.message
            with pytest.raises(Broken):
                ledger.consistency_proof(300, 1_000)
            assert ledger.inclusion_proof(600), "others are not concerned"
            tile.unlink()
            with pytest.raises(Broken):
                ledger.inclusion_proof(300)
            tile.write_bytes(before)
            assert ledger.inclusion_proof(300)

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-10")
def test_a_faster_seal_takes_no_partial_tile_away_before_it_was_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tile.new").mkdir()
    tiles, partial = TileFiles(tmp_path), TileName(level=0, index=0, width=3)
    removals: list[threading.Thread] = []

    def meanwhile(path: Path) -> bytes:
        """The full tile is there, and the other seal removes its partial ones while this one looks at its own."""
        if not removals:
            removals.append(
                threading.Thread(target=tiles.drop_partials, args=([TileName(level=0, index=0)],))
            )
            removals[0].start()
            removals[0].join(0.1)
        return read_plain(path)

    monkeypatch.setattr("answerable.adapters.tlog_files.tiles.read_plain", meanwhile)
    tiles.write([(partial, bytes(96))])
    removals[0].join()
    assert not (tmp_path / partial.path).exists()


@pytest.mark.requirement("LEDGER-26")
@pytest.mark.parametrize("change", ["flipped", "short", "gone"])
@pytest.mark.parametrize("name", ["tile/1/000.p/1", "tile/0/001.p/44", "tile/entries/001.p/44"])
def test_a_damaged_tile_that_is_made_again_is_kept_and_an_entry_and_a_warning_tell_of_it_once(
    tmp_path: Path, name: str, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    log, path = tmp_path / "log", tmp_path / "log" / name

    async def run() -> None:
        async with small_log(log) as ledger:
            await grown(ledger, 300)
            ledger.seal()
        whole = path.read_bytes()
        wrong = {"flipped": bytes([whole[0] ^ 1]) + whole[1:], "short": whole[:-1]}.get(change)
        path.unlink()
        if wrong is not None:
            path.write_bytes(wrong)
        for _ in range(2):
            async with small_log(log) as ledger:
                stored = [one for one in ledger.replay() if one.tag == Tag.RECOVERY]
                assert [parse(one.leaf)["tiles_damaged"] for one in stored] == [True]
                assert ledger.size == 301
            kept = {one.name: one.read_bytes() for one in log.glob("tile.damaged/*")}
            assert kept == ({} if wrong is None else {f"{name.replace('/', '-')}.1": wrong})
            assert path.read_bytes() == whole
        assert not verify_ledger(log).errors
        assert sum("tile.damaged" in one.message for one in caplog.records) == 1

    asyncio.run(run())
