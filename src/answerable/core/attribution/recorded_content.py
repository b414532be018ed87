"""Read what is recorded of the content of an action, from the opened entries of its intent and outcome.

Law: what was sealed and cannot be opened, or recorded as a digest alone, is missing with that reason; nothing is
guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from answerable.core.attribution.content import Field, Recorded

if TYPE_CHECKING:
    from collections.abc import Mapping

SEALED: Final = "it is sealed, and no key here opens it"
AS_DIGEST: Final = "it is recorded as a digest"
_ROWS_IN_ONE: Final = 50
"""Rows that a cursor of the broker reads at a time; of a longer answer a log may count the last part."""
_STATEMENT_TOOLS: Final = frozenset({"query", "execute"})


def recorded_content(intent: Mapping[str, Any] | None, outcome: Mapping[str, Any] | None) -> Recorded:
    """Return the content of an action. intent, outcome: opened fields by name, as `opened.payload_of`; None where they
    cannot be opened."""
    if intent is None:
        return Recorded(missing=SEALED)
    action = intent.get("action")
    if not isinstance(action, dict):
        return Recorded(missing=AS_DIGEST)
    values = _of_arguments(str(action.get("target", "")), _object(action, "arguments"))
    rows = _rows(_object(outcome or {}, "result")) if "statement" in values else ""
    if rows:
        values["rows"] = (rows,)
    destination = _object(_object(_object(intent, "question"), "context"), "destination")
    names = destination.get("names")
    if destination.get("type") == "email" and isinstance(names, list) and names:
        values["recipients"] = tuple(str(one) for one in names)
    return Recorded(values)


def _of_arguments(tool: str, arguments: Mapping[str, Any]) -> dict[Field, tuple[str, ...]]:
    """Return what the arguments of the tools of our brokered targets name."""
    found: dict[Field, tuple[str, ...]] = {}
    texts: dict[str, str] = {name: value for name, value in arguments.items() if isinstance(value, str)}
    rest, parameters = arguments.get("arguments"), _object(arguments, "parameters")
    if "sql" in texts and tool in _STATEMENT_TOOLS:
        found["statement"] = (texts["sql"],)
    elif "path" in texts:
        found |= {"method": (texts.get("method", "GET"),), "path": (texts["path"],)}
    elif "service" in texts and "operation" in texts:
        named: dict[str, Field] = {"Bucket": "bucket", "Key": "key"}
        found |= {
            field: (parameters[name],)
            for name, field in named.items()
            if isinstance(parameters.get(name), str)
        }
    elif "command" in texts and isinstance(rest, list):
        found["key"] = tuple(str(one) for one in rest)
    return found


def _rows(result: Mapping[str, Any]) -> str:
    """Return how many rows a statement had; empty where that is not known."""
    answer = _object(result, "structuredContent")
    changed, rows = answer.get("changed"), answer.get("rows")
    if "changed" in answer:
        return str(changed) if type(changed) is int else ""
    if isinstance(rows, list) and answer.get("cut") is False and len(rows) < _ROWS_IN_ONE:
        return str(len(rows))
    return ""


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}
