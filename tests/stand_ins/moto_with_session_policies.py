"""Runs in the environment of moto: its server, with what moto leaves out and leases need: sessions end in time, are
narrowed by their session policy, and are denied by a condition on `aws:userid`. Added by us, after the documentation of
IAM; all the rest is moto's own. argv: port, and a file that says how many milliseconds its clock is ahead."""

from __future__ import annotations

import fnmatch
import json
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from moto.core.utils import utcnow
from moto.iam import access_control
from moto.server import main
from moto.sts.models import sts_backends

SKEW = Path(sys.argv[2])
_first_checked = access_control.IAMRequestBase.check_action_permitted
_first_made = access_control.AssumedRoleAccessKey.__init__


def skew() -> timedelta:
    return timedelta(milliseconds=int(SKEW.read_text() or 0))


def made(self: Any, account_id: str, partition: str, access_key_id: str, headers: dict[str, str]) -> None:
    _first_made(self, account_id, partition, access_key_id, headers)
    roles = sts_backends[account_id][partition].assumed_roles
    self.session = next(role for role in roles if role.access_key_id == access_key_id)
    if self.session.expiration <= utcnow() + skew():
        raise access_control.CreateAccessKeyFailure(reason="InvalidToken")


def checked(self: Any, resource: str) -> None:
    """Allowed by the role and by the session policy, and denied by neither."""
    key = self._access_key
    if not isinstance(key, access_control.AssumedRoleAccessKey):
        _first_checked(self, resource)
        return
    of_role = [json.loads(policy_text(one)) for one in key.collect_policies()]
    if self._action == "sts:GetCallerIdentity":  # As in moto and in AWS: always allowed.
        return
    context = {"aws:userid": key.session.user_id}
    layers = [of_role, [json.loads(key.session.policy)]] if key.session.policy else [of_role]
    for layer in layers:
        effects = [
            statement["Effect"]
            for policy in layer
            for statement in listed(policy["Statement"])
            if applies(statement, self._action, resource, context)
        ]
        if "Deny" in effects or "Allow" not in effects:
            self._raise_access_denied()


def policy_text(policy: Any) -> str:
    if isinstance(policy, str):
        return policy
    return next(version.document for version in policy.versions if version.is_default)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def applies(statement: dict[str, Any], action: str, resource: str, context: dict[str, str]) -> bool:
    if not any(globbed(one.lower(), action.lower()) for one in listed(statement["Action"])):
        return False
    if not any(globbed(one, resource) for one in listed(statement["Resource"])):
        return False
    return all(
        operator == "StringLike" and any(globbed(one, context[name]) for one in listed(values))
        for operator, condition in statement.get("Condition", {}).items()
        for name, values in condition.items()
    )


def globbed(pattern: str, text: str) -> bool:
    """`*` and `?` alone are wild in IAM."""
    return re.fullmatch(fnmatch.translate(pattern.replace("[", "[[]")), text) is not None


access_control.AssumedRoleAccessKey.__init__ = made
access_control.IAMRequestBase.check_action_permitted = checked
main(["-p", sys.argv[1]])
