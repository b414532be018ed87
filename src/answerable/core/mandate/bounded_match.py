"""Match text against user-written patterns in bounded time.

Python's `re` can backtrack for hours on a pattern such as `(a+)+` with forty letters, which blocks every call and every
stop in its process. So patterns follow JSON Schema (ECMA-262), and the engine needs time linear in the text, or counts
backtracking steps for patterns with look-around.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from answerable.errors import shown
from answerable.errors.codes.documents import DOCUMENT_PATTERN
from answerable.extras import require_replay

if TYPE_CHECKING:
    import jsonschema_rs

BACKTRACKS_MAX: Final = 10_000
"""Maximum backtracking steps of a pattern with look-around; beyond them the text counts as not matching."""

_KEPT_MAX: Final = 256


def matches_whole(pattern: str, text: str) -> bool:
    """Whether the pattern matches the whole text.

    Raises Malformed (`document.pattern`) if the engine does not support the pattern, Unavailable (`extra.missing`).
    """
    return _compiled(pattern).is_valid(text)


@lru_cache(maxsize=_KEPT_MAX)
def _compiled(pattern: str) -> jsonschema_rs.Draft202012Validator:
    require_replay("jsonschema_rs", "patterns cannot be matched")
    import jsonschema_rs

    try:
        return jsonschema_rs.Draft202012Validator(
            {"type": "string", "pattern": f"^(?:{pattern})$"},
            offline=True,
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACKS_MAX),
        )
    except ValueError:
        raise DOCUMENT_PATTERN(
            f"{shown(pattern)} is too large or not a regular expression as JSON Schema has them: write it without "
            "`\\Z`, conditions and named references, and with smaller counts"
        ) from None
