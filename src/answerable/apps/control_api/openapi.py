"""Generate the OpenAPI 3.1 document from the route table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable import __version__
from answerable.apps.control_api import (
    agent_operations,
    channel_operations,
    drill_operations,
    duty_operations,
    event_operations,
    group_operations,
    hold_operations,
    inventory_operations,
    lease_operations,
    lease_use_operations,
    manifest_operations,
    oversight_operations,
    person_operations,
    policy_operations,
    policy_trial_operations,
    revocation_operations,
    rule_operations,
    stats_operations,
    suggestion_operations,
    tool_operations,
    tree_operations,
    trust_operations,
)
from answerable.apps.control_api.approval_schemas import APPROVALS
from answerable.apps.control_api.call import PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX
from answerable.apps.control_api.operations import OPERATIONS
from answerable.apps.control_api.schemas import COMPONENTS, TEXT, page, reference
from answerable.wiring.problem_details import PROBLEM_MEDIA_TYPE

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Operation
    from answerable.apps.control_api.schemas import Schema
    from answerable.core.canonical import JSONValue

_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_LIMIT: Final[Schema] = {
    "type": "integer",
    "minimum": 1,
    "maximum": PAGE_ITEMS_MAX,
    "default": PAGE_ITEMS_DEFAULT,
}


SCHEMAS: Final[dict[str, Schema]] = {
    **COMPONENTS,
    **APPROVALS,
    **agent_operations.COMPONENTS,
    **channel_operations.COMPONENTS,
    **drill_operations.COMPONENTS,
    **duty_operations.COMPONENTS,
    **group_operations.COMPONENTS,
    **lease_operations.COMPONENTS,
    **lease_use_operations.COMPONENTS,
    **hold_operations.COMPONENTS,
    **event_operations.COMPONENTS,
    **inventory_operations.COMPONENTS,
    **manifest_operations.COMPONENTS,
    **person_operations.COMPONENTS,
    **policy_operations.COMPONENTS,
    **policy_trial_operations.COMPONENTS,
    **rule_operations.COMPONENTS,
    **revocation_operations.COMPONENTS,
    **stats_operations.COMPONENTS,
    **oversight_operations.COMPONENTS,
    **suggestion_operations.COMPONENTS,
    **tool_operations.COMPONENTS,
    **tree_operations.COMPONENTS,
    **trust_operations.COMPONENTS,
}
"""Every schema by name."""


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
        "components": {"schemas": dict(SCHEMAS)},
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
            "required": bool(SCHEMAS[operation.body]["required"]),
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
