"""Check the scope of an AWS lease (a role and the policy statements that narrow its session) and convert it to a grant.

Laws: no text of a scope contains a wildcard or a policy variable (`*`, `?`, `$` are refused), so an action's argument
value is one name or a fault; everything below a name is granted only by `below`, which no argument value can produce;
each action is named in full; actions that return further credentials are never granted.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.errors import shown
from answerable.errors.codes.leases import LEASE_SCOPE

if TYPE_CHECKING:
    from collections.abc import Collection

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope

SESSION_SECONDS_MIN: Final = 900
"""The shortest session that STS issues."""
POLICY_CHARS_MAX: Final = 2_048
"""The size limit of STS for a session policy."""
STATEMENTS_MAX: Final = 16
ACTIONS_MAX: Final = 32
RESOURCES_MAX: Final = 32
TAGS_MAX: Final = 10

_MEMBERS: Final = frozenset({"role", "statements", "sourceIdentity", "tags"})
_STATEMENT_MEMBERS: Final = frozenset({"effect", "actions", "resources"})
_RESOURCE_MEMBERS: Final = frozenset({"arn", "below"})
_ACTION: Final = re.compile(r"[a-z][a-z0-9-]{1,40}:[A-Z][A-Za-z0-9]{1,80}")
_ARN: Final = re.compile(
    r"arn:aws(-[a-z]+){0,2}:[a-z0-9-]{1,40}:[a-z0-9-]{0,30}:[0-9]{0,12}:[^\s*?$\"\\]{1,1000}"
)
_IDENTITY: Final = re.compile(r"[A-Za-z0-9_=,.@-]{2,64}")
_TAG_NAME: Final = re.compile(r"[A-Za-z0-9_.:/=+@-]{1,64}")
_TAG_VALUE: Final = re.compile(r"[A-Za-z0-9 _.:/=+@-]{0,128}")
_NEVER: Final = frozenset(
    {
        "codeartifact:GetAuthorizationToken",
        "cognito-identity:GetCredentialsForIdentity",
        "ecr:GetAuthorizationToken",
        "redshift:GetClusterCredentials",
    }
)
_NEVER_SERVICES: Final = frozenset({"iam", "sts"})
"""Their answers are or create credentials that no lease can end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The parameters of one session. policy: the session policy, as JSON. actions: the IAM actions that it allows at
    most, for the broker's own check."""

    role: str
    policy: str
    actions: tuple[str, ...]
    source_identity: str = ""
    tags: tuple[tuple[str, str], ...] = ()


def faults_of(scope: Scope, roles: Collection[str]) -> tuple[str, ...]:
    """Return why this scope cannot be granted; empty if it can. roles: role ARNs that the broker may assume."""
    asked = scope.thaw()
    if not isinstance(asked, dict):
        return ("a scope on AWS is an object with `role` and `statements`",)
    faults = [f"unknown member {shown(name)}" for name in sorted(asked.keys() - _MEMBERS)]
    if asked.get("role") not in roles:
        faults.append(f"the role {shown(asked.get('role'))} is none of those in the settings of the target")
    statements = asked.get("statements")
    if not isinstance(statements, list) or not 1 <= len(statements) <= STATEMENTS_MAX:
        return (
            *faults,
            f"`statements` is a list of 1 to {STATEMENTS_MAX} objects with effect, actions, resources",
        )
    for number, statement in enumerate(statements):
        faults += (f"`statements[{number}]`: {fault}" for fault in _statement_faults(statement))
    faults += _identity_faults(asked)
    if not faults and len(policy := _policy(statements)) > POLICY_CHARS_MAX:
        faults.append(
            f"the statements make a policy of {len(policy)} characters, expected at most {POLICY_CHARS_MAX}"
        )
    if not faults and not _allowed(statements):
        faults.append("no statement allows anything")
    return tuple(faults)


def grant_of(scope: Scope, roles: Collection[str]) -> Grant:
    """Check a scope and convert it to a grant. Raises Refused (`lease.scope`)."""
    if faults := faults_of(scope, roles):
        raise LEASE_SCOPE(faults[0], reasons=faults)
    asked = scope.thaw()
    assert isinstance(asked, dict)  # noqa: S101 - it has no faults
    statements, tags = asked["statements"], asked.get("tags", {})
    assert isinstance(statements, list)  # noqa: S101 - it has no faults
    assert isinstance(tags, dict)  # noqa: S101 - it has no faults
    return Grant(
        role=str(asked["role"]),
        policy=_policy(statements),
        actions=_allowed(statements),
        source_identity=str(asked.get("sourceIdentity", "")),
        tags=tuple((name, str(value)) for name, value in sorted(tags.items())),
    )


def _statement_faults(statement: JSONValue) -> list[str]:
    if not isinstance(statement, dict):
        return ["an object with effect, actions and resources"]
    faults = [f"unknown member {shown(name)}" for name in sorted(statement.keys() - _STATEMENT_MEMBERS)]
    if statement.get("effect") not in ("Allow", "Deny"):
        faults.append("`effect` is Allow or Deny")
    actions, resources = statement.get("actions"), statement.get("resources")
    if not isinstance(actions, list) or not 1 <= len(actions) <= ACTIONS_MAX:
        faults.append(f"`actions` is a list of 1 to {ACTIONS_MAX} texts such as `s3:GetObject`")
    else:
        faults += (
            f"{shown(action)} is no action that can be granted: each is named whole, such as `s3:GetObject`, and "
            "none that gives out credentials"
            for action in actions
            if not _is_action(action)
        )
    if not isinstance(resources, list) or not 1 <= len(resources) <= RESOURCES_MAX:
        faults.append(
            f"`resources` is a list of 1 to {RESOURCES_MAX} ARNs, or objects with `arn` and `below`"
        )
    else:
        faults += (
            f"{shown(json.dumps(resource))} is no resource: a whole ARN without * ? $, a list of one and of segments, "
            "or an object with `arn` and `below`, which is true"
            for resource in resources
            if not _pattern(resource)
        )
    return faults


def _identity_faults(asked: dict[str, JSONValue]) -> list[str]:
    identity, tags = asked.get("sourceIdentity"), asked.get("tags", {})
    faults = []
    if identity is not None and not (isinstance(identity, str) and _IDENTITY.fullmatch(identity)):
        faults.append("`sourceIdentity` is a text of 2 to 64 letters, digits and `_ = , . @ -`")
    if not isinstance(tags, dict) or len(tags) > TAGS_MAX:
        return [*faults, f"`tags` is an object of at most {TAGS_MAX} texts"]
    faults += (
        f"the tag {shown(name)}: a name of 1 to 64 and a value of at most 128 letters, digits and `_ . : / = + @ -`"
        for name, value in tags.items()
        if not _TAG_NAME.fullmatch(name)
        or name.lower().startswith("aws:")
        or not isinstance(value, str)
        or not _TAG_VALUE.fullmatch(value)
    )
    return faults


def _is_action(action: JSONValue) -> bool:
    return (
        isinstance(action, str)
        and _ACTION.fullmatch(action) is not None
        and action not in _NEVER
        and action.partition(":")[0] not in _NEVER_SERVICES
    )


def _pattern(resource: JSONValue) -> str:
    """Return the resource as a policy states it; empty for an invalid resource."""
    is_below = isinstance(resource, dict)
    if isinstance(resource, dict):
        if resource.keys() != _RESOURCE_MEMBERS or resource["below"] is not True:
            return ""
        resource = resource["arn"]
    arn = _joined(resource)
    # With an empty value, `below` of `…:::bucket/` would grant the whole bucket: the ARN must end in a name.
    if not _is_arn(arn) or (is_below and arn[-1] in ":/"):
        return ""
    return f"{arn}/*" if is_below else arn


def _joined(arn: JSONValue) -> str:
    """Join an ARN given as a list: an ARN, then one path segment per text. No segment may contain `/` or `:`, so that a
    value cannot add segments."""
    if isinstance(arn, str):
        return arn
    if not isinstance(arn, list) or not arn or not all(isinstance(one, str) for one in arn):
        return ""
    first, *further = map(str, arn)
    return "/".join((first, *further)) if not any("/" in one or ":" in one for one in further) else ""


def _is_arn(text: str) -> bool:
    """Whether the text is a valid ARN. Empty, `.` and `..` segments are refused: services interpret them differently,
    and empty values produce them."""
    if not _ARN.fullmatch(text) or not text.isprintable() or not text.isascii():
        return False
    return not any(part in ("", ".", "..") for part in text.split(":", 5)[5].split("/"))


def _policy(statements: list[JSONValue]) -> str:
    made = [
        {
            "Effect": statement["effect"],
            "Action": statement["actions"],
            "Resource": [_pattern(resource) for resource in resources],
        }
        for statement in statements
        if isinstance(statement, dict) and isinstance(resources := statement["resources"], list)
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": made}, separators=(",", ":"))


def _allowed(statements: list[JSONValue]) -> tuple[str, ...]:
    return tuple(
        sorted(
            {
                str(action)
                for statement in statements
                if isinstance(statement, dict) and statement["effect"] == "Allow"
                for action in (statement["actions"] if isinstance(statement["actions"], list) else ())
            }
        )
    )
