"""Encode requests to, and decode answers from, Anthropic's messages API, `/v1/messages`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.model_provider.said import Said, count
from answerable.core.canonical import encode, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.adapters.model_provider.asked import Chat, Message
    from answerable.core.canonical import JSONValue

PATH = "/messages"
VERSION: Final = "2023-06-01"


def body_of(chat: Chat) -> dict[str, JSONValue]:
    """Return the request body of a chat."""
    body: dict[str, JSONValue] = {
        "model": chat.model,
        "max_tokens": chat.max_tokens,
        "messages": _messages(chat.messages),
    }
    if chat.system:
        body["system"] = chat.system
    if chat.temperature is not None:
        body["temperature"] = chat.temperature
    if chat.tools:
        body["tools"] = [
            {
                "name": one.name,
                "description": one.description,
                "input_schema": one.schema or {"type": "object"},
            }
            for one in chat.tools
        ]
    if chat.stream:
        body["stream"] = True
    return body


def said_in(answer: Mapping[str, JSONValue]) -> Said:
    """Decode a complete answer."""
    said = Said(is_ended=True)
    _note(said, answer)
    said.stop = _text(answer.get("stop_reason"))
    content = answer.get("content")
    for number, block in enumerate(content if isinstance(content, list) else []):
        if isinstance(block, dict):
            _begin(said, number, block)
    return said


def take_event(said: Said, name: str, event: Mapping[str, JSONValue]) -> str:
    """Add one event of a stream. Return the text that it added."""
    before = len(said.text)
    kind = event.get("type")
    message, block, delta = event.get("message"), event.get("content_block"), event.get("delta")
    if kind == "message_start" and isinstance(message, dict):
        _note(said, message)
    elif kind == "content_block_start" and isinstance(block, dict):
        _begin(said, event.get("index"), block)
    elif kind == "content_block_delta" and isinstance(delta, dict):
        _add(said, event.get("index"), delta)
    elif kind == "message_delta":
        _note(said, event)
        if isinstance(delta, dict):
            said.stop = _text(delta.get("stop_reason")) or said.stop
    return said.text[before:]


def is_end(data: str, event: Mapping[str, JSONValue]) -> bool:
    """Whether the event marks the end of a complete stream."""
    return event.get("type") == "message_stop"


def _messages(messages: tuple[Message, ...]) -> list[JSONValue]:
    """Return the messages in Anthropic's form: tool results have the role `user`, and consecutive results form one
    message."""
    found: list[JSONValue] = []
    results: list[JSONValue] = []
    for one in messages:
        if one.role == "tool":
            if not results:
                results = []
                found.append({"role": "user", "content": results})
            results.append({"type": "tool_result", "tool_use_id": one.call_id, "content": one.content})
            continue
        results = []
        if not one.calls:
            found.append({"role": one.role, "content": one.content})
            continue
        blocks: list[JSONValue] = [{"type": "text", "text": one.content}] if one.content else []
        blocks += [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": parse(call.arguments.encode())}
            for call in one.calls
        ]
        found.append({"role": one.role, "content": blocks})
    return found


def _note(said: Said, answer: Mapping[str, JSONValue]) -> None:
    said.model = _text(answer.get("model")) or said.model
    said.id = _text(answer.get("id")) or said.id
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return
    kinds = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    reads = [number for kind in kinds if (number := count(usage.get(kind))) is not None]
    written = count(usage.get("output_tokens"))
    said.read = sum(reads) if reads else said.read
    said.written = said.written if written is None else written


def _begin(said: Said, index: JSONValue, block: Mapping[str, JSONValue]) -> None:
    if block.get("type") == "text":
        said.text += _text(block.get("text"))
    elif block.get("type") == "tool_use" and (call := said.call(index)) is not None:
        call.id, call.name = _text(block.get("id")), _text(block.get("name"))
        given = block.get("input")
        call.arguments = encode(given).decode() if isinstance(given, dict) and given else ""
    if block.get("text"):
        said.pieces += 1


def _add(said: Said, index: JSONValue, delta: Mapping[str, JSONValue]) -> None:
    said.text += _text(delta.get("text"))
    partial = _text(delta.get("partial_json"))
    if partial and (call := said.call(index)) is not None:
        call.arguments += partial
    if partial or delta.get("text") or delta.get("thinking"):
        said.pieces += 1


def _text(value: JSONValue) -> str:
    return value if isinstance(value, str) else ""
