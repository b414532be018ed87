"""Build the shadow of an agent or capability: registry documents under which a drill runs, in force nowhere else.

Laws: everything by which holds cover the shadow is copied from the drilled document, except its name; it shares no
credentials with anybody; it has one capability, which affects nothing; no policy of others is evaluated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode, parse
from answerable.core.containment.drill import document_of
from answerable.core.registry.parsing.in_force import POLICY_SET
from answerable.errors import shown
from answerable.errors.codes.containment import DRILL_UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.containment.drill import Drilled
    from answerable.core.identity.keys.keys import PublicKey

TOOL: Final = "act"
ARGUMENT: Final = "how"
ASKS: Final = "asks"
"""Waits for a person's approval."""
WAITS: Final = "waits"
"""Stays in flight until the drill lets it end."""
ANSWERS: Final = "answers"

NAME_PREFIX: Final = "drill-"
NAME_BYTES: Final = 4
_OWN_CHARS_MAX: Final = 32
_NAME: Final = re.compile(rf"{NAME_PREFIX}.{{1,{_OWN_CHARS_MAX}}}-[0-9a-f]{{{2 * NAME_BYTES}}}")

_OWN_MEMBERS: Final = frozenset(
    {"keys", "unixUids", "certificates", "attestation", "broker", "status", "capabilities", "useCase"}
)
"""Members of an agent's spec that are not copied: how it is identified, and what it may do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A shadow of a registered agent or capability. name: of the shadow agent, its capability, server, use case and
    policy set, and of the giver of its task. approver: the person asked for approval. documents: canonical JSON by
    `kind/name`, together with those in force."""

    name: str
    approver: str
    documents: dict[str, bytes]


def shadow_name(what: Drilled, octets: bytes) -> str:
    """Return the unique name of a shadow. octets: NAME_BYTES random bytes."""
    return f"{NAME_PREFIX}{what.name[:_OWN_CHARS_MAX]}-{octets.hex()}"


def is_shadow_name(name: str) -> bool:
    """Whether only a shadow can have this name: nothing else is registered or issued under it."""
    return name.startswith(NAME_PREFIX) and _NAME.fullmatch(name) is not None


def shadow_of(
    what: Drilled, stored: Mapping[str, bytes], *, name: str, giver: PublicKey, approver: PublicKey
) -> Shadow:
    """Build the shadow of a registered document. giver, approver: keys of two people created for this drill alone.

    Raises Refused (`drill.unknown`).
    """
    key = document_of(what)
    if key not in stored:
        raise DRILL_UNKNOWN(f"there is no {what.kind} {shown(what.name)}: see `answerable registry list`")
    second = f"{name}-2"
    spec = _spec(stored[key])
    ownership, environment = spec.get("ownership"), spec.get("environment")
    tier = spec.get("tier", 0)
    agent: dict[str, JSONValue] = (
        {member: value for member, value in spec.items() if member not in _OWN_MEMBERS}
        if what.kind == "agent"
        else {"environment": environment, "ownership": ownership, "tier": tier}
    )
    sensitivity = spec.get("sensitivity", "internal") if what.kind == "capability" else "internal"
    made: dict[tuple[str, str], dict[str, JSONValue]] = {
        ("Principal", name): {"groups": [name], "keys": [parse(giver.jwk.encode())]},
        ("Principal", second): {"groups": [name], "keys": [parse(approver.jwk.encode())]},
        ("UseCase", name): {"purpose": "A drill", "issuers": [name], "ownership": ownership},
        ("Server", name): {"command": "false"},
        ("Agent", name): {**agent, "useCase": name, "attestation": [[f"join_token:name:{name}"]]},
        ("Capability", name): {
            "server": name,
            "target": TOOL,
            "kind": "read",
            "environment": environment,
            "tier": tier,
            "sensitivity": sensitivity,
            "resource": {"type": "Drill", "argument": ARGUMENT},
            "arguments": [{"name": ARGUMENT, "type": "string", "required": True}],
            "ownership": ownership,
        },
        ("PolicySet", name): {"policies": _policies(name)},
    }
    documents = {one: text for one, text in stored.items() if not one.startswith(POLICY_SET)}
    for (kind, own), content in made.items():
        documents[f"{kind}/{own}"] = encode(
            {"apiVersion": "answerable/v1", "kind": kind, "metadata": {"name": own}, "spec": content}
        )
    return Shadow(name=name, approver=second, documents=documents)


def _policies(name: str) -> str:
    scope = f'principal, action == Action::"{name}", resource'
    return (
        f'@id("drill") permit ({scope});\n'
        f'@id("drill-asks") @reason("a drill asks a person") @approve("{name}:1")\n'
        f'forbid ({scope}) when {{ context.arguments.{ARGUMENT} == "{ASKS}" }};\n'
    )


def _spec(document: bytes) -> dict[str, JSONValue]:
    match parse(document):
        case {"spec": dict(spec)}:
            return spec
    raise DRILL_UNKNOWN("the registered document has no `spec`")
