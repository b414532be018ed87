"""Answers of the control API in tests: whole ones of which a test says only what it is about."""

from __future__ import annotations

import json
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


def filled(kind: type[T], **members: Any) -> T:
    """An answer with these members, as a server would send them; all others are empty."""
    return msgspec.convert({**blank(kind), **members}, kind)


def blank(kind: Any) -> Any:
    """An empty value of a type, as JSON."""
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        names = dict(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))
        return {names[name]: blank(hint) for name, hint in get_type_hints(kind).items() if name in names}
    if origin in (Union, UnionType):
        return None if NoneType in inner else blank(inner[0])
    if origin is Literal:
        return inner[0]
    return [] if origin is tuple else (origin or kind)()


def as_sent(answer: msgspec.Struct) -> Any:
    """An answer as its bytes say it."""
    return json.loads(json.dumps(msgspec.to_builtins(answer)))


def read_back(shape: Any, content: bytes) -> bytes:
    """An answer's bytes, read by its type and written again: the same, if the type has every member, in its order."""
    read = msgspec.convert(json.loads(content), shape)
    return json.dumps(msgspec.to_builtins(read), separators=(",", ":")).encode()
