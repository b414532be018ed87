"""Check a chat request of an agent against its lease and its reserved budget. Pure.

Laws: a model outside the lease is never called; the most that a request can spend is known before anything is sent, and
a request that exceeds its reservation is not sent; messages are texts and tool calls in a provider-neutral form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.model_provider.prices import read_at_most
from answerable.core.canonical import encode
from answerable.errors import Malformed, Refused, shown
from answerable.errors.codes.leases import TARGET_ARGUMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.adapters.model_provider.prices import Price, Prices
    from answerable.adapters.model_provider.scope import ModelScope
    from answerable.core.canonical import JSONValue

MESSAGES_MAX: Final = 1_000
TOOLS_MAX: Final = 128
NAME_CHARS_MAX: Final = 64
ROLES: Final = ("user", "assistant", "tool")
_MEMBERS: Final = frozenset(
    "model messages system max_tokens tokens_max cost_max temperature tools stream".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A model's call of a tool. arguments: JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. role: `user`, `assistant` (with the calls that it made), or `tool` (the result of a call). call_id:
    of that call."""

    role: str
    content: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that is offered to the model. schema: JSON Schema of its arguments."""

    name: str
    description: str
    schema: dict[str, JSONValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A checked request. max_tokens: limit of the answer. read_most: the most tokens that the request can be. price:
    None if the settings have no price for the model."""

    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    read_most: int
    system: str = ""
    temperature: float | None = None
    tools: tuple[Tool, ...] = ()
    stream: bool = False
    price: Price | None = None


def asked_chat(
    arguments: Mapping[str, JSONValue],
    scope: ModelScope,
    prices: Prices,
    *,
    bytes_max: int,
    temperature_max: int = 2,
) -> Chat:
    """Check the arguments and return the request. bytes_max: of messages and tools. Raises Refused
    (`target.arguments`), in which case nothing is sent."""
    if unknown := sorted(arguments.keys() - _MEMBERS):
        raise refused(f"unknown argument {shown(unknown[0])}")
    model = arguments.get("model")
    if not isinstance(model, str) or model not in scope.models:
        raise refused(
            f"the model {shown(model)} is not in the lease, which has {', '.join(scope.models)[:600]}"
        )
    most = _whole(arguments.get("max_tokens"), "max_tokens", scope.max_tokens)
    messages, tools = _messages(arguments.get("messages")), _tools(arguments.get("tools"))
    if tools and not scope.tools:
        raise refused("the lease lets no tools be offered to the model")
    system, temperature, stream = (arguments.get(name) for name in ("system", "temperature", "stream"))
    if system is not None and not isinstance(system, str):
        raise refused("`system` is a text")
    if temperature is not None and (
        isinstance(temperature, bool)
        or not isinstance(temperature, int | float)
        or not 0 <= temperature <= temperature_max
    ):
        raise refused(f"`temperature` is a number from 0 to {temperature_max}")
    if not isinstance(stream, bool | None):
        raise refused("`stream` is true or false")
    size = _size(arguments)
    if size > bytes_max:
        raise refused(f"messages and tools have {size} bytes, more than {bytes_max}")
    chat = Chat(
        model=model,
        messages=messages,
        max_tokens=most,
        read_most=read_at_most(size, len(messages) + 1, with_tools=bool(tools)),
        system=system or "",
        temperature=None if temperature is None else float(temperature),
        tools=tools,
        stream=bool(stream),
        price=prices.find(model),
    )
    _require_reserved(arguments, chat, prices)
    return chat


def _require_reserved(arguments: Mapping[str, JSONValue], chat: Chat, prices: Prices) -> None:
    """Refuse a request that can exceed `tokens_max` or `cost_max`: the gateway reserved exactly these amounts."""
    most = chat.read_most + chat.max_tokens
    if "tokens_max" in arguments:
        given = arguments["tokens_max"]
        if type(given) is not int or given < most:
            raise refused(
                f"this may take {most} tokens ({chat.read_most} to read, {chat.max_tokens} to write) and `tokens_max` "
                f"says {shown(given, 20)}: raise it, or ask for less"
            )
    if "cost_max" in arguments:
        given = arguments["cost_max"]
        if chat.price is None:
            raise refused(
                f"the settings name no price of {shown(chat.model)}, so that `cost_max` cannot be kept"
            )
        cost = prices.minor_units(chat.price.cost(chat.read_most, chat.max_tokens))
        if type(given) is not int or given < cost:
            raise refused(
                f"this may cost {cost} minor units of {prices.currency} and `cost_max` says {shown(given, 20)}: raise "
                "it, or ask for less"
            )


def _messages(given: JSONValue) -> tuple[Message, ...]:
    if not isinstance(given, list) or not 1 <= len(given) <= MESSAGES_MAX:
        raise refused(f"`messages` is a list of 1 to {MESSAGES_MAX} messages")
    return tuple(_message(one, f"messages[{number}]") for number, one in enumerate(given))


def _message(given: JSONValue, where: str) -> Message:
    members = {"role", "content", "tool_calls", "tool_call_id"}
    if not isinstance(given, dict) or given.keys() - members:
        raise refused(f"`{where}` is an object with {', '.join(sorted(members))}")
    role, content, call_id = given.get("role"), given.get("content", ""), given.get("tool_call_id", "")
    if role not in ROLES or not isinstance(content, str) or not isinstance(call_id, str):
        raise refused(f"`{where}` has a `role` of {', '.join(ROLES)} and a text as `content`")
    calls = given.get("tool_calls", [])
    if not isinstance(calls, list) or len(calls) > TOOLS_MAX or (calls and role != "assistant"):
        raise refused(f"`{where}.tool_calls` is a list of calls, of an assistant")
    if (role == "tool") != bool(call_id):
        raise refused(f"`{where}` has a `tool_call_id` exactly when its role is `tool`")
    return Message(
        role=str(role), content=content, calls=tuple(_call(one, where) for one in calls), call_id=call_id
    )


def _call(given: JSONValue, where: str) -> ToolCall:
    if isinstance(given, dict) and given.keys() == {"id", "name", "arguments"}:
        called, name, arguments = given["id"], given["name"], given["arguments"]
        if isinstance(called, str) and isinstance(name, str) and isinstance(arguments, dict):
            return ToolCall(id=called, name=name, arguments=encode(arguments).decode())
    raise refused(f"each of `{where}.tool_calls` has `id`, `name` and an object as `arguments`")


def _tools(given: JSONValue) -> tuple[Tool, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or len(given) > TOOLS_MAX:
        raise refused(f"`tools` is a list of at most {TOOLS_MAX} tools")
    found = []
    for one in given:
        if not isinstance(one, dict) or one.keys() - {"name", "description", "input_schema"}:
            raise refused("a tool is an object with `name`, `description` and `input_schema`")
        name, description, schema = one.get("name"), one.get("description", ""), one.get("input_schema", {})
        if (
            not isinstance(name, str)
            or not 1 <= len(name) <= NAME_CHARS_MAX
            or not isinstance(description, str)
            or not isinstance(schema, dict)
        ):
            raise refused(f"a tool has a name of at most {NAME_CHARS_MAX} characters and a schema")
        found.append(Tool(name=name, description=description, schema=schema))
    return tuple(found)


def _size(arguments: Mapping[str, JSONValue]) -> int:
    """Return the size of all text for the model, as JSON, which is never shorter than the text."""
    try:
        return len(encode([arguments.get(name) for name in ("messages", "system", "tools")]))
    except Malformed as fault:
        raise refused(f"the messages cannot be sent: {fault.message}") from None


def _whole(value: JSONValue, name: str, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise refused(
            f"`{name}` is a whole number from 1 to {most}, which the lease allows, got {shown(value, 20)}"
        )
    return value


def refused(message: str) -> Refused:
    """Return a refusal of the arguments; nothing was sent."""
    return TARGET_ARGUMENTS(message)
