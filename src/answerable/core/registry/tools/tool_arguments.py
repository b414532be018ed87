"""List the arguments of a tool from its input schema, one for each place at any depth.

Laws: depth and number are bounded, and a cut is visible; references are followed inside the schema only; what a schema
expresses otherwise (conditions, alternatives) is reported as such and never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.fields import pointer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from answerable.core.canonical import JSONValue

ARGUMENTS_MAX: Final = 500
DEPTH_MAX: Final = 8
SCHEMAS_MAX: Final = 5_000
ANYTHING: Final = "anything"
"""Type of an argument without a type."""
ITEM: Final = "*"
"""Path step for every item of a list."""

_BOUNDS: Final = (
    "enum", "const", "format", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "default",
)  # fmt: skip
_JSON_TYPES: Final = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
NO_TYPE: Final = "no type of JSON"
_BRANCHES: Final = ("anyOf", "oneOf", "allOf")
_WITH_MEMBERS: Final = ("properties", "items", *_BRANCHES)
"""Keywords under which a schema has members."""
_ALTERNATIVES: Final = ("anyOf", "oneOf", "allOf", "not", "if", "patternProperties", "$dynamicRef")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolArgument:
    """One argument. path: JSON pointer (RFC 6901) into the arguments, `*` for every item. type: JSON type; several are
    joined by `or`; NO_TYPE if the schema names a type that does not exist.

    bounds: further constraints on the value, by keyword. open: an object that accepts members it does not name.
    """

    path: str
    type: str
    required: bool
    description: str = ""
    bounds: Mapping[str, JSONValue]
    open: bool = False


class ToolArguments(dict[str, ToolArgument]):
    """Arguments by path, in the order of the schema. cut: paths below which the schema may have more than is listed;
    empty if everything is listed, and with the path `""` if anything may be missing."""

    def __init__(self) -> None:
        super().__init__()
        self.cut: set[str] = set()

    def is_cut_at(self, path: str) -> bool:
        """Whether an argument with this path may be missing because of a cut."""
        return any(path.startswith(f"{above}/") for above in self.cut)


def arguments_in(schema: JSONValue) -> ToolArguments:
    """Return the arguments of a tool, at most ARGUMENTS_MAX. Never raises."""
    found = ToolArguments()
    root = schema if isinstance(schema, dict) else {}
    for argument in _Reader(root, found.cut).members(root, "", depth=0):
        found.setdefault(argument.path, argument)
        if len(found) >= ARGUMENTS_MAX:
            found.cut.add("")
            break
    return found


class _Reader:
    """Reads one schema. A schema may refer to itself, so the visited subschemas are counted."""

    __slots__ = ("_cut", "_left", "_root")

    def __init__(self, root: dict[str, JSONValue], cut: set[str]) -> None:
        """cut: takes the paths at which the reading ends early."""
        self._root, self._cut = root, cut
        self._left = SCHEMAS_MAX

    def members(self, schema: dict[str, JSONValue], path: str, *, depth: int) -> Iterator[ToolArgument]:
        self._left -= 1
        if self._left < 0:
            self._cut.add("")
            return
        own = self._resolved(schema)
        is_deep = depth > DEPTH_MAX
        if "$ref" in own or (is_deep and any(own.get(name) for name in _WITH_MEMBERS)):
            self._cut.add(path)
        if is_deep:
            return
        properties, required = own.get("properties"), own.get("required")
        needed = required if isinstance(required, list) else []
        for name, below in properties.items() if isinstance(properties, dict) else ():
            yield from self._argument(below, pointer(path, name), required=name in needed, depth=depth)
        if "items" in own and path:
            yield from self._argument(own["items"], pointer(path, ITEM), required=False, depth=depth)
        for alternatives in _BRANCHES:
            branches = own.get(alternatives)
            for branch in branches if isinstance(branches, list) else ():
                if isinstance(branch, dict):
                    yield from self.members(branch, path, depth=depth + 1)

    def _argument(
        self, schema: JSONValue, path: str, *, required: bool, depth: int
    ) -> Iterator[ToolArgument]:
        own = self._resolved(schema)
        description = own.get("description")
        extra = own.get("additionalProperties")
        yield ToolArgument(
            path=path,
            type=self._type(own, depth=depth),
            required=required,
            description=description if isinstance(description, str) else "",
            bounds={name: own[name] for name in (*_BOUNDS, *_ALTERNATIVES) if name in own},
            open=extra is True or isinstance(extra, dict),
        )
        yield from self.members(own, path, depth=depth + 1)

    def _type(self, schema: JSONValue, *, depth: int) -> str:
        self._left -= 1
        own = self._resolved(schema)
        named = own.get("type")
        if isinstance(named, str):
            return _type_name(named)
        if isinstance(named, list) and named:
            return " or ".join(sorted({_type_name(one) for one in named}))
        for alternatives in ("anyOf", "oneOf"):
            branches = own.get(alternatives)
            if isinstance(branches, list) and branches and depth <= DEPTH_MAX and self._left > 0:
                # A branch may have several types, and types may repeat between branches.
                types = (self._type(one, depth=depth + 1).split(" or ") for one in branches)
                return " or ".join(sorted({one for found in types for one in found}))
        if "const" in own:
            return _json_type(own["const"])
        values = own.get("enum")
        if isinstance(values, list) and values:
            return " or ".join(sorted({_json_type(one) for one in values}))
        return "object" if isinstance(own.get("properties"), dict) else ANYTHING

    def _resolved(self, schema: JSONValue) -> dict[str, JSONValue]:
        """Return the schema with its references resolved, merged with the keywords beside them."""
        own: dict[str, JSONValue] = dict(schema) if isinstance(schema, dict) else {}
        for _ in range(DEPTH_MAX):
            target = own.pop("$ref", None)
            if not isinstance(target, str) or not target.startswith("#"):
                break
            found: JSONValue = dict(self._root)
            for step in target.removeprefix("#").split("/")[1:]:
                name = step.replace("~1", "/").replace("~0", "~")
                found = found.get(name) if isinstance(found, dict) else None
            own = {**(found if isinstance(found, dict) else {}), **own}
        return own


def _type_name(value: JSONValue) -> str:
    """Return a JSON Schema type name. A server may write any text as a type; an unknown type becomes NO_TYPE."""
    return value if isinstance(value, str) and value in _JSON_TYPES else NO_TYPE


def _json_type(value: JSONValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"
