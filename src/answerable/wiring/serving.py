"""Opening doors: applications that `main` made are served on the sockets that the settings name."""

from __future__ import annotations

import signal
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio

from answerable.adapters.uvicorn_front import FrontLimits, Listeners, TLSMaterial, listen, run, serve
from answerable.wiring.assemble import Product, assembled, authorities_of, kept_running
from answerable.wiring.settings import secret

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from answerable.wiring.setting_tree import Settings

__all__ = ["Doors", "Listeners", "run", "serve_product"]

LOCK_WAIT_SECONDS_MAX: Final = 3.0
"""How long a starting server waits for a command that works on its data directory just then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Makers of the ASGI applications, each over one product."""

    gateway: Callable[[Product], Any]
    control: Callable[[Product], Any]


async def serve_product(
    settings: Settings, doors: Doors, *, started: Callable[[Product, Listeners], Coroutine[Any, Any, None]]
) -> None:
    """Serve until SIGINT or SIGTERM, then stop gracefully. `started` runs once, when both doors answer.

    Raises as `assembled`, Unavailable (`front.*`), and whatever made the log unusable.
    """
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    tls = _tls(settings)
    control_sockets = listen(uds=settings.control.socket)
    try:
        sockets = listen(tcp=(settings.gateway.host, settings.gateway.port), uds=settings.gateway.socket)
    except BaseException:
        control_sockets.close()
        raise
    try:
        authorities = authorities_of(settings, sockets.tcp_address)
        async with assembled(
            settings, authorities=authorities, wait_seconds_max=LOCK_WAIT_SECONDS_MAX
        ) as product:
            await _serve(product, settings, doors, (sockets, control_sockets), tls, started)
    finally:
        sockets.close()
        control_sockets.close()


async def _serve(
    product: Product,
    settings: Settings,
    doors: Doors,
    sockets: tuple[Listeners, Listeners],
    tls: TLSMaterial | None,
    started: Callable[[Product, Listeners], Coroutine[Any, Any, None]],
) -> None:
    stop = anyio.Event()
    answering = [anyio.Event(), anyio.Event()]
    async with anyio.create_task_group() as beside:
        beside.start_soon(_stop_on_signal, stop)
        beside.start_soon(kept_running, product, settings)
        async with anyio.create_task_group() as doors_open:

            async def door(app: Any, listeners: Listeners, tls: TLSMaterial | None, up: anyio.Event) -> None:
                await serve(
                    app,
                    listeners=listeners,
                    tls=tls,
                    limits=FrontLimits(**asdict(settings.front)),
                    started=lambda _: up.set(),
                    stop=stop,
                )

            doors_open.start_soon(door, doors.gateway(product), sockets[0], tls, answering[0])
            doors_open.start_soon(door, doors.control(product), sockets[1], None, answering[1])
            for up in answering:
                await up.wait()
            await started(product, sockets[0])
        beside.cancel_scope.cancel()


async def _stop_on_signal(stop: anyio.Event) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            stop.set()
            return


def _tls(settings: Settings) -> TLSMaterial | None:
    gateway = settings.gateway
    if not gateway.tls_certificate:
        return None
    return TLSMaterial(
        certificate=secret(gateway.tls_certificate, data=settings.data),
        key=secret(gateway.tls_key, data=settings.data),
        client_ca=secret(gateway.tls_client_ca, data=settings.data) if gateway.tls_client_ca else b"",
    )
