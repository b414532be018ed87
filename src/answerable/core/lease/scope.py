"""Fill the grants of a capability from the decided action: the scope that limits the credential.

Laws: filling is one pass over texts, so that a value that looks like a placeholder stays text; a placeholder without a
value refuses; the filled scope is frozen and identified by its digest. The meaning of a grant is unknown here: the
target's issuer interprets it, and refuses what it does not understand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.canonical import FrozenJSON, freeze
from answerable.core.registry.documents.lease_template import ARGUMENT, PLACEHOLDER
from answerable.errors import shown
from answerable.errors.codes.leases import LEASE_SCOPE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import ArgumentMapping

VALUE_CHARS_MAX: Final = 512

Scope = FrozenJSON
"""What a lease may do at its target: grants, their holes filled with the values of one action."""


def filled(grants: JSONValue, values: Mapping[str, str]) -> Scope:
    """Return the scope of one action. values: by placeholder name, such as `argument.case`.

    Raises Refused (`lease.scope`) where a value is missing, too long or has control characters, and Malformed
    (`json.*`).
    """
    return freeze(_filled(grants, values))


def scope_values(
    arguments: Iterable[ArgumentMapping],
    given: Mapping[str, JSONValue],
    *,
    resource: str,
    mandate: str,
    agent: str,
) -> dict[str, str]:
    """Return the values that may fill a scope: names, and arguments that are texts or whole numbers, as decided. given:
    by the names that the capability maps them to."""
    values = {"resource": resource, "mandate": mandate, "agent": agent}
    for one in arguments:
        value = given.get(one.name)
        if isinstance(value, str):
            values[f"{ARGUMENT}{one.name}"] = value
        elif isinstance(value, int) and not isinstance(value, bool):
            values[f"{ARGUMENT}{one.name}"] = str(value)
    return values


def _filled(part: JSONValue, values: Mapping[str, str]) -> JSONValue:
    if isinstance(part, str):
        return PLACEHOLDER.sub(lambda found: _value(found[1], values), part)
    if isinstance(part, list):
        return [_filled(one, values) for one in part]
    if isinstance(part, dict):
        return {name: _filled(one, values) for name, one in part.items()}
    return part


def _value(name: str, values: Mapping[str, str]) -> str:
    value = values.get(name)
    if not value:
        raise LEASE_SCOPE(f"the action has no {shown(name)}, which must limit its credential")
    if len(value) > VALUE_CHARS_MAX or not value.isprintable():
        raise LEASE_SCOPE(
            f"{shown(name)} cannot limit a credential: it must have at most {VALUE_CHARS_MAX} "
            "printable characters"
        )
    return value
