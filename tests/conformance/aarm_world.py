"""What the tests of AARM look at: entries with their fields, and the target system itself."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from answerable.core.ledger.opened import payload_of
from answerable.core.ledger.tags import Tag
from tests.worlds.gateway import World

NOTE = {"case_id": "4711", "text": "called back"}


def opened(world: World, tag: Tag) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Leaf and sealed fields of the entries of this type."""
    found = []
    for stored in world.walk.recorder.ledger.replay():
        leaf = json.loads(stored.leaf)
        if leaf["tag"] == tag:
            found.append((leaf, dict(payload_of(stored, leaf, world.walk.recorder.subject_keys.find) or {})))
    return found


def notes(world: World) -> int:
    """How many notes the target system has."""
    path = Path(world.home) / "crm.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        (count,) = database.execute("SELECT count(*) FROM notes").fetchone()
    return int(count)


def texts(result: Any) -> str:
    """What a tool's answer says."""
    return " ".join(part.text for part in result.content if part.type == "text")
