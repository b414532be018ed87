"""Open the endpoints of the trust domain: the Workload API on its Unix socket, the bundle endpoint, and routing by
path."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from answerable.adapters.bundle_http import LiveTLS
from answerable.adapters.uvicorn_front import FrontLimits, add_client_authorities, listen, serve
from answerable.core.identity.names.spiffe_id import SpiffeId
from answerable.errors import AnswerableError, Unavailable
from answerable.wiring.settings import secret

if TYPE_CHECKING:
    import ssl

    from answerable.adapters.uvicorn_front import Listeners
    from answerable.flows.trust_domain.keep_trust_domain import TrustDomainState
    from answerable.wiring.assemble import Product
    from answerable.wiring.setting_tree import Settings

GATEWAY_PATH: Final = "/answerable/gateway"
"""Path of the server's own SPIFFE ID, which the bundle endpoint presents."""
WORKLOAD_SOCKET_MODE: Final = 0o666
RETRY_SECONDS: Final = 5.0

_log: Final = logging.getLogger(__name__)


def by_path(prefix: str, inner: Any, otherwise: Any) -> Any:
    """Return an ASGI application that sends HTTP requests below `prefix` to `inner`, and everything else to
    `otherwise`."""

    def application(scope: Any, receive: Any, send: Any) -> Any:
        # Not a coroutine of its own: a request passes five of these, each time that it waits.
        below = scope["type"] == "http" and scope["path"].startswith(prefix)
        return (inner if below else otherwise)(scope, receive, send)

    return application


def listen_for_workloads(settings: Settings) -> Listeners:
    """Bind the socket of the Workload API. Raises Unavailable (`front.*`)."""
    settings.identity.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return listen(uds=settings.identity.socket, uds_mode=WORKLOAD_SOCKET_MODE)


def let_svids_in(context: ssl.SSLContext, desk: TrustDomainState) -> None:
    """Accept X.509-SVIDs of all trusted domains in the gateway's TLS handshake, including domains trusted later.

    Whether an SVID is valid is decided for each message, by the bundle at that time.
    """
    added: set[bytes] = set()

    def told() -> None:
        bundles = desk.bundles()
        # This server's domain first, and each authority by itself: OpenSSL stops at the first one that it cannot read.
        for domain in sorted(bundles, key=lambda one: one != desk.domain):
            for authority in bundles[domain].x509_authorities:
                if authority not in added:
                    added.add(authority)
                    try:
                        add_client_authorities(context, (authority,))
                    except Unavailable as error:
                        _log.warning("an authority of %s is not accepted: %s", domain, error.message)

    told()
    desk.watch(told)


async def serve_bundle(app: Any, product: Product, settings: Settings, stop: anyio.Event) -> None:
    """Serve the bundle endpoint until `stop` is set. Raises Unavailable (`front.*`, `bundle.tls`,
    `secret.unreadable`)."""
    wanted = settings.identity
    tls = LiveTLS()
    listeners = listen(tcp=(wanted.bundle_host, wanted.bundle_port), setting="identity.bundle_port")
    async with anyio.create_task_group() as tasks:
        if wanted.bundle_certificate:
            certificate = secret(wanted.bundle_certificate, data=settings.data)
            tls.use_pem(certificate, secret(wanted.bundle_key, data=settings.data))
        else:
            await tasks.start(_presenting_svid, product, tls)
        await serve(
            app,
            listeners=listeners,
            context=tls.context,
            limits=FrontLimits(**asdict(settings.front)),
            stop=stop,
        )
        tasks.cancel_scope.cancel()


async def _presenting_svid(
    product: Product, tls: LiveTLS, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Present an X.509-SVID of this server over a key made here, renewed at half its lifetime and when the bundle
    changes."""
    desk, clock = product.identity.desk, product.walk.clock
    name = SpiffeId(trust_domain=desk.domain, path=GATEWAY_PATH)
    changed = anyio.Event()

    def told() -> None:
        changed.set()

    end_watch = desk.watch(told)
    begun = False
    try:
        while True:
            wait = RETRY_SECONDS
            # Before issuing, so that a change meanwhile is not missed.
            changed = anyio.Event()
            try:
                key = ec.generate_private_key(ec.SECP256R1())
                issued = await anyio.to_thread.run_sync(product.identity.issuer.x509, name, key.public_key())
                tls.use_svid(
                    (issued.leaf, *issued.chain),
                    key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
                )
                wait = max(1.0, (issued.not_after - clock.now()) / 2000)
            except AnswerableError as error:
                if not begun:
                    raise
                _log.warning("the bundle endpoint keeps its old SVID for now: %s", error.message)
            if not begun:
                begun = True
                task_status.started()
            with anyio.move_on_after(wait):
                await changed.wait()
    finally:
        end_watch()
