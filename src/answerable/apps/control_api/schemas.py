"""JSON schemas (2020-12) that the OpenAPI document has beside those of answers and bodies: of query parameters, pages,
and of the two objects whose members are not declared as types here."""

from __future__ import annotations

from typing import Final, TypeAlias

from answerable.core.canonical import JSONValue

Schema: TypeAlias = "dict[str, JSONValue]"

TEXT: Final[Schema] = {"type": "string"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
DIGEST: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256, hexadecimal"}


def reference(name: str) -> Schema:
    """Return a reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def choice(*options: str) -> Schema:
    """Return the schema of an enumeration."""
    return {"type": "string", "enum": list(options)}


def page(items: Schema) -> Schema:
    """Return the schema of one page of a list; `next` is the cursor of the following page, null on the last page."""
    return {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": items},
            "next": {"anyOf": [TEXT, {"type": "null"}]},
        },
        "required": ["items", "next"],
        "additionalProperties": False,
    }


OF_OTHERS: Final[dict[str, Schema]] = {
    "Bundle": {"type": "object"},
    "Problem": {
        "type": "object",
        "description": "problem details (RFC 9457); `code` is stable",
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "code": TEXT,
            "branch": choice("malformed", "unverified", "refused", "unavailable", "broken"),
            "step": TEXT,
            "reasons": {"type": "array", "items": TEXT},
            "entry_index": {"anyOf": [COUNT, {"type": "null"}]},
            "port": TEXT,
            "effect": choice("none", "unknown"),
            "retry": {"type": "boolean"},
        },
        "required": ["type", "title", "status", "detail", "code", "branch", "reasons", "effect", "retry"],
    },
}
"""Objects that no type describes: a trust bundle is as SPIFFE has it, an error is as every HTTP door tells it."""
