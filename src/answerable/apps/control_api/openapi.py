"""Generate the OpenAPI 3.1 document from the route table."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from answerable import __version__
from answerable.apps.control_api.call import PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX
from answerable.apps.control_api.component_schemas import component_schemas
from answerable.apps.control_api.operations import OPERATIONS
from answerable.apps.control_api.schemas import OF_OTHERS, TEXT, page, reference
from answerable.wiring.problem_details import PROBLEM_MEDIA_TYPE

if TYPE_CHECKING:
    from answerable.apps.control_api.operation import Operation
    from answerable.apps.control_api.schemas import Schema
    from answerable.core.canonical import JSONValue

_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_LIMIT: Final[Schema] = {
    "type": "integer",
    "minimum": 1,
    "maximum": PAGE_ITEMS_MAX,
    "default": PAGE_ITEMS_DEFAULT,
}


@cache
def schemas() -> dict[str, Schema]:
    """Return every schema by name, in the order of names. Made when first asked for, and not when a server starts."""
    made = component_schemas({kind for row in OPERATIONS for kind in row.types})
    return dict(sorted((OF_OTHERS | made).items()))


def openapi_document() -> dict[str, JSONValue]:
    """Return the whole document, the same on every run."""
    paths: dict[str, JSONValue] = {}
    for operation in OPERATIONS:
        rows = paths.setdefault(operation.path, {})
        if isinstance(rows, dict):
            rows[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Answerable control API",
            "version": __version__,
            "summary": "Served on a Unix socket; the caller is known by the kernel's word for its user id",
        },
        "paths": paths,
        "components": {"schemas": dict(schemas())},
    }


def _operation(operation: Operation) -> Schema:
    answer = page(reference(operation.answer)) if operation.page else reference(operation.answer)
    row: Schema = {
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": {
            "200": {"description": "done", "content": {"application/json": {"schema": answer}}},
            "default": {
                "description": "not done, and why",
                "content": {PROBLEM_MEDIA_TYPE: {"schema": reference("Problem")}},
            },
        },
    }
    if operation.body:
        row["requestBody"] = {
            "required": bool(schemas()[operation.body]["required"]),
            "content": {"application/json": {"schema": reference(operation.body)}},
        }
    return row


def _parameters(operation: Operation) -> list[JSONValue]:
    found: list[JSONValue] = [
        {"name": name, "in": "path", "required": True, "schema": TEXT}
        for name in _PARAMETER.findall(operation.path)
    ]
    query = operation.query
    if operation.page:
        query = (
            *query,
            ("limit", _LIMIT, "most items on one page"),
            ("cursor", TEXT, "`next` of the page before"),
        )
    found += [
        {"name": name, "in": "query", "required": False, "schema": schema, "description": says}
        for name, schema, says in query
    ]
    return found
