"""The packages that only an extra of the distribution installs, and the error raised where one is missing.

Law: the caller learns which check was not done and which command installs the package; a check that was not done never
counts as passed.
"""

from __future__ import annotations

from importlib.machinery import PathFinder
from importlib.util import find_spec
from typing import Final

from answerable.errors.codes.services import EXTRA_MISSING

REPLAY: Final = ("cedarpy", "jsonschema_rs", "webauthn")
"""Modules that `answerable[replay]` installs: for replaying decisions, matching patterns and checking passkeys."""
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
"""Modules that `answerable[server]` installs."""
NATIVE: Final = "answerable_native__mypyc"
"""The library of the compiled modules, which is here in the native build only."""
INSTALL_REPLAY: Final = 'pip install "answerable[replay]"'
INSTALL_SERVER: Final = 'pip install "answerable[server]"'


def is_here(module: str) -> bool:
    """Whether a module can be imported, without importing it or the package that contains it."""
    package, _, _ = module.rpartition(".")
    if not package:
        return find_spec(module) is not None
    outer = find_spec(package)
    return outer is not None and PathFinder.find_spec(module, outer.submodule_search_locations) is not None


def is_native() -> bool:
    """Whether the path of a call is compiled here."""
    return is_here(NATIVE)


def require_replay(module: str, what: str) -> None:
    """Require a module of `REPLAY`. what: the check that needs it, and that it cannot be done.

    Raises Unavailable (`extra.missing`) if the module is not installed.
    """
    if not is_here(module):
        raise EXTRA_MISSING(f"{what} here: {INSTALL_REPLAY}")
