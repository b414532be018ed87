"""Offer functions of this process as an upstream's tools, for tests, benchmarks and embedding."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from answerable.core.action.outcome import Outcome
from answerable.core.action.tool_definition import ToolDefinition
from answerable.core.canonical import encode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.warrant import Warrant
    from answerable.core.registry.documents.capability import Capability
    from answerable.ports.clock import Clock
    from answerable.ports.upstream import Progress

    Violations = Callable[[dict[str, JSONValue]], tuple[str, ...]]
    Tool = Callable[[dict[str, JSONValue]], Awaitable[dict[str, JSONValue]]]


class MemoryUpstream:
    """Implements ports.upstream.Upstream. tools: functions by target name. violations: argument checks by target name.
    annotations: MCP hints by target name; a tool without hints counts as the riskiest.

    A tool that raises counts as an upstream that failed after the request was sent: the outcome is `indeterminate`.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        tools: Mapping[str, Tool],
        violations: Mapping[str, Violations] | None = None,
        annotations: Mapping[str, Mapping[str, bool]] | None = None,
    ) -> None:
        self._clock = clock
        self._tools = dict(tools)
        self._annotations: dict[str, JSONValue] = {
            target: dict(hints) for target, hints in (annotations or {}).items()
        }
        self._definitions = {
            target: _defined(
                {"name": target, "annotations": self._annotations.get(target, {})},
                (violations or {}).get(target, _nothing_wrong),
            )
            for target in tools
        }

    def definition(self, capability: Capability) -> ToolDefinition | None:
        return self._definitions.get(capability.target)

    def is_unread(self, capability: Capability) -> bool:
        """Return False: these tools are always known."""
        del capability
        return False

    @property
    def is_running(self) -> bool:
        return True

    @property
    def generation(self) -> int:
        """Always 0: these tools never change."""
        return 0

    def tools(self, server: str) -> Mapping[str, JSONValue] | None:
        """Return all tools, for every server name."""
        return {
            name: {
                "name": name,
                "description": "",
                "inputSchema": {"type": "object"},
                "annotations": self._annotations.get(name, {}),
            }
            for name in self._tools
        }

    async def perform(self, warrant: Warrant, *, progress: Progress | None = None) -> Outcome:
        action = warrant.redeem(now=self._clock.now()).thaw()
        if not isinstance(action, dict) or not isinstance(action["arguments"], dict):
            return Outcome(status="not_started", detail="the action is not an object")
        tool = self._tools[str(action["target"])]
        try:
            result = await tool(action["arguments"])
        except Exception as failed:
            return Outcome(status="indeterminate", detail=f"the tool broke off: {type(failed).__name__}")
        return Outcome(status="failed" if result.get("isError") else "succeeded", result=result)


def _defined(tool: JSONValue, violations: Violations) -> ToolDefinition:
    text = encode(tool)
    return ToolDefinition(text=text, digest=hashlib.sha256(text).hexdigest(), violations=violations)


def _nothing_wrong(_: dict[str, JSONValue]) -> tuple[str, ...]:
    return ()
