"""Where the public test vectors are: the directory in ANSWERABLE_VECTORS, else `shared/vectors` beside the repository.

A set that is absent skips its tests with a warning that names it, so that nobody takes a skip for a pass.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.probes.loud_skips import not_proven

BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[3] / "shared" / "vectors"


@pytest.fixture(scope="session")
def vector_set() -> Callable[[str], Path]:
    """Gives the directory of a named set, or skips the test loudly."""
    root = Path(os.environ.get("ANSWERABLE_VECTORS", BESIDE_THE_REPOSITORY))

    def directory(name: str) -> Path:
        found = root / name
        if not found.is_dir():
            told = f"vectors `{name}` are absent: NOT PROVEN here; set ANSWERABLE_VECTORS to their directory"
            not_proven(told)
        return found

    return directory
