"""Encode requests to, and decode answers from, OpenAI's chat API, which many providers copy: `/v1/chat/completions`.
Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.model_provider.said import Said, count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.adapters.model_provider.asked import Chat, Message
    from answerable.core.canonical import JSONValue

PATH = "/chat/completions"


def body_of(chat: Chat, *, limit_name: str) -> dict[str, JSONValue]:
    """Return the request body of a chat. limit_name: this provider's name for the limit of the answer's tokens."""
    messages: list[JSONValue] = [{"role": "system", "content": chat.system}] if chat.system else []
    messages += [_message(one) for one in chat.messages]
    body: dict[str, JSONValue] = {"model": chat.model, "messages": messages, limit_name: chat.max_tokens}
    if chat.temperature is not None:
        body["temperature"] = chat.temperature
    if chat.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": one.name, "description": one.description, "parameters": one.schema},
            }
            for one in chat.tools
        ]
    if chat.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def said_in(answer: Mapping[str, JSONValue]) -> Said:
    """Decode a complete answer."""
    said = Said(is_ended=True)
    _note(said, answer)
    for choice in _list(answer.get("choices"))[:1]:
        _take(said, choice.get("message"))
        said.stop = _text(choice.get("finish_reason"))
    return said


def take_event(said: Said, name: str, event: Mapping[str, JSONValue]) -> str:
    """Add one event of a stream. Return the text that it added."""
    before = len(said.text)
    _note(said, event)
    for choice in _list(event.get("choices"))[:1]:
        _take(said, choice.get("delta"))
        said.stop = _text(choice.get("finish_reason")) or said.stop
    return said.text[before:]


def is_end(data: str, event: Mapping[str, JSONValue]) -> bool:
    """Whether the event marks the end of a complete stream."""
    return data == "[DONE]"


def _message(message: Message) -> JSONValue:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.content}
    found: dict[str, JSONValue] = {"role": message.role, "content": message.content}
    if message.calls:
        found["tool_calls"] = [
            {"id": one.id, "type": "function", "function": {"name": one.name, "arguments": one.arguments}}
            for one in message.calls
        ]
    return found


def _note(said: Said, answer: Mapping[str, JSONValue]) -> None:
    said.model = _text(answer.get("model")) or said.model
    said.id = _text(answer.get("id")) or said.id
    usage = answer.get("usage")
    if isinstance(usage, dict):
        read, written = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
        said.read = said.read if read is None else read
        said.written = said.written if written is None else written


def _take(said: Said, part: JSONValue) -> None:
    """Add a message, or a delta of one."""
    if not isinstance(part, dict):
        return
    text = _text(part.get("content")) or _text(part.get("refusal"))
    said.text += text
    calls = _list(part.get("tool_calls"))
    argued = False
    for number, call in enumerate(calls):
        one, function = said.call(call.get("index", number)), call.get("function")
        if one is None or not isinstance(function, dict):
            continue
        one.id = _text(call.get("id")) or one.id
        one.name += _text(function.get("name"))
        one.arguments += _text(function.get("arguments"))
        argued = argued or bool(function.get("arguments"))
    if text or argued or part.get("reasoning_content"):
        said.pieces += 1


def _list(value: JSONValue) -> list[dict[str, JSONValue]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: JSONValue) -> str:
    return value if isinstance(value, str) else ""
