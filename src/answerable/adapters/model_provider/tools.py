"""Define the MCP tools of a model provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.model_provider.asked import MESSAGES_MAX, ROLES, TOOLS_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue


def model_tools() -> tuple[Mapping[str, JSONValue], ...]:
    """Return the tools: `chat`, and `list_models` for the models that may be called."""
    return (
        {
            "name": "chat",
            "title": "Ask a language model",
            "description": (
                "Sends messages to a model that your task may ask and gives its answer: `text`, `tool_calls`, "
                "`stop_reason`, `usage` in tokens and `cost`. Ask `list_models` for the models. `max_tokens` bounds "
                "the answer; `tokens_max` and `cost_max` are what of your budget this call may take at most, "
                "messages included: too little is refused with the number that is needed, and what was not used comes "
                "back."
            ),
            "inputSchema": {
                "type": "object",
                "properties": _chat_properties(),
                "required": ["model", "messages", "max_tokens"],
                "additionalProperties": False,
            },
            "annotations": _hints("Ask a language model", reads=False),
        },
        {
            "name": "list_models",
            "title": "List the models you may ask",
            "description": "The models that the provider has and your task may ask, with prices for a million tokens.",
            "inputSchema": {"type": "object", "properties": {}, "additionalProperties": False},
            "annotations": _hints("List the models you may ask", reads=True),
        },
    )


def _chat_properties() -> dict[str, JSONValue]:
    call: JSONValue = {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "name": {"type": "string"},
            "arguments": {"type": "object", "additionalProperties": True},
        },
        "required": ["id", "name", "arguments"],
        "additionalProperties": False,
    }
    message: JSONValue = {
        "type": "object",
        "properties": {
            "role": {"type": "string", "enum": list(ROLES)},
            "content": {"type": "string"},
            "tool_calls": {"type": "array", "items": call, "maxItems": TOOLS_MAX},
            "tool_call_id": {"type": "string"},
        },
        "required": ["role", "content"],
        "additionalProperties": False,
    }
    tool: JSONValue = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "description": {"type": "string"},
            "input_schema": {"type": "object", "additionalProperties": True},
        },
        "required": ["name"],
        "additionalProperties": False,
    }
    whole: JSONValue = {"type": "integer", "minimum": 1}
    return {
        "model": {"type": "string", "description": "One of `list_models`."},
        "messages": {"type": "array", "items": message, "minItems": 1, "maxItems": MESSAGES_MAX},
        "system": {"type": "string", "description": "What the model is told before the messages."},
        "max_tokens": {"type": "integer", "minimum": 1, "description": "The most tokens of the answer."},
        "tokens_max": whole,
        "cost_max": {"type": "integer", "minimum": 0, "description": "Minor units, such as cents."},
        "temperature": {"type": "number", "minimum": 0, "maximum": 2},
        "tools": {"type": "array", "items": tool, "maxItems": TOOLS_MAX},
        "stream": {"type": "boolean", "description": "Tell of the answer, as progress, while it is made."},
    }


def _hints(title: str, *, reads: bool) -> dict[str, JSONValue]:
    # Text for a model leaves the organisation, and money is spent: neither can be undone.
    return {
        "title": title,
        "readOnlyHint": reads,
        "destructiveHint": not reads,
        "idempotentHint": reads,
        "openWorldHint": True,
    }
