"""Open the listeners and serve the applications that `main` made, on the sockets named in the settings."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio

from answerable.adapters.uvicorn_front import (
    KEPT,
    FrontLimits,
    Listeners,
    listen,
    raise_limit,
    run,
    serve,
    set_collector_apart,
)
from answerable.errors import AnswerableError, Unavailable
from answerable.errors.codes.services import FRONT_NOT_BOUND
from answerable.flows.revocation.cut_held import end_listening
from answerable.wiring.assemble import Product, assembled, authorities_of
from answerable.wiring.console import open_console, serve_console
from answerable.wiring.error_groups import first_of_ours
from answerable.wiring.identity import require_open
from answerable.wiring.identity_doors import by_path, let_svids_in, listen_for_workloads, serve_bundle
from answerable.wiring.kept_process import KeptProcess, stop_on_signal
from answerable.wiring.leases import kept_broker
from answerable.wiring.policies import say_who_publishes
from answerable.wiring.running import kept_running
from answerable.wiring.shard_links import serve_link
from answerable.wiring.start_room import make_product_directory, room_told, told_of_room
from answerable.wiring.telemetry import serve_metrics
from answerable.wiring.tls_material import gateway_tls
from answerable.wiring.witness_settings import LOCAL
from answerable.wiring.witness_view import add_watched_log

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Coroutine

    from anyio.abc import TaskGroup, TaskStatus

    from answerable.wiring.setting_tree import Settings

__all__ = ["Doors", "Listeners", "by_path", "run", "serve_product", "set_collector_apart"]

_log: Final = logging.getLogger(__name__)

CONTROL_KEPT: Final = 128
"""Descriptors reserved on the control socket, fewer than on other listeners, so that a stop gets in when those are
full."""
LAST_ROUND_SECONDS_MAX: Final = 1.0
_NOTHING_ACTS: Final = (
    "this server has ended and nothing acts through it; leases, tokens and identity documents that it issued "
    "stay valid until they expire, or are revoked at their targets"
)
_LEFT: Final = {
    "ledger.poisoned": f"{_NOTHING_ACTS}. What was ended is recorded unless reported otherwise: the next start "
    "verifies the log and restores it",
    "ledger.unwritable": f"{_NOTHING_ACTS}. What was ended since the disk failed is lost: make it writable, and end "
    "that again before agents may connect",
}
"""What is still in force after a failed log has ended the server."""
LOCK_WAIT_SECONDS_MAX: Final = 20.0
"""How long a starting server waits for a command that is working on its data directory. Later commands find the
server's control socket and wait for the server, so the server waits for one command only."""


class ServeWorkloads(Protocol):
    """Serves the Workload API. Raises Unavailable (`workload_api.*`)."""

    async def __call__(
        self, product: Product, listener: socket.socket, *, stop: anyio.Event, started: Callable[[], None]
    ) -> None:
        """Serve until `stop` is set."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Factories of the ASGI applications, each over one product.

    witness: command that starts the local witness; `--log KEY` is added. A last checkpoint is cosigned before the
    witness ends. broker, search: commands that start the broker, and the process that answers searches. workloads:
    serves the Workload API on a bound socket until an event is set, and reports when it answers. bundle: the bundle
    endpoint's application. metrics: that of `/metrics`. console: that for people, at this origin, with a function that
    reports whether the server stops.
    """

    gateway: Callable[[Product], Any]
    control: Callable[[Product], Any]
    witness: tuple[str, ...] = ()
    broker: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    workloads: ServeWorkloads | None = None
    bundle: Callable[[Product], Any] | None = None
    metrics: Callable[[Product], Any] | None = None
    console: Callable[[Product, str, Callable[[], bool]], Any] | None = None


async def serve_product(
    settings: Settings, doors: Doors, *, started: Callable[[Product, Listeners], Coroutine[Any, Any, None]]
) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP, then stop gracefully. `started` runs once, when both listeners answer.

    Raises as `assembled`, Unavailable (`front.*`), and whatever made the log unusable: of several errors at once, the
    first of this product. Witnesses are asked before the listeners open; one that knows a longer or a different log
    ends the server, too.
    """
    try:
        await _serve_product(settings, doors, started)
    except BaseExceptionGroup as group:
        ours = first_of_ours(group)
        if ours is None:
            raise
        raise _with_what_holds(ours) from group


def _with_what_holds(error: AnswerableError) -> AnswerableError:
    """Add to an error that ended the server what becomes of what was ended in it."""
    left = _LEFT.get(error.code)
    if left is None or not isinstance(error, Unavailable):
        return error
    return Unavailable(f"{error.message}; {left}", code=error.code, port=error.port, effect=error.effect)


async def _serve_product(
    settings: Settings, doors: Doors, started: Callable[[Product, Listeners], Coroutine[Any, Any, None]]
) -> None:
    with room_told(settings):
        make_product_directory(settings)
    _take_open_files(settings.front.connections_max)
    tls = gateway_tls(settings)
    control_sockets = listen(uds=settings.control.socket)
    try:
        gateway = settings.gateway
        sockets = listen(
            tcp=(gateway.host, gateway.port),
            uds=gateway.socket,
            uds_group=gateway.socket_group,
            setting="gateway.port",
        )
    except BaseException:
        control_sockets.close()
        raise
    try:
        authorities = authorities_of(settings, sockets.tcp_address)
        opening = assembled(
            settings,
            authorities=authorities,
            address=sockets.tcp_address,
            wait_seconds_max=LOCK_WAIT_SECONDS_MAX,
            witness=doors.witness,
        )
        async with told_of_room(settings, opening) as product:
            require_open(product.identity)
            say_who_publishes(product.walk.authority.registry, product.walk.policies)
            await _serve(product, settings, doors, (sockets, control_sockets), tls, started)
    finally:
        sockets.close()
        control_sockets.close()


async def _serve(
    product: Product,
    settings: Settings,
    doors: Doors,
    sockets: tuple[Listeners, Listeners],
    tls: ssl.SSLContext | None,
    started: Callable[[Product, Listeners], Coroutine[Any, Any, None]],
) -> None:
    stop = anyio.Event()
    stop_on_signal(stop)
    answering = [anyio.Event(), anyio.Event()]
    async with anyio.create_task_group() as beside:
        beside.start_soon(end_listening, product.walk.live.streams, stop)
        await _first_round(beside, product, settings, doors.witness)
        beside.start_soon(kept_broker, settings, doors.broker)
        beside.start_soon(product.searches.kept, doors.search)
        beside.start_soon(kept_running, product, settings)
        if tls is not None:
            let_svids_in(tls, product.identity.desk)
        async with anyio.create_task_group() as doors_open:

            async def door(
                app: Any, listeners: Listeners, tls: ssl.SSLContext | None, up: anyio.Event, kept: int
            ) -> None:
                await serve(
                    app,
                    listeners=listeners,
                    context=tls,
                    limits=FrontLimits(**asdict(settings.front), descriptors_kept=kept),
                    started=lambda _: up.set(),
                    stop=stop,
                )

            doors_open.start_soon(door, doors.gateway(product), sockets[0], tls, answering[0], KEPT)
            doors_open.start_soon(door, doors.control(product), sockets[1], None, answering[1], CONTROL_KEPT)
            if doors.workloads is not None:
                await doors_open.start(_workload_door, doors.workloads, product, settings, stop)
            if product.shard_door is not None:
                await doors_open.start(serve_link, product.shard_door, stop)
            if doors.bundle is not None and settings.identity.bundle_port:
                doors_open.start_soon(serve_bundle, doors.bundle(product), product, settings, stop)
            if doors.metrics is not None and settings.telemetry.metrics_port:
                answering.append(anyio.Event())
                doors_open.start_soon(
                    serve_metrics, doors.metrics(product), settings, stop, answering[-1].set
                )
            console = (
                open_console(settings, product.walk.asking.passkeys) if doors.console is not None else None
            )
            if doors.console is not None and console is not None:
                answering.append(anyio.Event())
                app = doors.console(product, console.origin, stop.is_set)
                doors_open.start_soon(serve_console, app, console, settings, stop, answering[-1].set)
            for up in answering:
                await up.wait()
            await started(product, sockets[0])
        await _last_round(product, settings)
        beside.cancel_scope.cancel()


def _take_open_files(connections_max: int) -> None:
    allowed = raise_limit()
    if allowed < connections_max + KEPT:
        _log.warning(
            "this process may have %d open files, and %d connections (`front.connections_max`) need %d: further "
            "ones are refused; raise the limit (`ulimit -n`, `LimitNOFILE` of systemd)",
            allowed, connections_max, connections_max + KEPT,
        )  # fmt: skip


async def _workload_door(
    serve_workloads: ServeWorkloads,
    product: Product,
    settings: Settings,
    stop: anyio.Event,
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the Workload API beside the others. If its socket's place is not safe, only the Workload API stays off:
    agents that authenticate in other ways continue."""
    listeners = listen_for_workloads(settings)
    if listeners.uds is None:
        raise FRONT_NOT_BOUND()
    try:
        await serve_workloads(product, listeners.uds, stop=stop, started=task_status.started)
    except Unavailable as shut:
        if shut.code != "workload_api.socket_permissions":
            raise
        _log.error("the Workload API is not started: %s", shut.message)
        task_status.started()
    finally:
        listeners.close()


async def _first_round(
    beside: TaskGroup, product: Product, settings: Settings, command: tuple[str, ...]
) -> None:
    """Ask each witness once, before there can be new entries. A witness that does not answer in time is in alarm,
    except one that is just being started here."""
    if product.heads is not None:
        # The witness runs beside the process that keeps the log of logs.
        await beside.start(product.heads.run)
        command = ()
        if settings.witnesses.shards and settings.witnesses.local:
            add_watched_log(settings, product.log_key)
    give_up_at = anyio.current_time() + settings.witnesses.start_seconds_max
    if settings.witnesses.local and command:
        witness = KeptProcess(
            name="witness",
            command=(*command, *(part for key in product.log_keys for part in ("--log", key))),
            socket=settings.local_witness.socket,
            ended=partial(product.cosigning.starting.done, LOCAL),
        )
        beside.start_soon(witness.run)
        product.cosigning.starting.begin(LOCAL)
        with anyio.CancelScope(deadline=give_up_at):
            await witness.answering()
    # The other witnesses are asked even if the local one is late.
    with anyio.CancelScope(deadline=max(give_up_at, anyio.current_time() + LAST_ROUND_SECONDS_MAX)):
        await product.cosigning.gather()


async def _last_round(product: Product, settings: Settings) -> None:
    """Seal and cosign the log to its end, for readers after this server has stopped."""
    with anyio.move_on_after(min(settings.witnesses.start_seconds_max, LAST_ROUND_SECONDS_MAX)):
        product.seal()
        if product.heads is not None:
            await product.heads.last_round()
        await product.cosigning.gather()
