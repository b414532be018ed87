"""Check the scope of a GitHub lease (repositories of one owner and app permissions) and convert it to a grant.

Laws: both members must be present and not empty, because GitHub treats a missing or empty member as all that the
installation has; a repository is one name, never a pattern; GitHub's answer is compared with the request.
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
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope

REPOSITORIES_MAX: Final = 50
PERMISSIONS_MAX: Final = 50
LEVELS: Final = ("read", "write", "admin")
"""In ascending order: each level includes the ones before it."""

_MEMBERS: Final = frozenset({"repositories", "permissions", "requests"})
_REPOSITORY: Final = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9_.-]{1,100}")
_PERMISSION: Final = re.compile(r"[a-z][a-z_]{0,63}")
_ALWAYS: Final = ("metadata", "read")
"""GitHub adds this permission to every token that has any repository permission."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The parameters of one token. repositories: names without the owner. requests: rules that the broker itself
    enforces, as JSON; empty for none."""

    repositories: tuple[str, ...]
    permissions: tuple[tuple[str, str], ...]
    requests: str = ""

    def asked(self) -> dict[str, JSONValue]:
        """Return the body of the token request."""
        return {"repositories": list(self.repositories), "permissions": dict(self.permissions)}

    def beyond(self, answer: Mapping[str, JSONValue]) -> str:
        """Return the first right in GitHub's answer that was not requested; empty if there is none. A missing list
        counts as everything."""
        repositories, permissions = answer.get("repositories"), answer.get("permissions")
        if answer.get("repository_selection") != "selected" or not isinstance(repositories, list):
            return "all repositories"
        asked = {name.lower() for name in self.repositories}
        for one in repositories:
            name = str(one.get("name")) if isinstance(one, dict) else ""
            if name.lower() not in asked:
                return f"the repository {shown(name)}"
        if not isinstance(permissions, dict):
            return "permissions that it does not tell"
        held = dict(
            (*self.permissions, _ALWAYS) if "metadata" not in dict(self.permissions) else self.permissions
        )
        for name, level in permissions.items():
            if level not in LEVELS or name not in held or LEVELS.index(str(level)) > LEVELS.index(held[name]):
                return f"{shown(level)} on {shown(name)}"
        return ""


def faults_of(scope: Scope, owner: str) -> tuple[str, ...]:
    """Return why this scope cannot be granted; empty if it can. owner: account that the installation belongs to."""
    asked = scope.thaw()
    if not isinstance(asked, dict):
        return ("a scope on GitHub is an object with `repositories` and `permissions`",)
    faults = [f"unknown member {shown(name)}" for name in sorted(asked.keys() - _MEMBERS)]
    repositories, permissions = asked.get("repositories"), asked.get("permissions")
    if not isinstance(repositories, list) or not 1 <= len(repositories) <= REPOSITORIES_MAX:
        faults.append(f"`repositories` is a list of 1 to {REPOSITORIES_MAX} texts such as `{owner}/NAME`")
    else:
        faults += (
            f"{shown(one)} is no repository of the installation: `{owner}/NAME`"
            for one in repositories
            if not _name_of(one, owner)
        )
    if not isinstance(permissions, dict) or not 1 <= len(permissions) <= PERMISSIONS_MAX:
        faults.append("`permissions` is an object such as {`issues`: `write`}, with at least one member")
    else:
        faults += (
            f"the permission {shown(name)}: {shown(level)} is none: a name with one of {', '.join(LEVELS)}"
            for name, level in permissions.items()
            if not _PERMISSION.fullmatch(name) or level not in LEVELS
        )
    if "requests" in asked:
        faults += rule_faults(asked["requests"])
    return tuple(faults)


def grant_of(scope: Scope, owner: str) -> Grant:
    """Check a scope and convert it to a grant. Raises Refused (`lease.scope`)."""
    if faults := faults_of(scope, owner):
        raise LEASE_SCOPE(faults[0], reasons=faults)
    asked = scope.thaw()
    assert isinstance(asked, dict)  # noqa: S101 - it has no faults
    repositories, permissions = asked["repositories"], asked["permissions"]
    assert isinstance(repositories, list)  # noqa: S101 - it has no faults
    assert isinstance(permissions, dict)  # noqa: S101 - it has no faults
    return Grant(
        repositories=tuple(_name_of(one, owner) for one in repositories),
        permissions=tuple((name, str(level)) for name, level in sorted(permissions.items())),
        requests=encode(asked["requests"]).decode() if "requests" in asked else "",
    )


def rights_of(answer: Mapping[str, JSONValue], owner: str) -> tuple[str, ...]:
    """Return the rights in GitHub's answer, one per line, sorted."""
    repositories, permissions = answer.get("repositories"), answer.get("permissions")
    names = [
        str(one.get("name"))
        for one in (repositories if isinstance(repositories, list) else ())
        if isinstance(one, dict)
    ]
    levels = permissions.items() if isinstance(permissions, dict) else ()
    return tuple(sorted(f"{owner}/{name} {right}:{level}" for name in names for right, level in levels))


def _name_of(repository: JSONValue, owner: str) -> str:
    """Return the repository's name without the owner; empty if the owner is another or the text is no repository."""
    if not isinstance(repository, str):
        return ""
    before, _, name = repository.rpartition("/")
    return name if before.lower() == owner.lower() and _REPOSITORY.fullmatch(name) else ""
