"""Settings and construction of `http` targets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from answerable.adapters.http_target.custody import RefreshCustody
from answerable.adapters.http_target.grant import ACCESS_TOKEN
from answerable.adapters.http_target.leases import Leases
from answerable.adapters.http_target.oauth_issuer import OAuthGrant, OAuthIssuer
from answerable.adapters.http_target.oauth_server import OAuthClient, OAuthServer
from answerable.adapters.http_target.outstanding import OutstandingTokens
from answerable.adapters.http_target.requests import header_fault
from answerable.adapters.http_target.standing import StandingIssuer
from answerable.adapters.http_target.target import HttpPlace, HttpTarget
from answerable.core.lease.request_rights import RequestRights
from answerable.setting_fields import flag, number, reference, seconds, text, texts
from answerable.targets.http_place import address_fault
from answerable.targets.kind import BuiltTarget, TargetKind
from answerable.targets.standing_secret import StandingSecret

if TYPE_CHECKING:
    from answerable.adapters.http_target.grant import Grant
    from answerable.adapters.http_target.oauth_server import ClientAuth
    from answerable.ports.credential_issuer import CredentialIssuer
    from answerable.targets.kind import TargetContext
    from answerable.targets.standing_secret import Place

OAUTH: Final[dict[str, Grant]] = {
    "client_credentials": "client_credentials",
    "token_exchange": "token_exchange",
    "refresh_token": "refresh_token",
}
STANDING: Final[dict[str, Place]] = {
    "api_key_header": "header",
    "api_key_query": "query",
    "basic": "basic",
    "mtls": "certificate",
}
CLIENT_AUTH: Final[dict[str, ClientAuth]] = {
    "basic": "basic",
    "post": "post",
    "private_key_jwt": "private_key_jwt",
}
ALGORITHMS: Final = ("ES256", "ES384", "EdDSA", "PS256", "RS256")

BESIDE: Final = {"scopes": "scope", "resource": "resource", "authorization_details": "detail"}
"""Members of a grant, besides the allowed requests, that a token is requested with; by member, the noun for one
value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTargetSettings:
    """One HTTP server and how the broker authenticates to it."""

    base_url: str = text(
        "", "where requests go: https, or http on loopback; a path is put before each", unit="URL"
    )
    auth: str = text("", f"how it lets us in: {', '.join((*OAUTH, *STANDING))}")
    headers_let: tuple[str, ...] = texts(
        ("accept", "accept-language", "content-type", "if-match", "if-none-match", "prefer"),
        "headers that an agent may set, in lower case",
    )
    body_bytes_max: int = number(
        1_048_576, "longest request body", unit="bytes", minimum=1_024, maximum=16_777_216
    )
    answer_bytes_max: int = number(
        1_048_576,
        "longest body that is shown; what is longer is cut",
        unit="bytes",
        minimum=1_024,
        maximum=4_194_304,
    )
    connect_seconds_max: float = seconds(5.0, "longest time to connect", minimum=0.1, maximum=60)
    authorities: str = reference("whose server certificates count, PEM; empty for those of this machine")
    certificate: str = reference("client certificate, PEM; for `mtls`, and beside any other `auth`")
    certificate_key: str = reference("its private key, PEM")
    secret: str = reference(
        "the key or password of `api_key_*` and `basic`; of OAuth the client's secret, or its private key, PEM or JWK"
    )
    secret_name: str = text("", "of the header or the parameter with the key, or the user of `basic`")
    secret_prefix: str = text("", "put before the key in a header, such as `Bearer ` with its blank")
    token_url: str = text("", "token endpoint of the authorization server", unit="URL")
    revocation_url: str = text(
        "", "where tokens are taken back (RFC 7009); empty where they cannot be", unit="URL"
    )
    introspection_url: str = text("", "where it is asked what a token may do (RFC 7662)", unit="URL")
    client_id: str = text("", "our client at the authorization server")
    client_auth: str = text("basic", f"how our client proves itself: {', '.join(CLIENT_AUTH)}")
    client_algorithm: str = text("ES256", f"of `private_key_jwt`: {', '.join(ALGORITHMS)}")
    client_key_id: str = text("", "`kid` of `private_key_jwt`; empty leaves it out")
    issuer: str = text("", "audience of `private_key_jwt`; the token endpoint when empty")
    server_authorities: str = reference("whose certificates of the authorization server count, PEM")
    is_introspected: bool = flag(
        False, "the resource asks about every token, so that one that was taken back is refused at once"
    )
    token_seconds: int = number(
        0,
        "how long tokens live, where the server is set so short that it ends leases; 0 leaves that to the broker",
        unit="seconds",
        minimum=0,
        maximum=86_400,
    )
    token_seconds_max: int = number(
        3_600, "what holds where the server does not say", unit="seconds", minimum=1, maximum=31_536_000
    )
    token_call_seconds_max: float = seconds(
        10.0, "longest time that the authorization server may take", minimum=0.1, maximum=120
    )
    subject_token: str = reference("of `token_exchange`: whom the token is for")
    subject_token_type: str = text(ACCESS_TOKEN, "its type (RFC 8693, section 3)", unit="URN")
    actor_token: str = reference("of `token_exchange`: who acts; empty for none")
    actor_token_type: str = text(ACCESS_TOKEN, "its type", unit="URN")
    refresh_token_file: str = text(
        "",
        "of `refresh_token`: file of the broker's own, mode 0600, rewritten at each use",
        unit="absolute path",
    )
    tokens_file: str = text(
        "",
        "file of the broker's own with the names of tokens that may be alive, so that after a kill it says what is; "
        "empty for one in the broker's directory",
        unit="absolute path",
    )


def faults_of(settings: HttpTargetSettings) -> tuple[str, ...]:
    """Return the faults beyond types and bounds, each with what to write instead."""
    faults = [f"base_url: {fault}"] if (fault := address_fault(settings.base_url)) else []
    faults += [f"headers_let: {fault}" for name in settings.headers_let if (fault := header_fault(name))]
    if bool(settings.certificate) != bool(settings.certificate_key):
        faults.append("certificate and certificate_key belong together")
    if settings.auth in OAUTH:
        faults += _oauth_faults(settings)
    elif settings.auth in STANDING:
        faults += _standing_faults(settings)
    else:
        faults.append(f"auth is one of {', '.join((*OAUTH, *STANDING))}")
    return tuple(faults)


def built(settings: HttpTargetSettings, world: TargetContext) -> BuiltTarget:
    """Build issuer and target over shared lease state; connects to nothing."""
    leases = Leases()
    target = HttpTarget(
        HttpPlace(
            base_url=settings.base_url,
            headers_let=settings.headers_let,
            body_bytes_max=settings.body_bytes_max,
            answer_bytes_max=settings.answer_bytes_max,
            connect_seconds_max=settings.connect_seconds_max,
            authorities=settings.authorities,
            certificate=settings.certificate,
            key=settings.certificate_key,
        ),
        leases=leases,
        clock=world.clock,
        secret_of=world.secret_of,
    )
    issuer: CredentialIssuer
    if settings.auth in OAUTH:
        issuer = _oauth(settings, world, leases)
    else:
        standing = StandingSecret(
            STANDING[settings.auth],
            secret=settings.secret,
            secret_of=world.secret_of,
            name=settings.secret_name or "authorization",
            prefix=settings.secret_prefix,
        )
        issuer = StandingIssuer(standing, leases=leases, clock=world.clock, entropy=world.entropy)
    return BuiltTarget(issuer=issuer, target=target, rights=RequestRights(beside=BESIDE, method="GET"))


def _oauth(settings: HttpTargetSettings, world: TargetContext, leases: Leases) -> OAuthIssuer:
    client = OAuthClient(
        token_url=settings.token_url,
        client_id=settings.client_id,
        secret=settings.secret,
        auth=CLIENT_AUTH[settings.client_auth],
        algorithm=settings.client_algorithm,
        key_id=settings.client_key_id,
        issuer=settings.issuer,
        revocation_url=settings.revocation_url,
        introspection_url=settings.introspection_url,
        authorities=settings.server_authorities,
        seconds_max=settings.token_call_seconds_max,
    )
    grant = OAuthGrant(
        grant=OAUTH[settings.auth],
        account=settings.client_id,
        subject=settings.subject_token,
        subject_kind=settings.subject_token_type,
        actor=settings.actor_token,
        actor_kind=settings.actor_token_type,
        can_revoke=bool(settings.revocation_url),
        is_asked=settings.is_introspected,
        can_introspect=bool(settings.introspection_url),
        token_seconds=settings.token_seconds,
        token_seconds_max=settings.token_seconds_max,
        call_seconds_max=settings.token_call_seconds_max,
    )
    names = OutstandingTokens(Path(settings.tokens_file) if settings.tokens_file else world.state_file)
    custody = RefreshCustody(Path(settings.refresh_token_file)) if settings.refresh_token_file else None
    server = OAuthServer(client, secret_of=world.secret_of, clock=world.clock, entropy=world.entropy)
    return OAuthIssuer(
        grant,
        server=server,
        leases=leases,
        clock=world.clock,
        secret_of=world.secret_of,
        outstanding=names,
        custody=custody,
    )


def _oauth_faults(settings: HttpTargetSettings) -> list[str]:
    faults = [f"token_url: {fault}"] if (fault := address_fault(settings.token_url)) else []
    for name in ("revocation_url", "introspection_url"):
        if (url := getattr(settings, name)) and (fault := address_fault(url)):
            faults.append(f"{name}: {fault}")
    if not settings.client_id or not settings.client_id.isprintable() or not settings.secret:
        faults.append("OAuth needs client_id and secret")
    if settings.client_auth not in CLIENT_AUTH:
        faults.append(f"client_auth is one of {', '.join(CLIENT_AUTH)}")
    if settings.client_algorithm not in ALGORITHMS:
        faults.append(f"client_algorithm is one of {', '.join(ALGORITHMS)}")
    if settings.auth == "token_exchange" and not settings.subject_token:
        faults.append("token_exchange needs subject_token")
    if (settings.auth == "refresh_token") != bool(settings.refresh_token_file):
        faults.append("refresh_token_file is for auth `refresh_token`, which needs it")
    for name in ("refresh_token_file", "tokens_file"):
        if (path := getattr(settings, name)) and not Path(path).is_absolute():
            faults.append(f"{name} is an absolute path")
    if settings.auth == "refresh_token" and settings.revocation_url:
        faults.append(
            "revocation_url is not for refresh_token: a server may end the refresh token, and every other token that "
            "came of it, with one that is taken back (RFC 7009, section 2.1)"
        )
    elif settings.is_introspected and not settings.revocation_url:
        faults.append("is_introspected says nothing without revocation_url: tokens cannot be taken back")
    return faults


def _standing_faults(settings: HttpTargetSettings) -> list[str]:
    if settings.auth == "mtls":
        return [] if settings.certificate else ["mtls needs certificate and certificate_key"]
    faults = [] if settings.secret else [f"{settings.auth} needs secret"]
    name = settings.secret_name
    if settings.auth == "basic" and (not name or ":" in name or not name.isprintable()):
        faults.append("secret_name is the user of `basic`, without a colon")
    if settings.auth == "api_key_query" and not (name.isascii() and name.isprintable() and name):
        faults.append("secret_name is the name of the parameter with the key")
    if settings.auth == "api_key_header":
        if name and (not name.isascii() or not name.replace("-", "").isalnum()):
            faults.append("secret_name is the name of the header with the key")
        if not settings.secret_prefix.isascii() or not settings.secret_prefix.isprintable():
            faults.append("secret_prefix is printable ASCII")
    return faults


KIND: Final = TargetKind(api=1, name="http", settings=HttpTargetSettings, build=built, faults=faults_of)
