"""Claims of well-known OpenID issuers: which of them become selectors, and which must agree with each other.

Laws: a claim that the workload itself chooses gives no selector; an id that is unique only within a parent is written
with that parent; a token that contradicts itself, or belongs to a person, is refused. Names of claims, and where each
is documented:

- Kubernetes, bound service account tokens: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin
- GitHub Actions: https://docs.github.com/en/actions/reference/security/oidc
- AWS, `sts:GetWebIdentityToken`: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound_token_claims.html
- Google Cloud, instance identity: https://cloud.google.com/compute/docs/instances/verifying-instance-identity
- Microsoft Entra ID: https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference and
 https://learn.microsoft.com/en-us/entra/identity-platform/optional-claims-reference
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from answerable.core.identity.workload.attestation import selector
from answerable.errors import shown
from answerable.errors.codes.workloads import OIDC_AWS, OIDC_AZURE, OIDC_GCP, OIDC_GITHUB, OIDC_KUBERNETES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from answerable.core.canonical import JSONValue

    Claims: TypeAlias = Mapping[str, JSONValue]

Kind = Literal["oidc", "kubernetes", "github", "aws", "gcp", "azure"]
"""The kind of issuer, which determines the shape of its claims."""

LIFETIME_SECONDS_MAX: Final[Mapping[Kind, int]] = {"azure": 87_000}
"""Longest token lifetime, for issuers that exceed a day: Entra ID issues tokens for a day, dated five minutes back."""

_DNS_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_KUBERNETES: Final = "kubernetes.io"
_AWS: Final = "https://sts.amazonaws.com/"

_KUBERNETES_CLAIMS: Final = (
    ("serviceaccount", "uid", "sa_uid"),
    ("pod", "name", "pod"),
    ("pod", "uid", "pod_uid"),
    ("node", "name", "node"),
    ("node", "uid", "node_uid"),
)
_GITHUB_CLAIMS: Final = (
    "repository", "repository_id", "repository_owner", "repository_owner_id", "repository_visibility", "ref",
    "ref_type", "ref_protected", "head_ref", "base_ref", "environment", "workflow", "workflow_ref", "job_workflow_ref",
    "event_name", "actor", "actor_id", "runner_environment", "enterprise", "enterprise_id",
)  # fmt: skip
# `request_tags` is excluded: the requester of the token writes it.
_AWS_CLAIMS: Final = (
    ("org_id", "org_id"),
    ("ou_path", "ou_path"),
    ("source_region", "region"),
    ("lambda_source_function_arn", "lambda"),
)
_AZURE_CLAIMS: Final = (
    ("tid", "tenant"),
    ("oid", "object"),
    ("xms_mirid", "identity"),
    ("xms_az_rid", "resource"),
    ("roles", "role"),
)


def shaped_selectors(kind: Kind, claims: Claims) -> Iterator[str]:
    """Return the selectors that a verified token of this kind gives, besides those of every OpenID token.

    Raises Unverified (`oidc.kubernetes`, `oidc.github`, `oidc.aws`, `oidc.gcp`, `oidc.azure`).
    """
    shape = _SHAPES.get(kind)
    return iter(()) if shape is None else shape(claims)


def text_selector(kind: str, key: str, value: JSONValue) -> tuple[str, ...]:
    """Return the selector of a text claim, or of a boolean as JSON writes it. Numbers give none, since they have many
    spellings."""
    if isinstance(value, bool):
        value = "true" if value else "false"
    return selector(kind, key, value) if isinstance(value, str) else ()


def _kubernetes(claims: Claims) -> Iterator[str]:
    """Bound service account tokens: the claim `kubernetes.io` and `sub` must agree."""
    about = _object(claims, _KUBERNETES)
    names = (about.get("namespace"), _object(about, "serviceaccount").get("name"))
    if not all(isinstance(name, str) and _DNS_NAME.fullmatch(name) for name in names):
        raise OIDC_KUBERNETES("the claim `kubernetes.io` names no service account of a namespace")
    if claims.get("sub") != f"system:serviceaccount:{names[0]}:{names[1]}":
        raise OIDC_KUBERNETES("`sub` is not the service account of the claim `kubernetes.io`")
    yield from selector("k8s", "ns", names[0])
    yield from selector("k8s", "sa", names[1])
    for member, name, key in _KUBERNETES_CLAIMS:
        yield from text_selector("k8s", key, _object(about, member).get(name))


def _github(claims: Claims) -> Iterator[str]:
    """A workflow run. An organisation can customise `sub`, so it is not parsed."""
    repository, owner = claims.get("repository"), claims.get("repository_owner")
    if not isinstance(repository, str) or repository.count("/") != 1:
        raise OIDC_GITHUB("the claim `repository` is not `OWNER/NAME`")
    if owner is not None and owner != repository.partition("/")[0]:
        raise OIDC_GITHUB("`repository_owner` is not the owner in `repository`")
    for key in _GITHUB_CLAIMS:
        yield from text_selector("github", key, claims.get(key))


def _aws(claims: Claims) -> Iterator[str]:
    """An IAM principal: `sub` is its ARN, which must name the account in `aws_account`."""
    arn, about = claims.get("sub"), _object(claims, _AWS)
    parts = arn.split(":", 5) if isinstance(arn, str) else []
    account = about.get("aws_account")
    if len(parts) != 6 or parts[0] != "arn" or not _ACCOUNT.fullmatch(parts[4]):
        raise OIDC_AWS(f"`sub` is not the ARN of a principal: {shown(arn, 80)}")
    if account != parts[4]:
        raise OIDC_AWS("`sub` is of another account than `aws_account`")
    yield from selector("aws", "arn", arn)
    yield from selector("aws", "account", account)
    for name, key in _AWS_CLAIMS:
        yield from text_selector("aws", key, about.get(name))
    for name, value in _object(about, "principal_tags").items():
        yield from text_selector("aws", f"tag.{name}", value)


def _gcp(claims: Claims) -> Iterator[str]:
    """A service account, with its instance if the token was requested in full format.

    An instance name is unique within a project's zone only, and other projects can use the same name.
    """
    email = claims.get("email")
    if email is not None and claims.get("email_verified") is not True:
        raise OIDC_GCP()
    yield from text_selector("gcp", "service_account", email)
    yield from text_selector("gcp", "service_account_id", claims.get("sub"))
    engine = _object(_object(claims, "google"), "compute_engine")
    project, zone, name = (engine.get(one) for one in ("project_id", "zone", "instance_name"))
    if not isinstance(project, str) or "/" in project:
        return
    yield from selector("gcp", "project", project)
    if isinstance(zone, str) and isinstance(name, str) and "/" not in zone + name:
        yield from selector("gcp", "instance", f"{project}/{zone}/{name}")
    if isinstance(number := engine.get("instance_id"), str):
        yield from selector("gcp", "instance_id", f"{project}/{number}")


def _azure(claims: Claims) -> Iterator[str]:
    """An application or managed identity, in either version of the token.

    The tenant is part of the issuer's URL (`sts.windows.net/TENANT/`, `login.microsoftonline.com/TENANT/v2.0`), so that
    an issuer is trusted for one tenant.
    """
    tenant, issuer = claims.get("tid"), claims.get("iss")
    if not isinstance(tenant, str) or not isinstance(issuer, str) or tenant not in issuer.split("/")[3:]:
        raise OIDC_AZURE("`tid` is not the tenant that the issuer's address names")
    if "scp" in claims or claims.get("idtyp", "app") != "app":
        raise OIDC_AZURE("the token is for a person, not for a workload")
    version = claims.get("ver")
    named = {"1.0": "appid", "2.0": "azp"}.get(version) if isinstance(version, str) else None
    if named is None:
        raise OIDC_AZURE(f"`ver` is neither `1.0` nor `2.0`, got {shown(version, 20)}")
    yield from text_selector("azure", "app", claims.get(named))
    for name, key in _AZURE_CLAIMS:
        value = claims.get(name)
        for one in value if isinstance(value, list) else [value]:
            yield from text_selector("azure", key, one)


_SHAPES: Final[Mapping[Kind, Callable[[Claims], Iterator[str]]]] = {
    "kubernetes": _kubernetes,
    "github": _github,
    "aws": _aws,
    "gcp": _gcp,
    "azure": _azure,
}


def _object(claims: Claims, name: str) -> Claims:
    value = claims.get(name)
    return value if isinstance(value, dict) else {}
