"""Settings and construction of `openbao` targets: OpenBao or Vault issues the credential, and another kind of target
uses it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.openbao import AppRole, JwtLogin, OpenBaoIssuer, OpenBaoLogin
from answerable.adapters.openbao.scope import PATH
from answerable.errors import shown
from answerable.setting_fields import number, reference, seconds, text, texts
from answerable.targets.api_access import address_faults, context_for, secret_for
from answerable.targets.bearer_api import JsonApi
from answerable.targets.kind import BuiltTarget, TargetKind

if TYPE_CHECKING:
    from answerable.targets.kind import TargetContext

_ROLE: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_NAMESPACE: Final = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*/?")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBaoSettings:
    """The OpenBao server, the broker's login, the token role of leases, and the kind of target that uses the
    credentials."""

    url: str = text("", "Address of OpenBao or Vault; `http` only on this machine.", unit="URL")
    authorities: str = reference("Certificates of who signed OpenBao's, PEM; empty for those of the machine.")
    namespace: str = text("", "Namespace of OpenBao or Vault; empty for the root.")
    role_id: str = text("", "Role id of the broker's AppRole; empty to log in by a JWT.")
    secret_id: str = reference("Secret id of the broker's AppRole, read anew for every login.")
    jwt_role: str = text("", "Role of the JWT auth method; empty to log in by AppRole.")
    jwt: str = reference("JWT to log in with, such as the JWT-SVID of the broker, read anew for every login.")
    mount: str = text("", "Where the auth method is mounted; empty for `approle` or `jwt`.")
    token_role: str = text("answerable", "Token role by which the child token of a lease is made.")
    paths: tuple[str, ...] = texts(
        (), "That give dynamic credentials, such as `database/creds/support-read`."
    )
    lease_seconds_max: int = number(
        3_600, "Longest life of a lease, renewals included.", unit="seconds", minimum=60, maximum=86_400
    )
    acts_by: str = text("", "Kind of target that acts with the credential, such as `postgres` or `redis`.")
    acts_with: str = text("", "Settings of that kind, in TOML, without its own account.")
    answer_seconds_max: float = seconds(
        10.0, "How long one answer of OpenBao may take.", minimum=0.1, maximum=60.0
    )


def faults(settings: OpenBaoSettings) -> tuple[str, ...]:
    """Return the faults beyond types and bounds."""
    found = list(address_faults(settings.url))
    if bool(settings.role_id) == bool(settings.jwt_role):
        found.append("give `role_id` and `secret_id`, or `jwt_role` and `jwt`: one way to log in")
    if settings.role_id and not settings.secret_id:
        found.append("`secret_id` says where the secret id is, such as `file:PATH`")
    if settings.jwt_role and not settings.jwt:
        found.append("`jwt` says where the JWT is, such as `file:PATH`")
    for setting, value in (("mount", settings.mount), ("token_role", settings.token_role)):
        if value and not _ROLE.fullmatch(value):
            found.append(f"`{setting}` has letters, digits and `_ . -`, got {shown(value)}")
    if not settings.token_role:
        found.append("`token_role` is the token role by which leases are made, such as `answerable`")
    if settings.namespace and not _NAMESPACE.fullmatch(settings.namespace):
        found.append(f"`namespace` is a path of letters, digits and `_ . -`, got {shown(settings.namespace)}")
    if not settings.paths:
        found.append(
            "`paths` names at least one path that gives credentials, such as database/creds/support-read"
        )
    odd = (path for path in settings.paths if not PATH.fullmatch(path))
    found += (f"`paths`: {shown(path)} is no path such as database/creds/support-read" for path in odd)
    return tuple(found)


def build(settings: OpenBaoSettings, world: TargetContext) -> BuiltTarget:
    """Build OpenBao's issuer, for the target that acts with its credentials; connects to nothing."""
    url = settings.url.rstrip("/")
    context = context_for(url, settings.authorities, world)
    method: AppRole | JwtLogin
    if settings.role_id:
        secret_id = secret_for(world, settings.secret_id)
        method = AppRole(role_id=settings.role_id, secret_id=secret_id, mount=settings.mount or "approle")
    else:
        jwt = secret_for(world, settings.jwt)
        method = JwtLogin(role=settings.jwt_role, token=jwt, mount=settings.mount or "jwt")
    api = JsonApi(what="OpenBao", url=url, context=context, answer_seconds_max=settings.answer_seconds_max)
    assert world.acting is not None  # noqa: S101 - the kind acts by another
    return BuiltTarget(
        issuer=OpenBaoIssuer(
            login=OpenBaoLogin(
                api=api, method=method, clock=world.clock, namespace=settings.namespace.strip("/")
            ),
            paths=settings.paths,
            token_role=settings.token_role,
            seconds_max=settings.lease_seconds_max,
            clock=world.clock,
        ),
        target=world.acting,
    )


KIND = TargetKind(
    api=1, name="openbao", settings=OpenBaoSettings, build=build, faults=faults, acts_by_another=True
)
