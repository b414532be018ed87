"""Settings and construction of `kubernetes` targets: leases as service account tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.kubernetes_tokens import KubernetesIssuer
from answerable.core.lease.request_rights import RequestRights
from answerable.errors import shown
from answerable.setting_fields import number, reference, seconds, text, texts
from answerable.targets.api_access import address_faults, context_for, secret_for
from answerable.targets.bearer_api import AnswerLimits, ApiShape, BearerTarget, JsonApi
from answerable.targets.kind import BuiltTarget, TargetKind

if TYPE_CHECKING:
    from answerable.targets.kind import TargetContext

_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SHAPE: Final = ApiShape(
    name="Kubernetes",
    description="Send one request to the API of the cluster, with an account that may do what this action was let and "
    "nothing else. Example: GET /api/v1/namespaces/support/pods/web-1. A body is sent as JSON; for PATCH choose its "
    "contentType. Answers are cut at a limit, which `cut` says.",
    content_types=(
        "application/json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/json-patch+json",
    ),
    tag_header="audit-id",
    session_headers=(("kubernetes_audit_id", "audit-id"),),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesSettings:
    """The cluster, and the broker's own service account, which creates the accounts of leases."""

    url: str = text("", "Address of the API server, without a path; `http` only on this machine.", unit="URL")
    token: str = reference("Token of the broker's own service account, read anew for every request.")
    authorities: str = reference(
        "Certificates of who signed the API server's, PEM; empty for those of the machine."
    )
    namespaces: tuple[str, ...] = texts((), "In which leases may be. No other is touched.")
    audiences: tuple[str, ...] = texts((), "Of the tokens of leases; empty for the API server's own.")
    answer_seconds_max: float = seconds(
        10.0, "How long one answer to the broker's own account may take.", minimum=0.1, maximum=60.0
    )
    result_bytes_max: int = number(
        262_144,
        "Size of one answer to an agent; more is cut.",
        unit="bytes",
        minimum=1_024,
        maximum=8_388_608,
    )


def faults(settings: KubernetesSettings) -> tuple[str, ...]:
    """Return the faults beyond types and bounds."""
    found = list(address_faults(settings.url))
    if not settings.token:
        found.append(
            "`token` says where the token of the broker's own service account is, such as `file:PATH`"
        )
    if not settings.namespaces:
        found.append("`namespaces` names at least one namespace in which leases may be")
    found += (
        f"`namespaces`: {shown(name)} is not the name of a namespace"
        for name in settings.namespaces
        if not _NAMESPACE.fullmatch(name)
    )
    return tuple(found)


def build(settings: KubernetesSettings, world: TargetContext) -> BuiltTarget:
    """Build the target; connects to nothing."""
    context = context_for(settings.url, settings.authorities, world)
    api = JsonApi(
        what="the cluster",
        url=settings.url.rstrip("/"),
        context=context,
        answer_seconds_max=settings.answer_seconds_max,
    )
    return BuiltTarget(
        issuer=KubernetesIssuer(
            api=api,
            token=secret_for(world, settings.token),
            clock=world.clock,
            namespaces=settings.namespaces,
            audiences=settings.audiences,
        ),
        target=BearerTarget(
            url=settings.url.rstrip("/"),
            shape=SHAPE,
            context=context,
            limits=AnswerLimits(bytes_max=settings.result_bytes_max),
        ),
        rights=RequestRights(beside={"rules": "rule"}),
    )


KIND = TargetKind(api=1, name="kubernetes", settings=KubernetesSettings, build=build, faults=faults)
