"""How a session of a role is ended before its time: an inline policy on the role that denies everything to it alone.

Laws: a denial is named by its lease and by when it is needed no more, so that it can be found, and taken away, by any
process; it is known by the name of the session, which the lease's is, and so hits no other.
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
"""What IAM answers when the inline policies of a role have no room left."""

_NAME: Final = re.compile(r"(ans_[a-z2-7]{26})\.([0-9]{1,12})")


def denial_name(name: LeaseName, until_seconds: int) -> str:
    """What the policy is called."""
    return f"{account_of(name)}.{until_seconds}"


def denial_policy(name: LeaseName) -> str:
    """Everything, for the session of this name. `aws:userid` is `ID-OF-THE-ROLE:NAME-OF-THE-SESSION`."""
    statement = {
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"StringLike": {"aws:userid": f"*:{account_of(checked_lease_name(name))}"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))


def denied(iam: Any, role: str) -> dict[LeaseName, int]:
    """Whose sessions of a role are denied, and until when, in Unix seconds. Blocks; raises as botocore does."""
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
    """Blocks; raises as botocore does. Idempotent."""
    iam.put_role_policy(
        RoleName=role_name(role),
        PolicyName=denial_name(name, until_seconds),
        PolicyDocument=denial_policy(name),
    )


def lift(iam: Any, role: str, name: LeaseName, until_seconds: int) -> None:
    """Take away a denial that is needed no more. Blocks; raises as botocore does."""
    iam.delete_role_policy(RoleName=role_name(role), PolicyName=denial_name(name, until_seconds))


def role_name(arn: str) -> str:
    """The name by which IAM knows the role."""
    return arn.rpartition("/")[2]
