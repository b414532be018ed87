"""TOML that somebody wrote: Python's reader ends in errors of others where a number or a nesting is absurd."""

from __future__ import annotations

import tomllib
from tomllib import TOMLDecodeError
from typing import Any

__all__ = ["TOMLDecodeError", "toml_in"]


def toml_in(text: str) -> dict[str, Any]:
    """The tree. Raises TOMLDecodeError, and nothing else, for what is none or is more than can be read."""
    if text.startswith("\ufeff"):
        raise TOMLDecodeError("a byte order mark (BOM) stands before it, save it as UTF-8 without one")
    try:
        return tomllib.loads(text)
    except TOMLDecodeError:
        raise
    except (ValueError, RecursionError):
        raise TOMLDecodeError("a number is too long, or brackets are nested too deep") from None
