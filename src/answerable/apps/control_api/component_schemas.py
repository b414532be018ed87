"""Make the schemas of the OpenAPI document from the types of answers and bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin, get_type_hints

from msgspec import Struct
from msgspec.json import schema_components

from answerable.api.members import Component

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.apps.control_api.schemas import Schema

_PLACE: Final = "#/components/schemas/"
_FIRST: Final = ("type", "format", "pattern", "minimum", "maximum", "maxLength", "items", "enum", "anyOf")


def component_schemas(types: Iterable[type[Component]]) -> dict[str, Schema]:
    """Return the schema of each of these types, and of each component that one of them contains, by name.

    A part is described inside of what contains it. Words of an enumeration come in the order of their type. Objects are
    closed. Raises ValueError if something else has the name of a component.
    """
    wanted = tuple(types)
    _, found = schema_components(wanted, ref_template=f"{_PLACE}{{name}}")
    structs = {one for kind in wanted for one in _structs(kind, set())}
    names = {one.__name__ for one in structs if issubclass(one, Component)}
    clashing = [name for name in names if sum(one.__name__ == name for one in structs) > 1]
    if clashing:
        raise ValueError(f"expected components with names of their own, got several of {sorted(clashing)}")
    words = {frozenset(one): list(one) for struct in structs for one in _words(_hints(struct))}
    parts = {name: schema for name, schema in found.items() if name not in names}
    return {name: _written(found[name], parts, words) for name in sorted(names)}


def _written(schema: Any, parts: dict[str, Any], words: dict[frozenset[str], list[str]]) -> Any:
    if isinstance(schema, list):
        return [_written(one, parts, words) for one in schema]
    if not isinstance(schema, dict):
        return schema
    part = parts.get(str(schema.get("$ref", "")).removeprefix(_PLACE))
    if part is not None:
        return _written(
            {**part, **{key: value for key, value in schema.items() if key != "$ref"}}, parts, words
        )
    properties = {name: _written(one, parts, words) for name, one in schema.get("properties", {}).items()}
    if "title" in schema:
        return {
            "type": "object",
            "properties": properties,
            "required": schema["required"],
            "additionalProperties": False,
        }
    made = {key: _written(schema[key], parts, words) for key in sorted(schema, key=_rank)}
    if properties:
        made |= {"properties": properties}
    if "enum" in schema:
        made |= {"enum": words.get(frozenset(schema["enum"]), schema["enum"])}
    return {"type": "string", **made} if "enum" in schema else made


def _rank(key: str) -> tuple[int, str]:
    return (_FIRST.index(key) if key in _FIRST else len(_FIRST), key)


def _structs(kind: Any, known: set[type]) -> Iterator[type[Struct]]:
    """Iterate over the structs that a type contains, itself included."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        if kind not in known:
            known.add(kind)
            yield kind
            yield from (one for hint in _hints(kind) for one in _structs(hint, known))
        return
    for inner in get_args(kind):
        yield from _structs(inner, known)


def _hints(struct: type[Struct]) -> list[Any]:
    return [*get_type_hints(struct, include_extras=True).values()]


def _words(kinds: Iterable[Any]) -> Iterator[tuple[str, ...]]:
    """Iterate over the enumerations in some types, each with its words in order."""
    for kind in kinds:
        if get_origin(kind) is Literal:
            yield get_args(kind)
        else:
            yield from _words(get_args(kind))
