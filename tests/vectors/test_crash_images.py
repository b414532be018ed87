"""The published crash images: each opens with what was acknowledged, or is refused with the code that it names."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from answerable.core.ledger.tags import Tag
from answerable.errors import Broken
from answerable.verify.ledger_history import verify_ledger
from tests.worlds.ledger_promises import require_kept
from tests.worlds.ledger_script import KEY, Promised, laid_out, opened

pytestmark = pytest.mark.requirement("PROVE-08")

FOLDER = Path(__file__).parent / "answerable/crash-images"
IMAGES = sorted(FOLDER.glob("*.json"))


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def files_of(image: dict[str, Any]) -> dict[str, bytes]:
    """The directory that an image describes."""
    found = {}
    for name, file in image["files"].items():
        content = bytearray(file["size"])
        for offset, text in file["parts"]:
            piece = b64decode(text)
            content[offset : offset + len(piece)] = piece
        found[name] = bytes(content)
    return found


def promised_by(image: dict[str, Any]) -> Promised:
    acknowledged = {index: bytes.fromhex(hashed) for index, hashed in image["acknowledged"]}
    return Promised(acknowledged=acknowledged, notes=[note.encode() for note in image["kept"]])


def test_the_images_are_there() -> None:
    assert len(IMAGES) > 15


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_an_image_is_opened_or_refused_as_it_says(path: Path, tmp_path: Path) -> None:
    image = read(path)
    expect, directory = image["expect"], tmp_path / "log"
    laid_out(files_of(image), directory)
    assert image["key"] == KEY.formatted()

    async def run() -> None:
        async with opened(directory) as ledger:
            found = [stored for stored in ledger.replay() if stored.tag != Tag.RECOVERY]
            assert len(found) == max(1, expect["entries"])
            cut = ledger.recovered
            assert ("cut" in expect) == (cut is not None), cut
            if cut is not None:
                assert {"segment": cut.segment, "offset": cut.offset} == expect["cut"]

    if expect["opens"]:
        asyncio.run(run())
        laid_out(files_of(image), again := tmp_path / "again" / "log")
        require_kept(again, promised_by(image))
        return
    with pytest.raises(Broken) as refused:
        asyncio.run(run())
    assert refused.value.code == expect["code"]
    if "place" in expect:
        place = expect["place"]
        assert f"{place['file']}` at byte {place['offset']}" in refused.value.message
        assert f"entry {place['entry']}" in refused.value.message
    assert verify_ledger(directory, key=KEY, kept=promised_by(image).kept()).errors > 0


def test_the_generator_writes_these_images(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("crash_images", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, generate)
    spec.loader.exec_module(generate)
    assert generate.generated() == {path.name: path.read_text(encoding="utf-8") for path in IMAGES}
