"""Settings and construction of `github_app` targets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.github_app import AppTokens, GitHubIssuer
from answerable.adapters.github_app.issuer import HEADERS
from answerable.core.lease.request_rights import RequestRights
from answerable.errors import shown
from answerable.setting_fields import number, reference, seconds, text
from answerable.targets.api_access import address_faults, context_for, secret_for
from answerable.targets.bearer_api import AnswerLimits, ApiShape, BearerTarget, JsonApi
from answerable.targets.kind import BuiltTarget, TargetKind

if TYPE_CHECKING:
    from answerable.targets.kind import TargetContext

_OWNER: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,38}[A-Za-z0-9])?")
_APP: Final = re.compile(r"[A-Za-z0-9.]{1,64}")
SHAPE: Final = ApiShape(
    name="GitHub",
    description="Send one request to the REST API of GitHub, with a token for the repositories and permissions that "
    "this action was let. Example: GET /repos/OWNER/NAME/issues. A body is sent as JSON. Answers are cut at a "
    "limit, which `cut` says.",
    headers=HEADERS,
    shown_headers=("content-type", "location", "link", "retry-after", "x-ratelimit-remaining"),
    session_headers=(("github_request_id", "x-github-request-id"),),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubAppSettings:
    """The GitHub app and its installation."""

    url: str = text("https://api.github.com", "Address of the REST API.", unit="URL")
    app: str = text("", "Client id of the app, or its number.")
    key: str = reference("Private key of the app, RSA in PEM, read anew for every token.")
    installation: int = number(
        0, "Number of the installation of the app.", unit="number", minimum=0, maximum=2**53 - 1
    )
    owner: str = text("", "Account or organisation of the installation.")
    authorities: str = reference("Certificates of who signed the API's, PEM; empty for those of the machine.")
    answer_seconds_max: float = seconds(
        10.0, "How long one answer to the app itself may take.", minimum=0.1, maximum=60.0
    )
    result_bytes_max: int = number(
        262_144,
        "Size of one answer to an agent; more is cut.",
        unit="bytes",
        minimum=1_024,
        maximum=8_388_608,
    )


def faults(settings: GitHubAppSettings) -> tuple[str, ...]:
    """Return the faults beyond types and bounds."""
    found = list(address_faults(settings.url))
    if not _APP.fullmatch(settings.app):
        found.append(f"`app` is the client id of a GitHub app, or its number, got {shown(settings.app)}")
    if not settings.key:
        found.append("`key` says where the private key of the app is, such as `file:PATH`")
    if not settings.installation:
        found.append("`installation` is the number of the installation, as in the address of its page")
    if not _OWNER.fullmatch(settings.owner):
        found.append(f"`owner` is the account of the installation, got {shown(settings.owner)}")
    return tuple(found)


def build(settings: GitHubAppSettings, world: TargetContext) -> BuiltTarget:
    """Build the target; connects to nothing."""
    url = settings.url.rstrip("/")
    context = context_for(url, settings.authorities, world)
    key = secret_for(world, settings.key)
    return BuiltTarget(
        issuer=GitHubIssuer(
            api=JsonApi(
                what="GitHub", url=url, context=context, answer_seconds_max=settings.answer_seconds_max
            ),
            app=AppTokens(app=settings.app, key=key, clock=world.clock),
            installation=settings.installation,
            owner=settings.owner,
            clock=world.clock,
            started_at=world.clock.now(),
        ),
        target=BearerTarget(
            url=url, shape=SHAPE, context=context, limits=AnswerLimits(bytes_max=settings.result_bytes_max)
        ),
        rights=RequestRights(beside={"repositories": "repository", "permissions": "permission"}),
    )


KIND = TargetKind(api=1, name="github_app", settings=GitHubAppSettings, build=build, faults=faults)
