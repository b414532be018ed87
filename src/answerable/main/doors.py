"""Build the ASGI application of each endpoint over one product, connecting `apps` to what `wiring` has assembled."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from answerable.errors.codes.identity import BUNDLE_NONE

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable

    import anyio

    from answerable.apps.mcp_gateway.services import Head
    from answerable.errors import Refused
    from answerable.flows.ledger.cosign_checkpoint import CosigningState
    from answerable.wiring.assemble import Product
    from answerable.wiring.broker import Broker
    from answerable.wiring.kept_index import KeptIndex
    from answerable.wiring.kept_logs import KeptLogs
    from answerable.wiring.setting_tree import Settings

COMMAND_WAIT_SECONDS_MAX: Final = 10.0
"""How long a command without a server waits for another such command."""


def gateway_app(settings: Settings, product: Product) -> Any:
    """Return the application of the gateway's listeners, with enrolment, tokens, events and workflows."""
    from answerable.apps.enrolment.application import enrolment_app
    from answerable.apps.enrolment.services import PREFIX, EnrolmentServices
    from answerable.apps.mcp_gateway.gateway import Gateway
    from answerable.apps.mcp_gateway.services import GatewayLimits, GatewayServices
    from answerable.flows.approval.open_approval import approval_page, still_waits, was_asked_by
    from answerable.flows.containment.refuse_held import open_stream, refuse_held
    from answerable.flows.walk.forward_action import forward_action
    from answerable.flows.walk.list_capabilities import list_capabilities
    from answerable.flows.walk.note_unregistered import note_unregistered
    from answerable.wiring.loop_share import shared
    from answerable.wiring.serving import by_path
    from answerable.wiring.token_doors import holder_prover

    walk = product.walk
    needs = GatewayServices(
        prover=holder_prover(product),
        govern=partial(forward_action, walk.recorder, walk.planning, walk.deciding, walk.live),
        visible=partial(
            list_capabilities, walk.recorder.ledger, walk.planning, walk.deciding, walk.live.link
        ),
        offers=product.upstream,
        refuse_held=partial(refuse_held, walk.recorder.ledger, walk.authority, walk.verification),
        open_stream=partial(
            open_stream,
            walk.recorder.ledger,
            walk.authority,
            walk.live,
            walk.verification,
        ),
        approval_page=partial(approval_page, walk.asking.passkeys),
        waits=partial(still_waits, walk.authority.approvals, walk.clock),
        asked=partial(was_asked_by, walk.authority.approvals),
        standing=partial(_standing, product),
        share=product.share,
        refused=product.doors.at("mcp"),
        unregistered=partial(note_unregistered, walk.authority.registry, walk.verification.sightings),
    )
    gateway = settings.gateway
    limits = GatewayLimits(
        hosts=frozenset(gateway.allowed_hosts),
        origins=frozenset(gateway.allowed_origins),
        body_bytes_max=gateway.body_bytes_max,
        members_max=gateway.members_max,
        depth_max=gateway.depth_max,
        body_bytes_per_second=gateway.body_bytes_per_second,
        body_seconds_max=gateway.body_seconds_max,
        requests_per_agent_max=gateway.requests_per_agent_max,
        sessions_per_agent_max=gateway.sessions_per_agent_max,
        session_idle_seconds=gateway.session_idle_seconds,
        listens_per_agent_max=gateway.listens_per_agent_max,
        uris_per_listen_max=gateway.uris_per_listen_max,
        events_waiting_max=gateway.events_waiting_max,
        approval_wait_seconds=gateway.approval_wait_seconds,
    )
    enrolment = enrolment_app(
        EnrolmentServices(
            workloads=product.workloads,
            prover=product.verifier,
            hosts=frozenset(gateway.allowed_hosts),
            refused=product.doors.at("enrolment"),
        )
    )
    enrolment = shared(product.share, enrolment)
    tokens = shared(product.share, _token_door(settings, product))
    served = _with_workflows(settings, product, by_path(PREFIX, enrolment, Gateway(needs, limits)))
    oauth = by_path("/oauth/", tokens, by_path("/.well-known/", tokens, served))
    return _with_events(settings, product, oauth)


def _with_workflows(settings: Settings, product: Product, otherwise: Any) -> Any:
    """Add the endpoint for workflows that answer approvals, on the gateway's own sockets."""
    from answerable.apps.workflow_door.application import workflow_app
    from answerable.apps.workflow_door.services import PREFIX, WorkflowServices
    from answerable.wiring.loop_share import shared
    from answerable.wiring.serving import by_path

    hosts = frozenset(settings.gateway.allowed_hosts)
    workflows = workflow_app(
        WorkflowServices(workloads=product.workloads, refused=product.doors.at("workflows"), hosts=hosts)
    )
    return by_path(PREFIX, shared(product.share, workflows), otherwise)


def _with_events(settings: Settings, product: Product, otherwise: Any) -> Any:
    """Add the endpoint for event receivers, if any are configured."""
    if not product.events.receivers:
        return otherwise
    from answerable.apps.event_streams.application import event_app
    from answerable.apps.event_streams.metadata import METADATA
    from answerable.apps.event_streams.services import EventServices
    from answerable.flows.events.manage_streams import PREFIX
    from answerable.wiring.loop_share import shared
    from answerable.wiring.serving import by_path
    from answerable.wiring.token_doors import client_authenticator

    events = event_app(
        EventServices(
            desk=product.events,
            authenticate=client_authenticator(product).authenticate,
            challenge=product.verifier.challenge,
            hosts=frozenset(settings.gateway.allowed_hosts),
            refused=product.doors.at("events"),
        )
    )
    events = shared(product.share, events)
    return by_path(PREFIX, events, by_path(METADATA, events, otherwise))


def _token_door(settings: Settings, product: Product) -> Any:
    """Return the token service, served on the gateway's own sockets."""
    from answerable.apps.token_service.application import token_app
    from answerable.apps.token_service.services import TokenServices
    from answerable.flows.tokens.exchange_token import exchange_token
    from answerable.flows.tokens.introspect_token import introspect_token, signed_introspection
    from answerable.flows.tokens.revoke_token import revoke_token
    from answerable.wiring.token_doors import client_authenticator, holders_of
    from answerable.wiring.tokens import status_list_of, status_lists_of

    desk, holders = product.tokens, holders_of(product)
    return token_app(
        TokenServices(
            issuer=desk.issuer,
            jwks=desk.jwks,
            servers=lambda: product.walk.authority.registry.current.servers,
            authenticate=client_authenticator(product).authenticate,
            prove_key=lambda asked: holders.prove_key(asked.method, asked.target, asked.headers, asked.body),
            exchange=partial(exchange_token, desk),
            introspect=partial(introspect_token, desk),
            signed=partial(signed_introspection, desk),
            revoke=partial(revoke_token, desk),
            status_list=partial(status_list_of, desk),
            status_lists=partial(status_lists_of, desk),
            challenge=product.verifier.challenge,
            nonce=lambda: holders.nonce_field()[1].decode("ascii"),
            hosts=frozenset(settings.gateway.allowed_hosts),
            refused=product.doors.at("tokens"),
        )
    )


def _standing(product: Product, head: Head) -> Refused | None:
    """Return why nothing of this caller is allowed now, whatever it sends; None if it is in force."""
    from answerable.flows.walk.refuse_at_door import standing_of_caller

    return standing_of_caller(
        product.walk.authority,
        product.walk.counters.quota,
        head.agent,
        head.identity,
        head.key,
        head.certificate,
    )


async def serve_workloads(
    settings: Settings,
    product: Product,
    listener: socket.socket,
    *,
    stop: anyio.Event,
    started: Callable[[], None],
) -> None:
    """Serve the SPIFFE Workload API over one product."""
    from answerable.apps.workload_api.front import Doors, serve
    from answerable.apps.workload_api.product_needs import WorkloadNeeds
    from answerable.core.identity.workload.broker_grant import broker_grants

    wanted = settings.identity
    doors = Doors(wit=wanted.wit, broker=wanted.broker, sds=wanted.sds)
    brokers = broker_grants(wanted.brokers, own=product.identity.desk.domain)
    needs = WorkloadNeeds(
        product.identity, product.workloads, brokers=brokers, refused=product.doors.at("workload_api")
    )
    await serve(needs, listener, stop=stop, doors=doors, started=started)


def bundle_door(product: Product) -> Any:
    """Return the endpoint that publishes this trust domain's bundle."""
    from answerable.apps.bundle_endpoint.application import BundleServices, bundle_endpoint_app
    from answerable.core.identity.svid.trust_bundle import encoded_bundle

    desk = product.identity.desk

    def document() -> bytes:
        bundle = desk.bundle(desk.domain)
        if bundle is None:
            raise BUNDLE_NONE()
        return encoded_bundle(bundle)

    return bundle_endpoint_app(
        BundleServices(document=document, refresh_hint_seconds=lambda: desk.limits.refresh_hint_seconds)
    )


def metrics_door(product: Product) -> Any:
    """Return the metrics endpoint over one product."""
    from answerable.apps.metrics.application import MetricsServices, metrics_app
    from answerable.wiring.telemetry import MetricsText

    walk = product.walk
    metrics = MetricsText(walk.recorder, walk.authority, walk.deciding, product.searches.told_of_logs)
    return metrics_app(MetricsServices(text=metrics.text, content_type=metrics.content_type))


def console_door(settings: Settings, product: Product, origin: str, stopping: Callable[[], bool]) -> Any:
    """Return the console over one product. origin: under which browsers open it. stopping: whether the server is
    shutting down."""
    from answerable.apps.console import ConsoleLimits, ConsoleServices, console_app
    from answerable.wiring.console import browsers_secret, providers_of, user_of

    wanted = settings.console
    limits = ConsoleLimits(
        session_idle_seconds=wanted.session_idle_seconds,
        session_seconds=wanted.session_seconds,
        fresh_seconds=wanted.fresh_seconds,
        sessions_max=wanted.sessions_max,
        attempts_per_minute_max=wanted.attempts_per_minute_max,
        streams_per_session_max=wanted.streams_per_session_max,
    )
    needs = ConsoleServices(
        walk=product.walk,
        origin=origin,
        searches=product.searches,
        workloads=product.workloads,
        providers=providers_of(settings, product.walk.clock),
        stopping=stopping,
        refused=product.doors.at("console"),
        browsers_secret=browsers_secret(settings),
        user_of=user_of,
        limits=limits,
    )
    return _with_clicks(settings, product, origin, console_app(needs))


def _with_clicks(settings: Settings, product: Product, origin: str, otherwise: Any) -> Any:
    """Add the endpoint for chat clicks, on the console's own listener, if any tier accepts clicks."""
    from answerable.wiring.clicks import click_desk, signing_secret

    desk = click_desk(settings)
    if desk is None:
        return otherwise
    from answerable.apps.chat_door.application import chat_app
    from answerable.apps.chat_door.services import PREFIX, ChatServices
    from answerable.wiring.console_settings import name_of_origin
    from answerable.wiring.serving import by_path

    hosts = frozenset({name_of_origin(origin)})
    needs = ChatServices(
        walk=product.walk,
        desk=desk,
        secret=signing_secret(settings),
        refused=product.doors.at("chat"),
        hosts=hosts,
    )
    # Messages have buttons only from here on, when an endpoint receives the clicks.
    product.walk.asking.clicks = desk
    return by_path(PREFIX, chat_app(needs), otherwise)


def control_door(settings: Settings, product: Product) -> Any:
    """Return the control API over one product."""
    from answerable.apps.control_api.application import control_app
    from answerable.wiring.loop_share import preferred

    app = control_app(
        product, body_bytes_max=settings.control.body_bytes_max, refused=product.doors.at("control")
    )
    return preferred(product.share, app, uids=frozenset({0, os.geteuid()}))


def witness_door(settings: Settings, desk: CosigningState) -> Any:
    """Return the witness's endpoint for logs and monitors."""
    from answerable.apps.witness.application import WitnessServices, witness_app
    from answerable.flows.ledger.cosign_checkpoint import cosign_checkpoint

    def newest(origin_hash: str) -> bytes | None:
        log = desk.register.log_of_hash(origin_hash)
        return log.newest if log is not None else None

    needs = WitnessServices(cosign=partial(cosign_checkpoint, desk), newest=newest)
    return witness_app(needs, body_seconds_max=settings.local_witness.body_seconds_max)


def search_door(settings: Settings, index: KeptIndex, logs: KeptLogs) -> Any:
    """Return the endpoint of the process that answers searches."""
    from answerable.apps.search_door.application import SearchServices, answering, search_app
    from answerable.ports.search_process import LOGS
    from answerable.wiring.answers import ANSWERED
    from answerable.wiring.joined_index import JoinedIndex
    from answerable.wiring.log_index import other_indexes

    uids = frozenset({0, os.geteuid()})
    joined = JoinedIndex(index, settings.ledger.shard, partial(other_indexes, settings))
    needs = SearchServices(
        answers=(
            answering(LOGS, logs.told),
            *(answering(kind, partial(joined.ask, kind)) for kind in ANSWERED),
        ),
        reach=index.reach,
        uids=uids,
    )
    return search_app(needs)


def broker_door(broker: Broker) -> Any:
    """Return the broker's endpoint."""
    from answerable.apps.broker.application import broker_app
    from answerable.apps.broker.services import BrokerServices

    return broker_app(
        BrokerServices(
            desk=broker.desk, keys=broker.keys, uids=broker.uids, kinds=broker.kinds, own=broker.own
        )
    )


@asynccontextmanager
async def offline_control(settings: Settings) -> AsyncIterator[Any]:
    """Yield the control API on a data directory, in this process, with no other listener open."""
    from answerable.wiring.assemble import assembled
    from answerable.wiring.searches_here import SearchesHere
    from answerable.wiring.start_room import told_of_room

    opening = assembled(settings, wait_seconds_max=COMMAND_WAIT_SECONDS_MAX)
    async with told_of_room(settings, opening) as product:
        here = replace(product, searches=SearchesHere(settings, product.ledger))
        yield control_door(settings, here)
