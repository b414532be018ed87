"""The public face of target plug-ins: all that a package of others imports to add a kind of target to the broker.

    from answerable.targets import API, BuiltTarget, TargetContext, TargetKind

Promises: no import of this room loads an adapter or connects to anything. What is listed in `__all__` keeps its meaning
while `API` is the same number; names may be added. A kind states the number for which it was written, and the broker
refuses any other. `answerable.testing.contracts.target` tests a kind. What is not listed is shared by our own kinds and
may change.
"""

from __future__ import annotations

from answerable.core.canonical import FrozenJSON, JSONValue, freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import (
    Credential,
    IssuerTraits,
    LeaseOrder,
    Performed,
    Revoked,
    Secret,
)
from answerable.core.lease.name import LeaseName, account_of, lease_of
from answerable.core.lease.scope import Scope
from answerable.core.lease.use import Right, Used
from answerable.errors import Refused, Unavailable, shown
from answerable.errors.codes.leases import (
    LEASE_GONE,
    LEASE_RENEWAL,
    LEASE_SCOPE,
    LEASE_TAKEN,
    LEASE_TARGET,
    LEASE_UNTOLD,
    TARGET_ARGUMENTS,
)
from answerable.ports.admin_account import AdminAccount
from answerable.ports.brokered_target import BrokeredTarget, TargetSession
from answerable.ports.clock import Clock
from answerable.ports.credential_issuer import CredentialIssuer
from answerable.ports.entropy import Entropy
from answerable.ports.target_rights import TargetRights
from answerable.ports.upstream import Progress
from answerable.setting_fields import flag, number, reference, seconds, text, texts
from answerable.targets.arguments import check_names
from answerable.targets.failures import connection_lost, login_refused, no_answer_in_time, not_reached
from answerable.targets.kind import API, BuiltTarget, TargetContext, TargetKind
from answerable.targets.results import refusal, success

__all__ = [
    "API",
    "LEASE_GONE",
    "LEASE_RENEWAL",
    "LEASE_SCOPE",
    "LEASE_TAKEN",
    "LEASE_TARGET",
    "LEASE_UNTOLD",
    "TARGET_ARGUMENTS",
    "AdminAccount",
    "BrokeredTarget",
    "BuiltTarget",
    "Clock",
    "Credential",
    "CredentialIssuer",
    "Entropy",
    "FrozenJSON",
    "IssuerTraits",
    "JSONValue",
    "LeaseName",
    "LeaseOrder",
    "Performed",
    "Progress",
    "Refused",
    "Revoked",
    "Right",
    "Scope",
    "Secret",
    "TargetContext",
    "TargetKind",
    "TargetRights",
    "TargetSession",
    "Unavailable",
    "UnixMillis",
    "Used",
    "account_of",
    "check_names",
    "connection_lost",
    "flag",
    "freeze",
    "lease_of",
    "login_refused",
    "no_answer_in_time",
    "not_reached",
    "number",
    "reference",
    "refusal",
    "seconds",
    "shown",
    "success",
    "text",
    "texts",
]
