"""Convert the declarations of policy sets to and from JSON. The digest and the record of a policy set include this
form.

Laws: reading gives back what was written; default values are omitted, so that a part keeps its digest when a further
member with a default is added.
"""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING

import msgspec

from answerable.core.registry.documents.policy_parts import PolicyParts
from answerable.errors.codes.policy import POLICY_PARTS

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue


def form_of_parts(parts: PolicyParts) -> JSONValue:
    """Write the parts as JSON; an empty object for none."""
    return _form(parts)


def parts_of_form(form: JSONValue) -> PolicyParts:
    """Read what `form_of_parts` wrote. Raises Malformed (`policy.parts`) for anything else."""
    try:
        return msgspec.convert(form, PolicyParts)
    except msgspec.ValidationError as fault:
        raise POLICY_PARTS(f"these are not the parts of a policy set: {fault}") from None


def _form(value: object) -> JSONValue:
    if is_dataclass(value) and not isinstance(value, type):
        said: dict[str, JSONValue] = {}
        for field in fields(value):
            inner = getattr(value, field.name)
            if field.default is MISSING or inner != field.default:
                said[field.name] = _form(inner)
        return said
    if isinstance(value, tuple):
        return [_form(one) for one in value]
    if value is None or isinstance(value, str | int):
        return value
    raise TypeError(f"no form for {type(value).__name__}")
