"""The operations and objects of the control API as they were when they were last recorded.

A test holds that the OpenAPI document still means the same of each of them; operations and objects may be added.
`python tools/control_document.py` records the document anew, whose change is then read as one of the API.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from answerable.apps.control_api.openapi import openapi_document

RECORD = Path(__file__).resolve().parents[1] / "tests/vectors/answerable/control_api.json"


def recorded() -> dict[str, Any]:
    """What was recorded: `paths` and `schemas` of the document."""
    found: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return found


def now() -> dict[str, Any]:
    """The same of the code as it is."""
    document: Any = openapi_document()
    return {"paths": document["paths"], "schemas": document["components"]["schemas"]}


def meaning(schema: Any, schemas: dict[str, Any]) -> Any:
    """A part of the document in one form for all that means the same: the order of required members and of words, the
    ways to write alternatives, and whether an object is referred to or written out, make no difference."""
    if isinstance(schema, list):
        return [meaning(one, schemas) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return meaning(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if isinstance(schema.get("type"), list):
        rest = {key: value for key, value in schema.items() if key != "type"}
        return {
            "anyOf": [
                {"type": one} if one == "null" else meaning({**rest, "type": one}, schemas)
                for one in schema["type"]
            ]
        }
    made = {key: meaning(value, schemas) for key, value in schema.items()}
    if isinstance(made.get("oneOf"), list):
        made["anyOf"] = made.pop("oneOf")
    for key in ("required", "enum"):
        if isinstance(made.get(key), list):
            made[key] = sorted(made[key])
    return made


def _lines(found: dict[str, Any]) -> str:
    """One line a path and one a schema, so that a change is seen where it is."""
    texts = {
        what: ",\n".join(
            f" {json.dumps(name)}: {json.dumps(rows[name], ensure_ascii=False)}" for name in sorted(rows)
        )
        for what, rows in found.items()
    }
    return "{" + ",\n".join(f'"{what}": {{\n{text}\n}}' for what, text in texts.items()) + "}\n"


if __name__ == "__main__":
    sys.exit(0 if RECORD.write_text(_lines(now()), encoding="utf-8") else 1)
