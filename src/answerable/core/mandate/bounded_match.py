"""Whether a value matches a pattern that somebody wrote, in bounded time.

The engine of Python tries `(a+)+` on forty letters for hours, and nothing else runs in its process meanwhile: no call,
no stop. So patterns are matched as JSON Schema has them (ECMA-262), by an engine that takes a time in proportion to the
text, or counts its steps where a pattern looks around.
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
"""Steps of a pattern that looks around before it counts as not matching."""

_KEPT_MAX: Final = 256


def matches_whole(pattern: str, text: str) -> bool:
    """Whether the pattern matches all of the text.

    Raises Malformed (`document.pattern`) where it is not known here, Unavailable (`extra.missing`).
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
