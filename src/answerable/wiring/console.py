"""Build from settings the state for signing in, and bind and serve the console's listener."""

from __future__ import annotations

import logging
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from answerable.adapters.linux_process import user_of
from answerable.adapters.local_keys import open_or_create_secret
from answerable.adapters.oidc import OidcCodeFlow
from answerable.adapters.sqlite import SqlitePasskeyRegister
from answerable.adapters.system import SystemEntropy
from answerable.adapters.uvicorn_front import FrontLimits, listen, serve
from answerable.errors import Unavailable
from answerable.errors.codes.services import CONSOLE_ROOTS
from answerable.flows.state.passkey_desk import PasskeyState
from answerable.wiring.console_settings import PORT_DEFAULT, name_of_origin
from answerable.wiring.identity_settings import person_issuers
from answerable.wiring.provider_settings import provider_secrets
from answerable.wiring.settings import secret
from answerable.wiring.tls_material import console_tls

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    import anyio

    from answerable.adapters.sqlite import SqliteStore
    from answerable.adapters.uvicorn_front import Listeners
    from answerable.ports.clock import Clock
    from answerable.wiring.setting_tree import Settings

__all__ = [
    "ConsoleDoor",
    "attestation_roots",
    "browsers_secret",
    "open_console",
    "passkey_desk",
    "providers_of",
    "serve_console",
    "user_of",
]

_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----\r?\n[A-Za-z0-9+/=\r\n]+-----END CERTIFICATE-----"
)
SECRET_BYTES: Final = 32
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleDoor:
    """A bound listener. origin: under which browsers open the console."""

    listeners: Listeners
    origin: str
    tls: ssl.SSLContext | None


def passkey_desk(settings: Settings, store: SqliteStore) -> PasskeyState | None:
    """Return the state for passkey sign-in; None if the console is off. Raises Malformed (`console.roots`),
    Unavailable."""
    wanted = settings.console
    if not wanted.enabled:
        return None
    origin = wanted.origin or (f"http://localhost:{wanted.port}" if _port(settings) else "")
    return PasskeyState(
        register=SqlitePasskeyRegister(store),
        rp_id=name_of_origin(wanted.origin) or "localhost",
        origins=(origin,) if origin else (),
        roots=attestation_roots(settings),
        groups=wanted.groups,
    )


def browsers_secret(settings: Settings) -> bytes:
    """Return the secret by which browsers are recognised in which people signed in. Empty, with a warning, where it
    cannot be kept: then no restart recognises them."""
    try:
        place = settings.data / "keys" / "console-browsers.key"
        return open_or_create_secret(place, count=SECRET_BYTES, entropy=SystemEntropy())
    except Unavailable as fault:
        _log.warning("browsers are not recognised after a restart: %s", fault.message)
        return b""


def open_console(settings: Settings, passkeys: PasskeyState | None) -> ConsoleDoor | None:
    """Bind the console's listener. If another program has its port, the console stays off and the rest continues.

    Raises Malformed, Unavailable (`front.*`) for a certificate that cannot be used.
    """
    wanted = settings.console
    if not wanted.enabled or passkeys is None:
        return None
    tls = console_tls(settings)
    try:
        listeners = listen(tcp=(wanted.host, _port(settings)))
    except Unavailable as taken:
        _log.warning("the console is not started, set `console.port`: %s", taken.message)
        passkeys.origins = ()
        return None
    port = listeners.tcp_address[1] if listeners.tcp_address is not None else wanted.port
    origin = wanted.origin or f"http://localhost:{port}"
    passkeys.origins = (origin,)
    return ConsoleDoor(listeners=listeners, origin=origin, tls=tls)


def providers_of(settings: Settings, clock: Clock) -> tuple[OidcCodeFlow, ...]:
    """Return the OpenID providers at which people sign in, each with its own client secret. Raises Malformed
    (`issuer.url`, `settings.oidc_secrets`), and as `secret`."""
    secrets = {
        issuer: secret(one, data=settings.data).decode("utf-8", "replace").strip()
        for issuer, one in provider_secrets(settings).items()
    }
    return tuple(
        OidcCodeFlow(
            one.issuer,
            client_id=one.audience,
            client_secret=secrets.get(one.issuer, ""),
            clock=clock,
            login_seconds_max=one.login_seconds_max,
        )
        for one in person_issuers(settings.identity)
    )


async def serve_console(
    app: Any, door: ConsoleDoor, settings: Settings, stop: anyio.Event, up: Callable[[], None]
) -> None:
    """Serve the console until `stop` is set. up: called once it answers. Raises Unavailable (`front.*`)."""
    try:
        await serve(
            app,
            listeners=door.listeners,
            context=door.tls,
            limits=FrontLimits(**asdict(settings.front)),
            started=lambda _: up(),
            stop=stop,
        )
    finally:
        door.listeners.close()


def _port(settings: Settings) -> int:
    # A gateway on any free port, as in tests, means several servers on one machine.
    at_default = settings.console.port == PORT_DEFAULT and not settings.console.origin
    return 0 if at_default and settings.gateway.port == 0 else settings.console.port


def attestation_roots(settings: Settings) -> tuple[bytes, ...]:
    """Return the certificates that vouch for keys of people. Raises Malformed (`console.roots`), and as `secret`."""
    if not settings.console.attestation_roots:
        return ()
    found = tuple(_CERTIFICATE.findall(secret(settings.console.attestation_roots, data=settings.data)))
    if not found:
        raise CONSOLE_ROOTS()
    return found
