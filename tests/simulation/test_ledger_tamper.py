"""A witnessed log in the hands of somebody hostile: no change of a byte or a file goes unnoticed.

The log is written by the real writer and cosigned with a real witness's key; the auditor has a policy file with the
log's key and the witness's. `HARMLESS` lists everything that may be done to the directory without an answer other than
`valid`, with the reason why it means nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from tests.probes.tampered_log import Region, laid, regions, sample, verdict
from tests.worlds.ledger_script import opened

pytestmark = pytest.mark.requirement("PROVE-04")

SEED = 20_261_124
NOT_READ = ("lock", "wal/spare")
"""The number of the process that had the log open, and zeros kept for a segment that is not begun: never part of it."""
HARMLESS = {
    ("taken away", "head"): "evidence of nothing: whoever opens the log without it reads all of it",
    ("taken away", "log.pub"): "the policy names the key",
    ("taken away", "tile/0/000.p/1"): "of a size that the log had before: the tile of the last size is there",
    ("taken away", "tile/0/000.p/6"): "the same",
    ("taken away", "tile/0/000.p/11"): "the same",
    ("taken away", "tile/entries/000.p/1"): "the same",
    ("taken away", "tile/entries/000.p/6"): "the same",
    ("taken away", "tile/entries/000.p/11"): "the same",
    ("doubled", "log.pub"): "the same key twice",
    ("a byte shorter", "wal/0000000000000000.wal"): "one zero less after the last entry",
    ("a byte shorter", "wal/000000000000000b.wal"): "one zero less after the last entry",
    ("a zero longer", "wal/0000000000000000.wal"): "one zero more after the last entry",
    ("a zero longer", "wal/000000000000000b.wal"): "one zero more after the last entry",
}
EARLIER_COSIGNER = "earlier cosigner"
"""Name and key id before a cosignature that is not the newest. Of somebody unknown, as such a change makes it, a
signature counts for nothing (C2SP signed-note); the newest cosigned checkpoint covers all that the earlier one did.
What is lost is one bound of times."""
PLACED = ("frame head", "leaf", "ciphertext", "bundle", "segment header", "unused zeros")
"""Of these the report names the entry or the bytes."""
PARTS = 12


def flip(directory: Path, files: dict[str, bytes], region: Region, at: int, value: int) -> str:
    """Change one byte, look, put it back. Returns why the answer is not good enough, or nothing."""
    content = files[region.file]
    path = directory / region.file
    path.write_bytes(content[:at] + bytes([content[at] ^ value]) + content[at + 1 :])
    report = verdict(directory)
    path.write_bytes(content)
    where = f"{region.kind}: byte {at} of {region.file}"
    if region.kind == EARLIER_COSIGNER and report.standing.witnessed == report.size:
        return ""
    if report.status == "valid":
        return f"{where} is valid"
    # Only after the last entry may what stands there look as if a power cut had left it.
    if report.status != "invalid" and region.kind != "unused zeros":
        return f"{where} is {report.status}: {report.as_lines()}"
    # Where the newest note and its history disagree, either may be named.
    pair = {region.file, {"cosigned.log": "cosigned", "checkpoints.log": "checkpoint"}.get(region.file)}
    here = [one for one in report.findings if one.file in pair]
    if not here:
        return f"{where} is not named: {report.as_lines()}"
    # A bundle with another length in it is none, and has no entries that could be named.
    if region.kind in PLACED and not any(
        one.index == region.entry
        or (one.start is not None and one.stop is not None and one.start <= at < one.stop)
        or one.rule == "tile.bundle"
        for one in here
    ):
        return f"{where}: another place is named: {report.as_lines()}"
    return ""


def places(files: dict[str, bytes]) -> list[tuple[Region, int]]:
    """Every byte that is read, with what it is."""
    return [
        (region, at)
        for region in regions(files)
        if region.file not in NOT_READ
        for at in range(region.start, region.stop)
    ]


def require_noticed(name: str, chosen: list[tuple[Region, int]], chance: random.Random) -> None:
    """Flip one bit or more of each of these bytes in turn."""
    files = sample(name)
    counts: Counter[str] = Counter()
    with laid(files) as directory:
        assert verdict(directory).status == "valid"
        for region, at in chosen:
            fault = flip(directory, files, region, at, chance.choice((1, 0x80, chance.randint(1, 255))))
            assert not fault, fault
            counts[region.kind] += 1
    print(f"{counts.total()} changed bytes of {name}: {dict(counts)}")


def test_a_sample_of_changed_bytes_of_a_small_log_is_noticed() -> None:
    chance = random.Random(SEED)
    every = places(sample("sixteen"))
    kinds = {region.kind for region, _ in every}
    chosen = [
        place
        for kind in sorted(kinds)
        for place in chance.sample([one for one in every if one[0].kind == kind], 40)
    ]
    require_noticed("sixteen", chosen, chance)


def test_a_changed_byte_in_any_region_of_a_long_log_is_noticed() -> None:
    chance = random.Random(SEED + 1)
    every = places(sample("thousand"))
    kinds = sorted({region.kind for region, _ in every})
    assert len(kinds) > 10
    require_noticed(
        "thousand",
        [
            place
            for kind in kinds
            for place in chance.sample([one for one in every if one[0].kind == kind], 6)
        ],
        chance,
    )


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_every_changed_byte_of_a_small_log_is_noticed(part: int) -> None:
    require_noticed("sixteen", places(sample("sixteen"))[part::PARTS], random.Random(SEED + 2 + part))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_a_thousand_changed_bytes_of_each_long_region_are_noticed(part: int) -> None:
    chance = random.Random(SEED + 40 + part)
    every = places(sample("thousand"))
    chosen = []
    for kind in sorted({region.kind for region, _ in every}):
        of_kind = [one for one in every if one[0].kind == kind]
        chosen += chance.sample(of_kind, min(len(of_kind), 150))
    require_noticed("thousand", chosen, chance)


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("taken away", lambda content: None),
        ("emptied", lambda content: b""),
        ("cut in half", lambda content: content[: len(content) // 2]),
        ("a byte shorter", lambda content: content[:-1]),
        ("a zero longer", lambda content: content + b"\x00"),
        ("a letter longer", lambda content: content + b"x"),
        ("doubled", lambda content: content * 2),
    ],
)
def test_a_file_that_was_cut_lengthened_or_taken_away_is_noticed(what: str, change) -> None:
    files = sample("sixteen")
    for name in files:
        if name in NOT_READ or name.endswith("/"):
            continue
        copy = {key: content for key, content in files.items() if key != name}
        content = change(files[name])
        if content is not None:
            copy[name] = content
        with laid(copy) as directory:
            report = verdict(directory)
            expected = (what, name) in HARMLESS
            assert (report.status == "valid") == expected, f"{name} {what}: {report.as_lines()}"


def test_two_files_in_each_others_place_are_noticed() -> None:
    files = sample("sixteen")
    names = [name for name in files if name not in NOT_READ and not name.endswith("/")]
    for one, other in combinations(names, 2):
        with laid({**files, one: files[other], other: files[one]}) as directory:
            report = verdict(directory)
            assert report.status == "invalid", f"{one} and {other}: {report.as_lines()}"


async def require_opens(directory: Path) -> None:
    async with opened(directory) as ledger:
        assert ledger.size == 16


def test_what_is_never_read_changes_nothing() -> None:
    """The two files that are no part of the log: with anything in them it opens, and goes on as before."""
    for name in NOT_READ:
        for content in (b"", b"x" * 20_000, bytes(5)):
            with laid({**sample("sixteen"), name: content}) as directory:
                assert verdict(directory).status == "valid"

                asyncio.run(require_opens(directory))
                assert verdict(directory).status == "valid"
