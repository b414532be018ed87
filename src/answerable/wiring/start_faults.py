"""Find what keeps `answerable up` from starting with these settings on this machine, by the code that decides it
there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.system import SystemClock
from answerable.adapters.uvicorn_front import group_let_in, require_folder, require_host
from answerable.errors import AnswerableError
from answerable.wiring.accounts import broker_fault, stdio_fault
from answerable.wiring.attestation_settings import issuer_sources, known_hosts, x509_authorities
from answerable.wiring.broker import answered_users
from answerable.wiring.clicks import click_desk, signing_secret
from answerable.wiring.console import attestation_roots, providers_of
from answerable.wiring.log_settings import require_files
from answerable.wiring.own_ledger import log_limits
from answerable.wiring.reaching import require_channels
from answerable.wiring.settings import FILE_NAME, SettingFault, faults, load_settings
from answerable.wiring.telemetry import exporter_header
from answerable.wiring.tls_material import console_tls, gateway_tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from answerable.wiring.setting_tree import Settings


def config_faults(data: Path, config: Path | None = None) -> tuple[str, ...]:
    """Return every fault of the settings, one line each; empty when there is none. What only this machine can tell is
    looked at once the file has no fault of its own. Changes nothing."""
    found = faults(data, config)
    if found:
        return found
    return start_faults(load_settings(data, config), str(config) if config else FILE_NAME)


def start_faults(settings: Settings, file: str = FILE_NAME) -> tuple[str, ...]:
    """Return what keeps a server with settings without faults of their own from starting, or from starting what it
    keeps. file: where they are."""
    return tuple(fault.text(file) for fault in _faults(settings))


def _faults(settings: Settings) -> Iterator[SettingFault]:
    for key, check in _CHECKS:
        try:
            check(settings)
        except AnswerableError as fault:
            yield SettingFault(line=0, key=key, message=fault.message)
    for said in filter(None, (stdio_fault(settings), broker_fault(settings))):
        yield SettingFault(line=0, key="", message=said)


def _socket_group(settings: Settings) -> None:
    if settings.gateway.socket_group:
        group_let_in(settings.gateway.socket.parent, settings.gateway.socket_group)


def _socket_folder(settings: Settings, socket: Path) -> None:
    # The data folder is made at the start.
    if socket.parent != settings.data:
        require_folder(socket)


def _clicks(settings: Settings) -> None:
    if click_desk(settings) is not None:
        signing_secret(settings)


_CHECKS: Final[tuple[tuple[str, Callable[[Settings], object]], ...]] = (
    ("ledger", lambda settings: log_limits(settings.ledger)),
    ("gateway.host", lambda settings: require_host(settings.gateway.host)),
    ("gateway.socket", lambda settings: _socket_folder(settings, settings.gateway.socket)),
    ("gateway.socket_group", _socket_group),
    ("control.socket", lambda settings: _socket_folder(settings, settings.control.socket)),
    ("gateway.tls_certificate", gateway_tls),
    ("console.tls_certificate", console_tls),
    ("console.attestation_roots", attestation_roots),
    ("identity.oidc_issuers", issuer_sources),
    ("identity.person_issuers", lambda settings: providers_of(settings, SystemClock())),
    ("identity.x509_pop_ca", x509_authorities),
    ("identity.ssh_ca", known_hosts),
    ("telemetry.otlp_header", exporter_header),
    ("channels", require_channels),
    ("channels", _clicks),
    ("broker.gateway_users", answered_users),
    ("logs.follow", lambda settings: require_files(settings.logs, settings.data)),
)
"""What a start asks of the machine, by the setting that it depends on."""
