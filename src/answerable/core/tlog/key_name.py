"""Check the names of keys in signed notes (C2SP signed-note)."""

from __future__ import annotations

from answerable.errors import shown
from answerable.errors.codes.tlog import NOTE_KEY_NAME


def require_key_name(name: str) -> None:
    """Check that the name is non-empty, without spaces, `+` or control characters. Raises Malformed."""
    bad = any(c.isspace() or c == "+" or c < " " or "\ud800" <= c <= "\udfff" for c in name)
    if bad or not name:
        raise NOTE_KEY_NAME(f"not a key name: {shown(name)}")
