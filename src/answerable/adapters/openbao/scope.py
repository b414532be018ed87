"""Check the scope of an OpenBao lease: which configured path issues its credential.

Laws: the path is one of the configured paths, exactly; the rights of the credential are defined by its role at OpenBao.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode
from answerable.errors import shown
from answerable.errors.codes.leases import LEASE_SCOPE

if TYPE_CHECKING:
    from collections.abc import Collection

    from answerable.core.lease.scope import Scope

TERMS_BYTES_MAX: Final = 4_096
_MEMBERS: Final = frozenset({"credentials", "terms"})
PATH: Final = re.compile(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){1,6}")
"""A request path: nothing in it needs URL encoding, and no segment is `.` or `..`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The parameters of one lease. path: issues the credential. terms: limits that the acting target kind enforces in a
    session, as one text; empty for none."""

    path: str
    terms: str = ""


def faults_of(scope: Scope, paths: Collection[str]) -> tuple[str, ...]:
    """Return why this scope cannot be granted; empty if it can. paths: the configured ones."""
    asked = scope.thaw()
    if not isinstance(asked, dict):
        return ("a scope by OpenBao is an object with `credentials`",)
    faults = [f"unknown member {shown(name)}" for name in sorted(asked.keys() - _MEMBERS)]
    path, terms = asked.get("credentials"), asked.get("terms", {})
    if path not in paths:
        faults.append(f"`credentials` is one of the paths in the settings of the target, got {shown(path)}")
    if not isinstance(terms, dict) or len(encode(terms)) > TERMS_BYTES_MAX:
        faults.append(f"`terms` is an object of at most {TERMS_BYTES_MAX} bytes, as the acting kind has it")
    return tuple(faults)


def grant_of(scope: Scope, paths: Collection[str]) -> Grant:
    """Check a scope and convert it to a grant. Raises Refused (`lease.scope`)."""
    if faults := faults_of(scope, paths):
        raise LEASE_SCOPE(faults[0], reasons=faults)
    asked = scope.thaw()
    assert isinstance(asked, dict)  # noqa: S101 - it has no faults
    terms = asked.get("terms")
    return Grant(path=str(asked["credentials"]), terms=encode(terms).decode() if terms is not None else "")
