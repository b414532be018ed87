"""The statement of a policy set in a log, recorded once: everything that is needed to evaluate the policy set again.

Laws: the digest by which decisions name a policy set is the SHA-256 of these bytes; they contain only the digest of the
schema that the set was checked under, since a decision does not use the schema, and it is large; reading gives back
what was written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import Limits, freeze, parse
from answerable.core.registry.documents.parts_form import form_of_parts, parts_of_form
from answerable.core.registry.documents.policy_parts import NO_PARTS
from answerable.errors.codes.policy import POLICY_STATEMENT

if TYPE_CHECKING:
    from answerable.core.canonical import FrozenJSON, JSONValue
    from answerable.core.registry.documents.policy_parts import PolicyParts

STATEMENT_BYTES_MAX: Final = 64 * 1_048_576
_MEMBERS: Final = {"parts", "policies", "schema_digest"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyStatement:
    """A statement. policies: Cedar text. parts: the declarations of the sets; None in logs from before they were
    recorded. schema_digest: hex, of the schema generated from the registered capabilities; empty if not recorded."""

    policies: str
    parts: PolicyParts | None
    schema_digest: str


def policy_statement(policies: str, *, parts: PolicyParts, schema: JSONValue) -> FrozenJSON:
    """Return the canonical bytes with their digest. The member `parts` is omitted if nothing is declared."""
    whole: dict[str, JSONValue] = {"policies": policies, "schema_digest": freeze(schema).hex}
    if parts != NO_PARTS:
        whole["parts"] = form_of_parts(parts)
    return freeze(whole)


def read_statement(text: bytes) -> PolicyStatement:
    """Read a policy set from a log. Raises Malformed (`policy.statement`, `policy.parts`, `json.*`)."""
    value = parse(text, limits=Limits(size_bytes_max=STATEMENT_BYTES_MAX))
    if isinstance(value, str):
        return PolicyStatement(policies=value, parts=None, schema_digest="")
    if isinstance(value, dict) and value.keys() <= _MEMBERS:
        policies, schema = value.get("policies"), value.get("schema_digest")
        if isinstance(policies, str) and isinstance(schema, str):
            parts = parts_of_form(value["parts"]) if "parts" in value else NO_PARTS
            return PolicyStatement(policies=policies, parts=parts, schema_digest=schema)
    raise POLICY_STATEMENT()
