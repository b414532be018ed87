"""The cursor of a search in several logs: how far each of them has come.

Laws: what `formatted` writes, `parsed_log_cursors` reads; a log that has nothing left keeps its place as one that is
done, so that no page begins with it again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.core.search.query import parsed_cursor
from answerable.errors import shown
from answerable.errors.codes.search import SEARCH_CURSOR

if TYPE_CHECKING:
    from collections.abc import Mapping

LOGS_MAX: Final = 256
DONE: Final = ""
_ONE: Final = re.compile(r"([a-z0-9-]{1,64}):((?:[0-9]{1,16}\.[0-9]{1,16})?)")


def formatted(cursors: Mapping[str, str]) -> str:
    """Return the cursor that is handed out; empty where every log is done. cursors: by shard, `DONE` for one that has
    nothing left."""
    if all(one == DONE for one in cursors.values()):
        return ""
    return ",".join(f"{name}:{cursor}" for name, cursor in sorted(cursors.items()))


def parsed_log_cursors(text: str) -> dict[str, str]:
    """Return cursors by shard; empty for the first page. Raises Malformed (`search.cursor`)."""
    found = [_ONE.fullmatch(one) for one in text.split(",", LOGS_MAX)] if text else []
    cursors = {one[1]: one[2] for one in found if one is not None}
    if len(cursors) < len(found):
        raise SEARCH_CURSOR(f"{shown(text, 40)} is not a cursor: give `next` of the answer before, unchanged")
    return cursors


def check_cursor(text: str) -> None:
    """Check a cursor of one log or of several. Raises Malformed (`search.cursor`)."""
    if ":" in text:
        parsed_log_cursors(text)
    elif text:
        parsed_cursor(text)
