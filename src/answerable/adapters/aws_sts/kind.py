"""Settings and construction of `aws` targets: leases as sessions of IAM roles."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.aws_sts import SESSION_SECONDS_MIN, AwsClients, AwsIssuer, AwsPlace, AwsTarget
from answerable.adapters.aws_sts.clients import Keys
from answerable.errors import shown
from answerable.setting_fields import flag, number, reference, seconds, text, texts
from answerable.targets.api_access import address_faults, secret_for
from answerable.targets.kind import BuiltTarget, TargetKind

if TYPE_CHECKING:
    from answerable.targets.kind import TargetContext

_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+){1,3}-[0-9]")
_ACCESS_KEY: Final = re.compile(r"[A-Z0-9]{16,128}")
_ROLE: Final = re.compile(r"arn:aws(-[a-z]+){0,2}:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSettings:
    """The roles for leases, and the broker's own IAM user."""

    region: str = text("", "Region of STS and of what agents ask, such as `eu-central-1`.")
    roles: tuple[str, ...] = texts((), "ARNs of the roles that leases are sessions of. No other is taken on.")
    access_key: str = text("", "Access key id of the broker's own user.")
    secret_key: str = reference("Secret key of the broker's own user, read anew for every call.")
    denies: bool = flag(
        False,
        "Whether the broker may write inline policies of the roles, by which it ends a session before its time.",
    )
    session_seconds_max: int = number(
        3_600,
        "Longest life of a session; not more than the roles allow.",
        unit="seconds",
        minimum=SESSION_SECONDS_MIN,
        maximum=43_200,
    )
    endpoint: str = text(
        "", "Address at which every service is asked; for private ones. Empty for those of AWS.", unit="URL"
    )
    answer_seconds_max: float = seconds(
        10.0, "How long one answer to the broker's own user may take.", minimum=0.1, maximum=60.0
    )
    result_bytes_max: int = number(
        262_144,
        "Size of one answer to an agent; more is cut.",
        unit="bytes",
        minimum=1_024,
        maximum=8_388_608,
    )


def faults(settings: AwsSettings) -> tuple[str, ...]:
    """Return the faults beyond types and bounds."""
    found = []
    if not _REGION.fullmatch(settings.region):
        found.append(f"`region` is a region of AWS such as eu-central-1, got {shown(settings.region)}")
    if not settings.roles:
        found.append("`roles` names at least one role, such as arn:aws:iam::123456789012:role/support")
    found += (
        f"`roles`: {shown(role)} is not the ARN of a role"
        for role in settings.roles
        if not _ROLE.fullmatch(role)
    )
    if not _ACCESS_KEY.fullmatch(settings.access_key):
        found.append(f"`access_key` is the id of an access key, got {shown(settings.access_key)}")
    if not settings.secret_key:
        found.append("`secret_key` says where the secret key is, such as `file:PATH`")
    if settings.endpoint:
        found += address_faults(settings.endpoint, setting="endpoint")
    return tuple(found)


def build(settings: AwsSettings, world: TargetContext) -> BuiltTarget:
    """Build the target; connects to nothing."""
    read = secret_for(world, settings.secret_key)

    def keys() -> Keys:
        secret = read().decode("ascii", errors="replace").strip()
        return Keys(access_key=settings.access_key, secret_key=secret)

    clients = AwsClients(AwsPlace(region=settings.region, endpoint=settings.endpoint.rstrip("/")))
    return BuiltTarget(
        issuer=AwsIssuer(
            clients=clients,
            keys=keys,
            roles=settings.roles,
            denies=settings.denies,
            session_seconds_max=settings.session_seconds_max,
            answer_seconds_max=settings.answer_seconds_max,
            clock=world.clock,
            started_at=world.clock.now(),
        ),
        target=AwsTarget(clients=clients, bytes_max=settings.result_bytes_max),
    )


KIND = TargetKind(api=1, name="aws", settings=AwsSettings, build=build, faults=faults)
