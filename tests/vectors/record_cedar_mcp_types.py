"""Records what the Cedar project's own generator makes of tools' input schemas, for `test_cedar_mcp_types.py`.

Run by hand where `cedar-policy-mcp-schema-generator` is installed:

    python tests/vectors/record_cedar_mcp_types.py > tests/vectors/answerable/cedar-mcp-types.json
"""

from __future__ import annotations

import importlib
import json
import sys
from importlib.metadata import version
from typing import Any

NAME = "cedar-policy-mcp-schema-generator"
STUB = """namespace Answerable {
  @mcp_principal("Agent") entity Agent;
  @mcp_resource("McpServer") entity McpServer;
  @mcp_action("call_tool") action "call_tool" appliesTo {principal: [Agent], resource: [McpServer]};
}"""
TEXT = {"type": "string"}
OPTIONS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "retries": {"type": "integer"},
        "deep": {"type": "object", "properties": {"on": {"type": "boolean"}}},
    },
    "required": ["retries"],
}
TOOLS: list[dict[str, Any]] = [
    {
        "name": "customer_read",
        "inputSchema": {"type": "object", "properties": {"case_id": TEXT}, "required": ["case_id"]},
    },
    {
        "name": "batch_submit",
        "inputSchema": {
            "type": "object",
            "properties": {
                "batch_id": TEXT,
                "amount_minor": {"type": "integer"},
                "urgent": {"type": "boolean"},
            },
            "required": ["batch_id", "amount_minor"],
        },
    },
    {
        "name": "send_mail",
        "inputSchema": {
            "type": "object",
            "properties": {
                "to": {"type": "array", "items": TEXT},
                "options": OPTIONS,
            },
            "required": ["to"],
        },
    },
    {
        "name": "query",
        "inputSchema": {
            "type": "object",
            "properties": {"filter": {"$ref": "#/$defs/Filter"}, "limit": {"type": "integer", "minimum": 1}},
            "$defs": {
                "Filter": {"type": "object", "properties": {"table": TEXT, "rows": {"type": "integer"}}}
            },
        },
    },
    {
        "name": "measure",
        "inputSchema": {"type": "object", "properties": {"ratio": {"type": "number"}, "unit": TEXT}},
    },
]


def main() -> None:
    """Write it to standard output."""
    generator = importlib.import_module("cedar_mcp_schema_generator")
    made = generator.generate_schema_or_raise(STUB, TOOLS, config={"objectsAsRecords": True})
    found = {"by": f"{NAME} {version(NAME)}", "tools": TOOLS, "schema": json.loads(made["schemaJson"])}
    json.dump(found, sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
