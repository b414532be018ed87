"""Convert Redis replies to JSON: text as text, other bytes as base64, numbers without loss in any reader."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from answerable.core.canonical import DEPTH_MAX, INTEGER_MAX
from answerable.targets.messages import shown_body

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue


def as_json(answer: Any, *, depth: int = 0) -> JSONValue:
    """Return the reply as JSON. A map with a name that is no text becomes a list of pairs."""
    if depth > DEPTH_MAX // 2:
        return "(nested too deeply)"
    if isinstance(answer, bytes):
        return shown_body(answer, len(answer))[0]
    if isinstance(answer, bool) or answer is None:
        return answer
    if isinstance(answer, int):
        return answer if abs(answer) <= INTEGER_MAX else str(answer)
    if isinstance(answer, float):
        return answer if isfinite(answer) and not answer.is_integer() else _whole(answer)
    if isinstance(answer, dict):
        pairs = [
            (as_json(name, depth=depth + 1), as_json(one, depth=depth + 1)) for name, one in answer.items()
        ]
        if all(isinstance(name, str) for name, _ in pairs):
            return {str(name): one for name, one in pairs}
        return [[name, one] for name, one in pairs]
    if isinstance(answer, list | tuple | set | frozenset):
        return [as_json(one, depth=depth + 1) for one in answer]
    return str(answer)


def _whole(number: float) -> JSONValue:
    return int(number) if abs(number) <= INTEGER_MAX else str(number)
