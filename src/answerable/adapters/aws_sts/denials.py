"""End a role session early by adding an inline IAM policy to the role that denies everything to that session only.

Laws: the policy's name holds the lease's account name and the time after which the denial is no longer needed, so any
process can find and remove it; the denial matches the session name, which follows from the lease name, and so affects
no other session.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from answerable.core.lease.name import account_of, checked_lease_name, lease_of

if TYPE_CHECKING:
    from answerable.core.lease.name import LeaseName

PAGES_MAX: Final = 50
FULL: Final = "LimitExceeded"
"""The error code of IAM when the inline policies of a role reach their size limit."""

_NAME: Final = re.compile(r"(ans_[a-z2-7]{26})\.([0-9]{1,12})")


def denial_name(name: LeaseName, until_seconds: int) -> str:
    """Return the name of the inline policy that denies a lease's session."""
    return f"{account_of(name)}.{until_seconds}"


def denial_policy(name: LeaseName) -> str:
    """Return a policy document, as JSON, that denies every action to the session of this lease. `aws:userid` is
    `ROLE-ID:SESSION-NAME`."""
    statement = {
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"StringLike": {"aws:userid": f"*:{account_of(checked_lease_name(name))}"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))


def denied(iam: Any, role: str) -> dict[LeaseName, int]:
    """Return the denied leases of a role, each with the Unix time in seconds until which it is denied. Blocks; raises
    botocore's errors."""
    found: dict[LeaseName, int] = {}
    marker: dict[str, str] = {}
    for _ in range(PAGES_MAX):
        page = iam.list_role_policies(RoleName=role_name(role), **marker)
        for policy in page["PolicyNames"]:
            if (ours := _NAME.fullmatch(policy)) and (name := lease_of(ours[1])):
                found[name] = int(ours[2])
        if not page.get("IsTruncated"):
            break
        marker = {"Marker": page["Marker"]}
    return found


def deny(iam: Any, role: str, name: LeaseName, until_seconds: int) -> None:
    """Add a denial for the session of a lease. Idempotent. Blocks; raises botocore's errors."""
    iam.put_role_policy(
        RoleName=role_name(role),
        PolicyName=denial_name(name, until_seconds),
        PolicyDocument=denial_policy(name),
    )


def lift(iam: Any, role: str, name: LeaseName, until_seconds: int) -> None:
    """Remove a denial that is no longer needed. Blocks; raises botocore's errors."""
    iam.delete_role_policy(RoleName=role_name(role), PolicyName=denial_name(name, until_seconds))


def role_name(arn: str) -> str:
    """Return the role name that IAM calls expect, from the role's ARN."""
    return arn.rpartition("/")[2]
