"""What only an extra of the distribution brings, asked for where it is needed: never found out by a traceback.

Whoever lacks a package is told what cannot be done here and what brings it; nothing that was asked for counts as done.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from answerable.errors.codes.services import EXTRA_MISSING

REPLAY: Final = ("cedarpy", "jsonschema_rs", "webauthn")
"""What `answerable[replay]` brings: decisions asked again, patterns matched, signatures by passkeys checked."""
SERVER: Final = (
    *REPLAY,
    "aiosmtplib",
    "google.protobuf",
    "grpclib",
    "httptools",
    "jinja2",
    "mcp",
    "opentelemetry.proto",
    "prometheus_client",
    "rich",
    "segno",
    "starlette",
    "typer",
    "uvicorn",
    "uvloop",
    "yaml",
)
"""What `answerable[server]` brings."""
INSTALL_REPLAY: Final = 'pip install "answerable[replay]"'
INSTALL_SERVER: Final = 'pip install "answerable[server]"'


def is_here(module: str) -> bool:
    """Whether a module can be imported; it is not imported for that."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        # Not even the package that it is in.
        return False


def require_replay(module: str, what: str) -> None:
    """Raises Unavailable (`extra.missing`) without a module of `REPLAY`. what: cannot be done here, then."""
    if not is_here(module):
        raise EXTRA_MISSING(f"{what} here: {INSTALL_REPLAY}")
