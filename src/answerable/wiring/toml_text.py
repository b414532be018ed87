"""Parse TOML and report every failure as TOMLDecodeError: Python's parser raises other errors for absurd numbers or
nesting."""

from __future__ import annotations

import tomllib
from tomllib import TOMLDecodeError
from typing import Any

__all__ = ["TOMLDecodeError", "toml_in"]


def toml_in(text: str) -> dict[str, Any]:
    """Return the tree. Raises TOMLDecodeError, and nothing else, for invalid or unparsable text."""
    if text.startswith("\ufeff"):
        raise TOMLDecodeError("a byte order mark (BOM) stands before it, save it as UTF-8 without one")
    try:
        return tomllib.loads(text)
    except TOMLDecodeError:
        raise
    except (ValueError, RecursionError):
        raise TOMLDecodeError("a number is too long, or brackets are nested too deep") from None
