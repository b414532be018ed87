"""Check the scope of a Kubernetes lease (a namespace and RBAC rules without wildcards) and convert it to a grant.

Laws: `*` is not accepted anywhere, and every name follows Kubernetes' name grammar, so an action's argument value is
one name or a fault; rights by which a lease could outlive itself or gain more rights are never granted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode
from answerable.core.lease.requests import rule_faults
from answerable.errors import shown
from answerable.errors.codes.leases import LEASE_SCOPE

if TYPE_CHECKING:
    from collections.abc import Collection

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope

TOKEN_SECONDS_MIN: Final = 600
"""The shortest token lifetime of the TokenRequest API."""
RULES_MAX: Final = 32
NAMES_MAX: Final = 64
VERBS: Final = frozenset("create delete deletecollection get list patch update watch".split())

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_RESOURCE: Final = re.compile(r"[a-z][a-z0-9-]{0,62}(/[a-z][a-z0-9-]{0,62})?")
_MEMBERS: Final = frozenset({"namespace", "rules", "requests"})
_RULE_MEMBERS: Final = frozenset({"apiGroups", "resources", "resourceNames", "verbs"})
_NAMELESS_VERBS: Final = frozenset({"create", "deletecollection"})
_NEVER_GROUPS: Final = frozenset(
    {"authentication.k8s.io", "certificates.k8s.io", "rbac.authorization.k8s.io"}
)
_NEVER_RESOURCES: Final = frozenset({"serviceaccounts", "serviceaccounts/token"})
"""Write access to these creates credentials that no lease ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The objects of one lease. requests: rules that the broker itself enforces, as JSON; empty for none."""

    namespace: str
    rules: tuple[dict[str, JSONValue], ...]
    requests: str = ""


def faults_of(scope: Scope, namespaces: Collection[str]) -> tuple[str, ...]:
    """Return why this scope cannot be granted; empty if it can. namespaces: those in which leases may exist."""
    asked = scope.thaw()
    if not isinstance(asked, dict):
        return ("a scope on Kubernetes is an object with `namespace` and `rules`",)
    faults = [f"unknown member {shown(name)}" for name in sorted(asked.keys() - _MEMBERS)]
    namespace, rules = asked.get("namespace"), asked.get("rules")
    if not isinstance(namespace, str) or not _LABEL.fullmatch(namespace):
        faults.append("`namespace` is the name of a namespace: lower-case letters, digits and `-`")
    elif namespace not in namespaces:
        faults.append(f"the namespace {shown(namespace)} is none of those in the settings of the target")
    if not isinstance(rules, list) or not 1 <= len(rules) <= RULES_MAX:
        return (*faults, f"`rules` is a list of 1 to {RULES_MAX} rules with apiGroups, resources and verbs")
    for number, rule in enumerate(rules):
        faults += (f"`rules[{number}]`: {fault}" for fault in _rule_faults(rule))
    if "requests" in asked:
        faults += rule_faults(asked["requests"])
    return tuple(faults)


def grant_of(scope: Scope, namespaces: Collection[str]) -> Grant:
    """Check a scope and convert it to a grant. Raises Refused (`lease.scope`)."""
    if faults := faults_of(scope, namespaces):
        raise LEASE_SCOPE(faults[0], reasons=faults)
    asked = scope.thaw()
    assert isinstance(asked, dict)  # noqa: S101 - it has no faults
    rules = asked["rules"]
    assert isinstance(rules, list)  # noqa: S101 - it has no faults
    return Grant(
        namespace=str(asked["namespace"]),
        rules=tuple(rule for rule in rules if isinstance(rule, dict)),
        requests=encode(asked["requests"]).decode() if "requests" in asked else "",
    )


def rights_of(rules: JSONValue) -> tuple[str, ...]:
    """Return the rights of a role's rules, one per line, sorted."""
    lines: set[str] = set()
    for rule in rules if isinstance(rules, list) else ():
        if not isinstance(rule, dict):
            continue
        for group in _texts(rule.get("apiGroups")):
            for resource in _texts(rule.get("resources")):
                for name in _texts(rule.get("resourceNames")) or ("",):
                    place = f"{group or 'core'}/{resource}" + (f"/{name}" if name else "")
                    lines |= {f"{verb} {place}" for verb in _texts(rule.get("verbs"))}
    return tuple(sorted(lines))


def _rule_faults(rule: JSONValue) -> list[str]:
    if not isinstance(rule, dict):
        return ["an object with apiGroups, resources and verbs"]
    faults = [f"unknown member {shown(name)}" for name in sorted(rule.keys() - _RULE_MEMBERS)]
    groups, resources = _names(rule, "apiGroups"), _names(rule, "resources")
    verbs = _names(rule, "verbs")
    names = _names(rule, "resourceNames") if "resourceNames" in rule else ()
    for member, found in (
        ("apiGroups", groups),
        ("resources", resources),
        ("verbs", verbs),
        ("resourceNames", names),
    ):
        if found is None:
            faults.append(f"`{member}` is a list of 1 to {NAMES_MAX} texts")
    faults += (
        f"{shown(group)} is no API group that can be granted: a DNS name, or empty for the core one"
        for group in groups or ()
        if (group and not _NAME.fullmatch(group)) or group in _NEVER_GROUPS
    )
    faults += (
        f"{shown(resource)} is no resource that can be granted: `pods`, `pods/log` and the like"
        for resource in resources or ()
        if not _RESOURCE.fullmatch(resource) or resource in _NEVER_RESOURCES
    )
    faults += (
        f"{shown(name)} is not the name of an object" for name in names or () if not _NAME.fullmatch(name)
    )
    faults += (
        f"{shown(verb)} is none of {', '.join(sorted(VERBS))}" for verb in verbs or () if verb not in VERBS
    )
    if names and (nameless := sorted(_NAMELESS_VERBS & set(verbs or ()))):
        faults.append(f"RBAC cannot limit `{nameless[0]}` to names: give it in a rule without resourceNames")
    return faults


def _names(rule: dict[str, JSONValue], member: str) -> tuple[str, ...] | None:
    """Return the texts of a list; None for anything else, including an empty list: RBAC reads a rule without names as
    all names."""
    found = rule.get(member)
    if not isinstance(found, list) or not 1 <= len(found) <= NAMES_MAX:
        return None
    texts = tuple(one for one in found if isinstance(one, str))
    return texts if len(texts) == len(found) else None


def _texts(value: JSONValue) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
