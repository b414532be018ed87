"""Decide which HTTP requests a lease permits: parse the `requests` of a scope, and compare an agent's request with
them.

Laws: paths and queries are plain texts, encoded once, by us, when they are sent; whatever servers parse differently
(dot segments, empty segments, percent signs, backslashes, `;`, `?`, `#`, characters that normalise to these) is refused
on both sides, so that what was compared is what is sent. No text is a wildcard: `below` and `true` are not texts, so no
value of an action can become one. A path given as a list has one segment for each text, so that no value in it can add
segments; a path given as text can contain several. A query parameter that no rule names is refused; one that a rule
names with a value must be present, once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from unicodedata import normalize

from answerable.errors import shown
from answerable.errors.codes.leases import LEASE_SCOPE, TARGET_ARGUMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from answerable.core.canonical import JSONValue

METHODS: Final = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
RULES_MAX: Final = 64
PATH_CHARS_MAX: Final = 2_048
PARAMETERS_MAX: Final = 32
NAME_CHARS_MAX: Final = 128
VALUE_CHARS_MAX: Final = 2_048
CHOICES_MAX: Final = 64

_UNSAFE: Final = re.compile(r"[%\\;?#]")
_MEMBERS: Final = frozenset({"methods", "path", "below", "query"})
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SAFE_IN_PATH: Final = _UNRESERVED | frozenset(b"/:@!$&'()*+,=")
"""Characters that RFC 3986 permits unencoded in a path, without `;`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRule:
    """Permitted requests. below: also every path under this one, after a `/`. query: for each parameter the values of
    which it must have one; None for any value, or none."""

    methods: tuple[str, ...]
    path: str
    below: bool = False
    query: tuple[tuple[str, tuple[str, ...] | None], ...] = ()

    def lets(self, asked: AskedRequest) -> bool:
        """Whether this rule permits the request. A rule of `GET` permits `HEAD`, which returns less."""
        method = "GET" if asked.method == "HEAD" and "HEAD" not in self.methods else asked.method
        return method in self.methods and self._lets_path(asked.path) and self._lets_query(dict(asked.query))

    def _lets_path(self, path: str) -> bool:
        return path == self.path or (self.below and path.startswith(self.path.removesuffix("/") + "/"))

    def _lets_query(self, asked: Mapping[str, str]) -> bool:
        named = dict(self.query)
        if not asked.keys() <= named.keys():
            return False
        return all(values is None or asked.get(name) in values for name, values in named.items())

    def __str__(self) -> str:
        query = "&".join(f"{name}={'|'.join(values or ('any',))}" for name, values in self.query)
        return f"{','.join(self.methods)} {self.path}{' and below' if self.below else ''}" + (
            f" ?{query}" if query else ""
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRequest:
    """An agent's request, validated by `asked_request`."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()

    def target(self) -> str:
        """Return path and query as sent on the wire: ASCII, encoded once."""
        query = "&".join(
            f"{_encoded(name, _UNRESERVED)}={_encoded(value, _UNRESERVED)}" for name, value in self.query
        )
        return _encoded(self.path, _SAFE_IN_PATH) + (f"?{query}" if query else "")


def asked_request(method: object, path: object, query: object = None) -> AskedRequest:
    """Validate an agent's request. query: an object of texts. Raises Refused (`target.arguments`)."""
    if method not in METHODS:
        raise TARGET_ARGUMENTS(f"method is {shown(method, 20)}, expected one of {', '.join(METHODS)}")
    if fault := path_fault(path):
        raise TARGET_ARGUMENTS(fault)
    if query is None:
        query = {}
    if not isinstance(query, dict) or len(query) > PARAMETERS_MAX:
        raise TARGET_ARGUMENTS(f"`query` must be an object of at most {PARAMETERS_MAX} texts")
    for name, value in query.items():
        if fault := _name_fault(name) or _value_fault(name, value):
            raise TARGET_ARGUMENTS(fault)
    return AskedRequest(method=str(method), path=str(path), query=tuple(query.items()))


def let_request(rules: Iterable[RequestRule], asked: AskedRequest) -> AskedRequest:
    """Return the request, if a rule permits it. Raises Refused (`target.arguments`) with what is permitted."""
    rules = tuple(rules)
    if any(rule.lets(asked) for rule in rules):
        return asked
    raise TARGET_ARGUMENTS(
        f"the lease of this action does not permit {asked.method} {shown(asked.path)} with "
        f"{_named((name for name, _ in asked.query))}: it permits "
        f"{'; '.join(map(str, rules))[:600]}"
    )


def rules_of(requests: JSONValue) -> tuple[RequestRule, ...]:
    """Parse the `requests` of a filled scope. Raises Refused (`lease.scope`) with the faults."""
    if faults := rule_faults(requests):
        raise LEASE_SCOPE(faults[0], reasons=faults)
    assert isinstance(requests, list)  # noqa: S101 - without faults it is one
    return tuple(_rule(one) for one in requests if isinstance(one, dict))


def rule_faults(requests: JSONValue, where: str = "requests") -> tuple[str, ...]:
    """Return the faults of the `requests` of a filled scope; empty when all of it is understood."""
    if not isinstance(requests, list) or not 1 <= len(requests) <= RULES_MAX:
        return (f"`{where}` is a list of 1 to {RULES_MAX} objects with `methods` and `path`",)
    faults: list[str] = []
    for number, rule in enumerate(requests):
        faults += (f"`{where}[{number}]`: {fault}" for fault in _faults_of(rule))
    return tuple(faults)


def path_fault(path: object) -> str:
    """Return why servers may parse this path differently; empty when it is unambiguous."""
    if not isinstance(path, str) or not path.startswith("/") or len(path) > PATH_CHARS_MAX:
        return (
            f"a path is a text of at most {PATH_CHARS_MAX} characters that begins with `/`, got {shown(path)}"
        )
    if not path.isprintable():
        return f"the path {shown(path)} has characters that cannot be printed"
    if found := _UNSAFE.search(path):
        return (
            f"the path {shown(path)} has {shown(found[0])}: write it unencoded, without % \\ ; ? #, and parameters in "
            "`query`"
        )
    if normalize("NFKC", path) != path:
        return f"the path {shown(path)} has characters that others read as different ones: write it in NFKC"
    segments = path[1:].split("/")
    if "." in segments or ".." in segments or "" in segments[:-1]:
        return f"the path {shown(path)} has a segment that is empty, `.` or `..`"
    return ""


def segments_fault(path: JSONValue) -> str:
    """Check the path of a rule like `path_fault`: a text, or a list with a text for each segment."""
    if not isinstance(path, list):
        return path_fault(path)
    if not path or not all(isinstance(one, str) for one in path):
        return "a path that is a list has a text for each segment, and at least one"
    odd = [one for one in path if not one or "/" in str(one)]
    return f"{shown(odd[0])} is not one segment of a path" if odd else path_fault(joined(path))


def joined(path: JSONValue) -> str:
    """Return the path of a faultless rule as one text."""
    return "/" + "/".join(map(str, path)) if isinstance(path, list) else str(path)


def _faults_of(rule: JSONValue) -> list[str]:
    if not isinstance(rule, dict):
        return ["an object with `methods` and `path`"]
    faults = [f"unknown member {shown(name)}" for name in sorted(rule.keys() - _MEMBERS)]
    methods, query = rule.get("methods"), rule.get("query", {})
    if not isinstance(methods, list) or not methods or not all(method in METHODS for method in methods):
        faults.append(f"`methods` is a list of some of {', '.join(METHODS)}")
    if fault := segments_fault(rule.get("path")):
        faults.append(fault)
    if not isinstance(rule.get("below", False), bool):
        faults.append("`below` is true or false")
    if not isinstance(query, dict) or len(query) > PARAMETERS_MAX:
        return [*faults, f"`query` is an object of at most {PARAMETERS_MAX} parameters"]
    for name, values in query.items():
        if fault := _name_fault(name) or _values_fault(name, values):
            faults.append(fault)
    return faults


def _rule(rule: Mapping[str, JSONValue]) -> RequestRule:
    methods, query = rule["methods"], rule.get("query", {})
    assert isinstance(methods, list)  # noqa: S101 - has no faults
    assert isinstance(query, dict)  # noqa: S101 - has no faults
    return RequestRule(
        methods=tuple(sorted({str(method) for method in methods})),
        path=joined(rule["path"]),
        below=rule.get("below") is True,
        query=tuple((name, _values(values)) for name, values in sorted(query.items())),
    )


def _values(values: JSONValue) -> tuple[str, ...] | None:
    if values is True:
        return None
    return tuple(map(str, values)) if isinstance(values, list) else (str(values),)


def _values_fault(name: str, values: JSONValue) -> str:
    if values is True:
        return ""
    several: Sequence[JSONValue] = values if isinstance(values, list) else [values]
    if not 1 <= len(several) <= CHOICES_MAX:
        return f"the parameter {shown(name)} has 1 to {CHOICES_MAX} values, or true for any"
    return next((fault for value in several if (fault := _value_fault(name, value))), "")


def _name_fault(name: object) -> str:
    if isinstance(name, str) and 1 <= len(name) <= NAME_CHARS_MAX and name.isascii() and name.isprintable():
        return ""
    return f"the parameter {shown(name)} is not named by 1 to {NAME_CHARS_MAX} printable characters of ASCII"


def _value_fault(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > VALUE_CHARS_MAX:
        return f"the parameter {shown(name)} is a text of at most {VALUE_CHARS_MAX} characters"
    if not value.isprintable():
        return f"the parameter {shown(name)} has characters that cannot be printed"
    return ""


def _encoded(text: str, safe: frozenset[int]) -> str:
    return "".join(chr(octet) if octet in safe else f"%{octet:02X}" for octet in text.encode())


def _named(names: Iterable[str]) -> str:
    return ", ".join(shown(name, 40) for name in names) or "no parameter"
