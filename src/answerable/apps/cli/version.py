"""Tell the version and the build."""

from __future__ import annotations

from answerable import __version__
from answerable.extras import is_native


def version_told() -> str:
    """Return the version; of the native build, with that word."""
    return f"{__version__} native" if is_native() else __version__
