"""The scope of a lease by OpenBao: which of the paths of the settings gives the credential.

Laws: a path is one of those in the settings, whole; what a credential of it may do is said by its role at OpenBao.
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
"""Of what OpenBao is asked for: nothing in it needs encoding, and no segment is `.` or `..`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """path: that gives the credential. terms: what the acting kind keeps a session to, as one text; empty for none."""

    path: str
    terms: str = ""


def faults_of(scope: Scope, paths: Collection[str]) -> tuple[str, ...]:
    """Why this cannot be granted; empty when it can. paths: of the settings."""
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
    """The scope, checked. Raises Refused (`lease.scope`)."""
    if faults := faults_of(scope, paths):
        raise LEASE_SCOPE(faults[0], reasons=faults)
    asked = scope.thaw()
    assert isinstance(asked, dict)  # noqa: S101 - it has no faults
    terms = asked.get("terms")
    return Grant(path=str(asked["credentials"]), terms=encode(terms).decode() if terms is not None else "")
