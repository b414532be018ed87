"""Rights of grants with HTTP `requests`: each rule with each of its methods is one right. Other members of such grants
are listed, but whether an action needed them cannot be observed.

Law: every rule that permits a request counts as used by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.core.lease.requests import asked_request, joined, rules_of
from answerable.core.lease.use import RIGHTS_MAX, Right, Used
from answerable.errors import Malformed, Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRights:
    """Implements ports.target_rights.TargetRights. beside: other members, lists or objects, with the name of one item.
    method: of a call that names none."""

    beside: Mapping[str, str]
    method: str = ""

    def rights(self, grants: JSONValue) -> tuple[Right, ...]:
        found = [
            Right(f"requests/{number}/{method}", f"{method} {_said(rule)}")
            for number, rule in _rules(grants)
            for method in _methods(rule)
        ]
        found += [
            Right(f"{member}/{number}", f"{called} {said}", is_told=False)
            for member, called in self.beside.items()
            for number, said in enumerate(_beside(grants, member))
        ]
        return tuple(found) if len(found) <= RIGHTS_MAX else ()

    def narrowed(self, grants: JSONValue, kept: Collection[str]) -> JSONValue:
        if not isinstance(grants, dict) or "requests" not in grants:
            return grants
        rules: list[JSONValue] = []
        for number, rule in _rules(grants):
            methods: list[JSONValue] = [
                method for method in _methods(rule) if f"requests/{number}/{method}" in kept
            ]
            if methods:
                rules.append({**rule, "methods": methods})
        return {**grants, "requests": rules} if rules else None

    def used(
        self, scope: Scope, tool: str, arguments: Mapping[str, JSONValue], told: JSONValue
    ) -> Used | None:
        """Return what the port says; None for a request that cannot be parsed here, which was not permitted either."""
        grants = scope.thaw()
        if not isinstance(grants, dict) or "requests" not in grants:
            return Used(frozenset())
        try:
            method = arguments.get("method", self.method)
            asked = asked_request(method, arguments.get("path"), arguments.get("query"))
            rules = rules_of(grants["requests"])
        except (Refused, Malformed):
            return None
        found = set()
        for number, rule in enumerate(rules):
            if rule.lets(asked):
                by = asked.method if asked.method in rule.methods else "GET"
                found.add(f"requests/{number}/{by}")
        return Used(frozenset(found)) if found else None


def _rules(grants: JSONValue) -> Iterator[tuple[int, dict[str, JSONValue]]]:
    listed = grants.get("requests") if isinstance(grants, dict) else None
    for number, rule in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(rule, dict):
            yield number, rule


def _methods(rule: dict[str, JSONValue]) -> tuple[str, ...]:
    listed = rule.get("methods")
    return tuple(dict.fromkeys(map(str, listed))) if isinstance(listed, list) else ()


def _said(rule: dict[str, JSONValue]) -> str:
    query = rule.get("query")
    named = f" ?{', '.join(map(str, query))}" if isinstance(query, dict) and query else ""
    return f"{joined(rule.get('path'))}{' and below' if rule.get('below') is True else ''}{named}"


def _beside(grants: JSONValue, member: str) -> list[str]:
    value = grants.get(member) if isinstance(grants, dict) else None
    if isinstance(value, dict):
        return [f"{name}: {one}" for name, one in value.items()]
    return [one if isinstance(one, str) else str(one) for one in value] if isinstance(value, list) else []
