"""Compile tool input schemas in closed form: arguments that neither the schema nor the capability names are refused.

Real servers accept members that their schema does not mention, and ignore them. What is decided, displayed and logged
must be exactly what takes effect, so every object that does not declare itself open is closed, at every depth:

- closing happens where an instance location starts (the root, a property, an item), never inside `allOf`, `anyOf`,
  `oneOf`, `$ref` targets and the like, which describe the same location together; `unevaluatedProperties: false`
  (JSON Schema 2020-12, core section 11.3) sees through all of these;
- conditions (`if`, `not`, `contains`) declare no members: they are preserved, but stripped of the annotations by
  which they would open a location;
- an explicit `additionalProperties` other than false stays open, because the schema declares it.

Older drafts are translated to 2020-12. External references are never fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import jsonschema_rs

from answerable.adapters.mcp_upstream.schema_references import require_few_references
from answerable.core.canonical import DEPTH_MAX, encode
from answerable.errors import shown
from answerable.errors.codes.documents import (
    SCHEMA_DEPTH,
    SCHEMA_INVALID,
    SCHEMA_NOT_OBJECT,
    SCHEMA_REFERENCE,
    SCHEMA_SIZE,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.canonical import JSONValue

SCHEMA_BYTES_MAX: Final = 262_144
VIOLATIONS_MAX: Final = 8
BACKTRACKS_MAX: Final = 100_000
"""Backtracking steps after which a pattern counts as not matching, so that no pattern blocks validation."""

_CLOSED: Final = "answerable-closed"
_CLOSED_REF: Final[dict[str, JSONValue]] = {"$ref": f"#/$defs/{_CLOSED}"}
_IN_PLACE_LISTS: Final = ("allOf", "anyOf", "oneOf")
_IN_PLACE_SINGLE: Final = ("then", "else")
_IN_PLACE: Final = frozenset(
    {"$ref", "$dynamicRef", "if", "dependentSchemas", *_IN_PLACE_LISTS, *_IN_PLACE_SINGLE}
)
_OLD_DRAFTS: Final = ("draft-03", "draft-04", "draft-05", "draft-06", "draft-07")


def compile_closed(
    schema: JSONValue, *, open_members: tuple[str, ...] = ()
) -> Callable[[dict[str, JSONValue]], tuple[str, ...]]:
    """Compile a tool's input schema once. The returned function lists why arguments do not fit, without their values.

    Raises Malformed (`schema.*`) for a schema that is no object schema, is too large, refers outside itself or does not
    compile.
    """
    if not isinstance(schema, dict):
        raise SCHEMA_NOT_OBJECT()
    if len(encode(schema)) > SCHEMA_BYTES_MAX:
        raise SCHEMA_SIZE(f"an input schema may have at most {SCHEMA_BYTES_MAX} bytes")
    require_few_references(schema)
    validators = [_compiled(closed(schema, open_members=open_members))]
    if b'"oneOf"' in encode(schema):
        # Closing a branch only refuses more, except in `oneOf`: it may leave exactly one matching branch. The open form
        # is therefore checked too.
        validators.append(_compiled(_Closing(schema).translated()))

    def violations(arguments: dict[str, JSONValue]) -> tuple[str, ...]:
        for validator in validators:
            if not validator.is_valid(arguments):
                return _texts(validator, arguments)
        return ()

    return violations


def closed(schema: dict[str, JSONValue], *, open_members: tuple[str, ...] = ()) -> dict[str, JSONValue]:
    """Return the closed form of a schema, in 2020-12. Raises Malformed (`schema.reference`, `schema.depth`)."""
    closing = _Closing(schema)
    root = closing.location(schema, depth=0)
    assert isinstance(root, dict)  # noqa: S101 - an object schema stays one
    if open_members:
        properties = root.get("properties")
        named = dict(properties) if isinstance(properties, dict) else {}
        own = schema.get("properties")
        for member in open_members:
            # A member that the schema names keeps its own rules, but its content is no longer closed.
            kept = own.get(member, True) if isinstance(own, dict) else True
            named[member] = closing.condition(kept, depth=1)
        root["properties"] = named
    definitions = root.get("$defs")
    root["$defs"] = {
        **(definitions if isinstance(definitions, dict) else {}),
        _CLOSED: {"unevaluatedProperties": False, "unevaluatedItems": _CLOSED_REF},
    }
    return root


class _Rewrite(Protocol):
    def __call__(self, schema: JSONValue, *, depth: int) -> JSONValue: ...


class _Closing:
    """One pass over one schema. Its methods differ by the role of a subschema:

    location: an instance location starts here. part: shares its location with other subschemas.
    condition: decides without describing members.
    """

    __slots__ = ("_old", "_root")

    def __init__(self, root: dict[str, JSONValue]) -> None:
        draft = root.get("$schema")
        self._old = isinstance(draft, str) and any(name in draft for name in _OLD_DRAFTS)
        self._root = root

    def translated(self) -> dict[str, JSONValue]:
        """Return the schema as 2020-12, not closed."""
        whole = self.condition(self._root, depth=0)
        assert isinstance(whole, dict)  # noqa: S101 - an object schema stays one
        return whole

    def location(self, schema: JSONValue, *, depth: int) -> JSONValue:
        """Close a location, unless it declares which other members it accepts."""
        if schema is False:
            return False
        part = self.part({} if schema is True else schema, depth=depth)
        if not isinstance(part, dict):
            return part
        spoken = "additionalProperties" in part or "unevaluatedProperties" in part
        if not spoken:
            # `additionalProperties` is faster and names the member; it suffices if no in-place applicator is present.
            part["unevaluatedProperties" if _IN_PLACE & part.keys() else "additionalProperties"] = False
        if not {"items", "unevaluatedItems"} & part.keys():
            part["unevaluatedItems"] = _CLOSED_REF
        return part

    def part(self, schema: JSONValue, *, depth: int) -> JSONValue:
        """Close everything below a schema, but not the schema's own location."""
        if not isinstance(schema, dict):
            return schema
        own = self._rewritten(schema, depth, location=self.location, part=self.part)
        if "if" in own:
            own["if"] = _silenced(own["if"])
        if "contains" in own:
            counted: dict[str, JSONValue] = {}
            counted |= {key: own.pop(key) for key in ("contains", "minContains", "maxContains") if key in own}
            others = own.get("allOf")
            own["allOf"] = [*(others if isinstance(others, list) else []), _silenced(counted)]
        return own

    def condition(self, schema: JSONValue, *, depth: int) -> JSONValue:
        """Preserve a schema's meaning, with references checked and old spelling translated."""
        if not isinstance(schema, dict):
            return schema
        return self._rewritten(schema, depth, location=self.condition, part=self.condition)

    def _rewritten(
        self, schema: dict[str, JSONValue], depth: int, *, location: _Rewrite, part: _Rewrite
    ) -> dict[str, JSONValue]:
        """Visit every position of a subschema (2020-12, core section 10), and no other member that merely resembles
        one."""
        own = self._spelled(schema, depth)
        below = depth + 1
        for name in ("properties", "patternProperties"):
            if isinstance(members := own.get(name), dict):
                own[name] = {key: location(value, depth=below) for key, value in members.items()}
        for name in ("additionalProperties", "unevaluatedProperties"):
            # `true` and `{}` declare that anything is allowed, at any depth.
            if own.get(name) not in (None, True, False, {}):
                own[name] = location(own[name], depth=below)
        for name in ("items", "unevaluatedItems"):
            if name in own:
                own[name] = location(own[name], depth=below)
        if isinstance(prefix := own.get("prefixItems"), list):
            own["prefixItems"] = [location(value, depth=below) for value in prefix]
        for name in _IN_PLACE_LISTS:
            if isinstance(branches := own.get(name), list):
                own[name] = [part(value, depth=below) for value in branches]
        for name in _IN_PLACE_SINGLE:
            if name in own:
                own[name] = part(own[name], depth=below)
        for name in ("dependentSchemas", "$defs", "definitions"):
            if isinstance(members := own.get(name), dict):
                own[name] = {key: part(value, depth=below) for key, value in members.items()}
        for name in ("if", "not", "contains", "propertyNames", "contentSchema"):
            if name in own:
                own[name] = self.condition(own[name], depth=below)
        return own

    def _spelled(self, schema: dict[str, JSONValue], depth: int) -> dict[str, JSONValue]:
        """Return a copy in 2020-12 spelling, with references checked and without `$schema` and `$id`."""
        if depth > DEPTH_MAX:
            raise SCHEMA_DEPTH(f"an input schema is nested deeper than {DEPTH_MAX} levels")
        own = dict(schema)
        for name in ("$ref", "$dynamicRef", "$recursiveRef"):
            reference = own.get(name)
            if isinstance(reference, str) and not reference.startswith("#"):
                raise SCHEMA_REFERENCE(
                    f"an input schema refers to {shown(reference)}, which is outside the schema"
                )
        own.pop("$schema", None)
        if "$id" in own and depth > 0:
            # Inside a schema with `$id`, `#` would refer to that schema.
            raise SCHEMA_REFERENCE("an input schema contains another schema with an `$id`")
        own.pop("$id", None)
        if self._old and isinstance(own.get("$ref"), str):
            # Up to draft 7, siblings of `$ref` are ignored (draft 7, core section 8.3).
            return {name: own[name] for name in ("$ref", "definitions", "$defs") if name in own}
        if isinstance(own.get("items"), list):
            own["prefixItems"] = own.pop("items")
            if "additionalItems" in own:
                own["items"] = own.pop("additionalItems")
        if isinstance(dependencies := own.pop("dependencies", None), dict):
            own["dependentRequired"] = {k: v for k, v in dependencies.items() if isinstance(v, list)}
            own["dependentSchemas"] = {k: v for k, v in dependencies.items() if not isinstance(v, list)}
        return own


def _silenced(schema: JSONValue) -> dict[str, JSONValue]:
    """Return the same condition without annotations: none are collected below `not` (2020-12, core section 7.7.1.3)."""
    return {"not": {"not": schema}}


def _compiled(schema: dict[str, JSONValue]) -> jsonschema_rs.Draft202012Validator:
    try:
        return jsonschema_rs.Draft202012Validator(
            schema,
            offline=True,
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACKS_MAX),
        )
    except (ValueError, jsonschema_rs.ReferencingError) as fault:
        line = str(fault).partition("\n")[0]
        raise SCHEMA_INVALID(f"an input schema does not compile: {shown(line)}") from None


def _texts(validator: jsonschema_rs.Draft202012Validator, arguments: dict[str, JSONValue]) -> tuple[str, ...]:
    """Return what is wrong and where; never a value, which may be long or secret."""
    texts: list[str] = []
    for error in validator.iter_errors(arguments):
        texts.append(_text(error))
        if len(texts) == VIOLATIONS_MAX:
            break
    return tuple(dict.fromkeys(texts)) or ("the arguments do not fit the input schema",)


def _text(error: jsonschema_rs.ValidationError) -> str:
    where = ".".join(str(step) for step in error.instance_path)
    place = f"member {shown(where, 80)}" if where else "the argument object"
    inside = f" in {shown(where, 80)}" if where else ""
    kind = jsonschema_rs.ValidationErrorKind
    match error.kind:
        case kind.Required(property=name):
            return f"member {shown(name, 80)} is missing{inside}"
        case kind.AdditionalProperties(unexpected=names) | kind.UnevaluatedProperties(unexpected=names):
            listed = ", ".join(shown(name, 80) for name in names[:3])
            return f"member {listed} is named neither by the tool's schema nor by the capability{inside}"
        case kind.Type(types=types):
            return f"{place} must be {' or '.join(types)}"
        case kind.Enum() | kind.Constant():
            return f"{place} is none of the allowed values"
        case kind.AnyOf() | kind.OneOfNotValid():
            return f"{place} fits none of its forms"
        case kind.OneOfMultipleValid():
            return f"{place} fits more than one of its forms"
        case kind.UnevaluatedItems():
            return f"{place} holds items with members that the tool's schema does not name"
        case kind.MaxLength(limit=limit) | kind.MaxItems(limit=limit) | kind.Maximum(limit=limit):
            return f"{place} is more than {limit}"
        case kind.MinLength(limit=limit) | kind.MinItems(limit=limit) | kind.Minimum(limit=limit):
            return f"{place} is less than {limit}"
        case other:
            return f"{place} does not fit `{other.name}`"
