"""Read the server's query plan for a statement (`EXPLAIN (FORMAT JSON)`) without trusting its content.

Laws: a statement is planned and never executed, in a read-only transaction that is rolled back; reported numbers are
marked as estimates; what the plan does not state is not guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EXPLAIN: Final = "EXPLAIN (FORMAT JSON, ANALYZE FALSE, VERBOSE TRUE, COSTS TRUE) "
"""Text before the statement. After these brackets, no word of the agent's statement is an option."""
SECONDS_MAX: Final = 3.0
"""Planning takes milliseconds. A longer run is not worth a person's wait, and means that the planner executes
functions."""
PLAN_CHARS_MAX: Final = 4_000_000
TABLES_SHOWN_MAX: Final = 20
NODES_MAX: Final = 20_000
ROWS_MAX: Final = 2**53 - 1
_CHANGING: Final = "ModifyTable"


def plan_told(text: str) -> dict[str, object] | None:
    """Summarize a plan as the members of a preview; None for an invalid or oversized plan."""
    if len(text) > PLAN_CHARS_MAX:
        return None
    try:
        roots = [one["Plan"] for one in msgspec.json.decode(text, type=list[dict[str, Any]])]
        nodes = [node for root in roots for node in _nodes(root)]
        changes = [_change(node) for node in nodes if node.get("Node Type") == _CHANGING]
        rows = sum(int(change["rows"]) for change in changes) if changes else sum(map(_rows, roots))
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, RecursionError):
        return None
    if not roots or len(nodes) > NODES_MAX:
        return None
    read = dict.fromkeys(_relation(node) for node in nodes if "Relation Name" in node)
    names = [name for name in read if name not in {change["table"] for change in changes}]
    told: dict[str, object] = {"rows": min(rows, ROWS_MAX), "estimate": True}
    if changes:
        told["changes"] = changes[:TABLES_SHOWN_MAX]
    if names:
        told["reads"] = names[:TABLES_SHOWN_MAX]
    beyond = max(0, len(changes) - TABLES_SHOWN_MAX) + max(0, len(names) - TABLES_SHOWN_MAX)
    return {**told, "more_tables": beyond} if beyond else told


def plan_summary(told: Mapping[str, object]) -> str:
    """Summarize a preview in one line, for clients that display nothing else."""
    changes = cast("list[dict[str, object]]", told.get("changes", []))
    what = ", ".join(f"{one['operation']} {shown(one['table'])}" for one in changes) or "read"
    return f"{what}: about {told['rows']} rows, an estimate and not a count"


def _nodes(root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    pending = [root]
    for _ in range(NODES_MAX + 1):
        if not pending:
            return
        node = pending.pop(0)
        if not isinstance(node, dict):
            raise TypeError("a node of a plan is an object")
        yield node
        pending += node.get("Plans", [])


def _change(node: Mapping[str, Any]) -> dict[str, Any]:
    """Summarize a changing node. Its row count is that of its input nodes: it counts no rows of its own unless it
    returns some."""
    feeding = [one for one in node.get("Plans", []) if one.get("Parent Relationship") in ("Outer", "Member")]
    return {
        "operation": str(node.get("Operation", "change")).lower(),
        "table": _relation(node),
        "rows": sum(map(_rows, feeding)),
    }


def _rows(node: Mapping[str, Any]) -> int:
    return max(0, int(node["Plan Rows"]))


def _relation(node: Mapping[str, Any]) -> str:
    name = str(node.get("Relation Name", "?"))
    return f"{node['Schema']}.{name}" if "Schema" in node else name
