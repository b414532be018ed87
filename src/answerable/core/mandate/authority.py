"""Authority of one hop: named capabilities within typed bounds. Terms, tokens and checks all use this form.

| key of a constraint                       | fact that the constraint limits                                          |
|-------------------------------------------|--------------------------------------------------------------------------|
| `resource:CAPABILITY`                     | id of the resource that an action of this capability touches             |
| `argument:CAPABILITY:NAME`                | that argument of the action                                              |
| `environment`, `sensitivity`, `kind`      | of the capability                                                        |
| `system`                                  | the server that the action is called on                                  |
| `destination`                             | each destination, as `email:…`, `host:…` or `name:…`                     |
| `calls`, `money:EUR`, `rows`, `bytes`, `tokens`, `wall_ms` | sums, kept by the caller                                |

`environment`, `sensitivity`, `kind`, `system` and `destination` may end in `:CAPABILITY`, and then limit that
capability alone.

Laws: an action is permitted only when a scope names its capability and every constraint about the action holds; a key
that is not in the table, an unknown type and a missing fact refuse; a sum that nobody reserves refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.mandate import delegation_terms as terms
from answerable.core.mandate.caveat import (
    SENSITIVITIES,
    ArgumentAtMost,
    ArgumentEquals,
    DestinationIn,
    EnvironmentIs,
    KindIn,
    ResourceIn,
    SensitivityAtMost,
)
from answerable.core.mandate.constraint import (
    Constraint,
    Max,
    MaxLifetime,
    MaxSubtree,
    OneOf,
    Rank,
    Unknown,
    from_wire,
    joined,
    made,
    to_wire,
)
from answerable.core.mandate.mandate import Shortfall
from answerable.core.mandate.scope import checked_scope, covers
from answerable.errors import shown
from answerable.errors.codes.mandate import (
    DELEGATION_AMBIGUOUS_GRANT,
    DELEGATION_CEILING_EXCEEDED,
    DELEGATION_MALFORMED,
    DELEGATION_SCOPE_NOT_GRANTED,
    DELEGATION_UNKNOWN_CONSTRAINT,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.mandate.caveat import Attempt, Caveat
    from answerable.core.mandate.mandate import MandateTerms

SCOPES_MAX: Final = 64
CONSTRAINTS_MAX: Final = 512

RESOURCE: Final = "resource"
ARGUMENT: Final = "argument"
ENVIRONMENT: Final = "environment"
DESTINATION: Final = "destination"
SENSITIVITY: Final = "sensitivity"
KIND: Final = "kind"
SYSTEM: Final = "system"
CALLS: Final = "calls"

_EMAIL: Final = "email:"
_SUM: Final = re.compile(r"calls|rows|bytes|tokens|wall_ms|money:[A-Z]{3}")
_OF_ALL: Final = frozenset({ENVIRONMENT, DESTINATION, SENSITIVITY, KIND, SYSTEM})
_MEMBERS: Final = frozenset({terms.DETAIL_TYPE, terms.SCOPES, terms.CONSTRAINTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Scopes and constraints of a hop in canonical order: each scope once, and one constraint per key and type.

    Raises Malformed (`delegation.malformed`) for an authority that cannot be written to the wire and read back.
    """

    scopes: tuple[str, ...]
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < len(self.scopes) <= SCOPES_MAX or len(self.constraints) > CONSTRAINTS_MAX:
            raise DELEGATION_MALFORMED(
                f"expected 1 to {SCOPES_MAX} scopes and at most {CONSTRAINTS_MAX} constraints, got "
                f"{len(self.scopes)} and {len(self.constraints)}"
            )
        scopes = sorted({checked_scope(scope) for scope in self.scopes})
        if len(scopes) < len(self.scopes):
            raise DELEGATION_MALFORMED("a scope is named twice")
        constraints = sorted(map(made, self.constraints), key=_pair)
        if len({_pair(one) for one in constraints}) < len(constraints):
            raise DELEGATION_MALFORMED("two constraints have the same key and type")
        object.__setattr__(self, "scopes", tuple(scopes))
        object.__setattr__(self, "constraints", tuple(constraints))

    def names(self, capability: str) -> bool:
        """Whether a scope covers this capability."""
        return any(covers(scope, capability) for scope in self.scopes)


def detail_of(authority: Authority) -> dict[str, JSONValue]:
    """Write the `agent_delegation` object of RFC 9396's `authorization_details`; the inverse of `authority_in`."""
    return {
        terms.DETAIL_TYPE: terms.DELEGATION,
        terms.SCOPES: list(authority.scopes),
        terms.CONSTRAINTS: [to_wire(one) for one in authority.constraints],
    }


def authority_in(detail: JSONValue) -> Authority:
    """Read one `agent_delegation` object. Raises Malformed (`delegation.malformed`), also for an unknown member."""
    if not isinstance(detail, dict) or detail.get(terms.DETAIL_TYPE) != terms.DELEGATION:
        raise DELEGATION_MALFORMED(f"expected an authorization detail of type `{terms.DELEGATION}`")
    unknown = [name for name in detail if name not in _MEMBERS]
    if unknown:
        raise DELEGATION_MALFORMED(f"authorization detail has an unknown member {shown(unknown[0], 40)}")
    scopes, constraints = detail.get(terms.SCOPES), detail.get(terms.CONSTRAINTS, [])
    if not isinstance(scopes, list) or not isinstance(constraints, list):
        raise DELEGATION_MALFORMED("authorization detail must have lists in `scopes` and `constraints`")
    texts = tuple(scope for scope in scopes if isinstance(scope, str))
    # Check the number of items before reading them, so that a hostile list costs nothing.
    if len(texts) < len(scopes) or len(scopes) > SCOPES_MAX or len(constraints) > CONSTRAINTS_MAX:
        raise DELEGATION_MALFORMED(
            f"expected at most {SCOPES_MAX} scopes, all text, and at most {CONSTRAINTS_MAX} constraints"
        )
    return Authority(scopes=texts, constraints=tuple(from_wire(one) for one in constraints))


def authority_of(mandate: MandateTerms) -> Authority:
    """Convert the terms of a mandate to one authority. Every action that the authority permits, the terms permit.

    Raises Malformed: `delegation.ambiguous_grant` if two grants name the same capability, since such grants are
    alternatives and cannot be handed on; `delegation.malformed` for more scopes or constraints than a token can hold.
    """
    capabilities = [grant.capability for grant in mandate.grants]
    if len(set(capabilities)) < len(capabilities):
        twice = next(name for name in capabilities if capabilities.count(name) > 1)
        raise DELEGATION_AMBIGUOUS_GRANT(
            f"the mandate grants {shown(twice)} twice and cannot be delegated: merge the two grants, "
            "or request two mandates"
        )
    constraints: list[Constraint] = [MaxSubtree(key=CALLS, bound=mandate.calls_max)]
    constraints += [MaxSubtree(key=name, bound=limit) for name, limit in mandate.budgets]
    for grant in mandate.grants:
        own = [_constraint(caveat, grant.capability, of_all=False) for caveat in grant.caveats]
        common = [_constraint(caveat, grant.capability, of_all=True) for caveat in mandate.caveats]
        constraints += own + common
    merged: dict[tuple[str, str], Constraint] = {}
    for one in constraints:
        merged[_pair(one)] = joined(merged[_pair(one)], one) if _pair(one) in merged else one
    return Authority(scopes=tuple(capabilities), constraints=tuple(merged.values()))


def failure(authority: Authority, attempt: Attempt, *, reserved: Collection[str] = ()) -> Shortfall | None:
    """Return why the authority does not permit an action, as code and sentence, or None if it does.

    reserved: names of sums (`calls`, `rows` …) that the caller reserves, before the effect, from this hop's account
    with the limits of `limits_of`. A bounded sum that is not in `reserved` refuses. Codes:
    `delegation.scope_not_granted`, `delegation.ceiling_exceeded`, `delegation.unknown_constraint`.
    """
    if not authority.names(attempt.capability):
        return Shortfall(
            code=DELEGATION_SCOPE_NOT_GRANTED.id, text=f"does not include {shown(attempt.capability)}"
        )
    for constraint in authority.constraints:
        facts = _facts(constraint.key, attempt)
        if facts is None or isinstance(constraint, Unknown):
            return Shortfall(
                code=DELEGATION_UNKNOWN_CONSTRAINT.id,
                text=f"has an unknown bound on {shown(constraint.key, 60)}, so the action is refused",
            )
        if isinstance(constraint, MaxLifetime | MaxSubtree) and constraint.key in reserved:
            continue
        for fact in facts:
            if (why := _unmet(constraint, fact)) is not None:
                return Shortfall(
                    code=DELEGATION_CEILING_EXCEEDED.id, text=f"allows {shown(constraint.key, 60)} {why}"
                )
    return None


def _unmet(constraint: Constraint, fact: JSONValue) -> str | None:
    """Return the constraint's own `failure`. A mail address also counts as its domain, and never as a subdomain."""
    why = constraint.failure(fact)
    if isinstance(fact, str) and fact.startswith(_EMAIL) and constraint.key.startswith(DESTINATION):
        in_domain = constraint.failure(_EMAIL + fact.rpartition("@")[2])
        # An allow-list passes if it lists the address or its domain; a ban applies if it lists either of them.
        return why and in_domain if isinstance(constraint, OneOf) else why or in_domain
    return why


def limits_of(authority: Authority) -> Mapping[str, int]:
    """Return how much may be reserved under the hop, by name of the sum. A `max_lifetime` bound is counted over the
    subtree too, which is never less."""
    limits: dict[str, int] = {}
    for one in authority.constraints:
        if isinstance(one, MaxLifetime | MaxSubtree):
            limits[one.key] = min(limits.get(one.key, int(one.bound)), int(one.bound))
    return limits


def _facts(key: str, attempt: Attempt) -> tuple[JSONValue, ...] | None:
    """Return the facts that a key limits: empty for a key of another capability, None for an unknown key.

    A missing fact is returned as null, which no constraint lets pass.
    """
    if _SUM.fullmatch(key):
        return (None,)
    name, _, rest = key.partition(":")
    capability, _, argument = rest.partition(":")
    if name == ARGUMENT and capability and argument:
        return (attempt.arguments.get(argument),) if capability == attempt.capability else ()
    if argument or (name not in _OF_ALL and name != RESOURCE) or key.endswith(":"):
        return None
    if name == RESOURCE and not capability:
        return None
    if capability and capability != attempt.capability:
        return ()
    if name == DESTINATION:
        kind = attempt.destination_type
        return tuple(f"{kind}:{one}" for one in attempt.destinations if kind) or (None,)
    known: dict[str, str] = {
        RESOURCE: attempt.resource_id,
        ENVIRONMENT: attempt.environment,
        SENSITIVITY: attempt.sensitivity,
        KIND: attempt.kind,
        SYSTEM: attempt.server,
    }
    return (known[name] or None,)


def _constraint(caveat: Caveat, capability: str, *, of_all: bool) -> Constraint:
    """Convert one caveat. of_all: the caveat belongs to the whole mandate. Keys of `resource` and `argument` name the
    capability either way."""
    end = "" if of_all else f":{capability}"
    match caveat:
        case ResourceIn(ids=ids):
            return OneOf(key=f"{RESOURCE}:{capability}", members=_once(ids))
        case ArgumentEquals(name=name, value=value):
            return OneOf(key=f"{ARGUMENT}:{capability}:{name}", members=(value,))
        case ArgumentAtMost(name=name, maximum=maximum):
            return Max(key=f"{ARGUMENT}:{capability}:{name}", bound=maximum)
        case EnvironmentIs(environment=environment):
            return OneOf(key=f"{ENVIRONMENT}{end}", members=(environment,))
        case DestinationIn(type=kind, allowed=allowed):
            return OneOf(key=f"{DESTINATION}{end}", members=_once(f"{kind}:{one}" for one in allowed))
        case SensitivityAtMost(ceiling=ceiling):
            return Rank(key=f"{SENSITIVITY}{end}", rank=ceiling, order=SENSITIVITIES)
        case KindIn(kinds=kinds):
            return OneOf(key=f"{KIND}{end}", members=_once(kinds))
    return OneOf(key=f"{SYSTEM}{end}", members=_once(caveat.servers))


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _pair(constraint: Constraint) -> tuple[str, str]:
    return constraint.key, constraint.type
