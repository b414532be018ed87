"""Questions as the first version wrote them: whole, so that any part of them can be changed."""

from __future__ import annotations

from typing import Any

import msgspec

from answerable.core.decision.asked import read_question


def in_version_1(question: bytes) -> dict[str, Any]:
    """The same question, which says everything."""
    found = msgspec.json.decode(msgspec.json.encode(read_question(question)))
    assert isinstance(found, dict)
    if found["hold"] is None:
        del found["hold"]
    return {**found, "v": 1}
