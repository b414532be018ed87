"""One real Envoy in both roles of mTLS, all its secrets by the Secret Discovery Service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import ssl
from dataclasses import dataclass
from pathlib import Path

import httpx2

from set_up import DEV
from tests.probes.loud_skips import skip_loudly
from tests.stand_ins.ports import free_port
from tests.worlds.federation import Leaf
from tests.worlds.workload_api import DOMAIN, HEADER, World, named

IDENTITY = named("/proxy")


def envoy() -> str:
    """Path of the program, or a loud skip."""
    found = ""
    for place in (
        os.environ.get("ANSWERABLE_ENVOY"),
        DEV / "verifiers/envoy/bin/envoy",
        shutil.which("envoy"),
    ):
        if place and Path(place).exists():
            found = found or str(place)
    return found or skip_loudly(
        "envoy", "./dev verifiers, or a program that ANSWERABLE_ENVOY names", name="envoy"
    )


def secret(name):
    service = {
        "envoy_grpc": {"cluster_name": "answerable"},
        "initial_metadata": [{"key": key, "value": value} for key, value in HEADER.items()],
    }
    source = {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "grpc_services": [service],
        "set_node_on_first_message_only": True,
    }
    return {"name": name, "sds_config": {"resource_api_version": "V3", "api_config_source": source}}


TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
HTTP = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def listener(name, port, route, tls=None):
    manager = {
        "@type": HCM,
        "stat_prefix": name,
        "http_filters": [{"name": "router", "typed_config": {"@type": ROUTER}}],
        "route_config": {
            "virtual_hosts": [
                {"name": name, "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **route}]}
            ]
        },
    }
    chain: dict[str, object] = {"filters": [{"name": "http", "typed_config": manager}]}
    if tls is not None:
        chain["transport_socket"] = {"name": "tls", "typed_config": tls}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"name": name, "address": address, "filter_chains": [chain]}


def cluster(name, address, **more):
    endpoint = {"endpoint": {"address": address}}
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}
    return {"name": name, "type": "STATIC", "load_assignment": assignment, **more}


def bootstrap(door_path, server_port, client_port):
    """One Envoy in both roles: plain HTTP on one port goes by mTLS to its other port, which says whom it saw."""
    own = secret("default")
    peers = {
        "default_validation_context": {
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": str(IDENTITY.id)}}]
        },
        "validation_context_sds_secret_config": secret("ALL"),
    }
    server_tls = {
        "@type": TLS + "DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": {
            "tls_certificate_sds_secret_configs": [own],
            "validation_context_sds_secret_config": secret("ALL"),
        },
    }
    client_tls = {
        "@type": TLS + "UpstreamTlsContext",
        "common_tls_context": {
            "tls_certificate_sds_secret_configs": [secret(str(IDENTITY.id))],
            "combined_validation_context": peers,
        },
    }
    saw = {"header": {"key": "x-saw", "value": "%DOWNSTREAM_PEER_URI_SAN%"}}
    said = {"direct_response": {"status": 200, "body": {"inline_string": "hello"}}}
    server = listener("server", server_port, {**said, "response_headers_to_add": [saw]}, server_tls)
    client = listener("client", client_port, {"route": {"cluster": "server"}})
    http2 = {"@type": HTTP, "explicit_http_config": {"http2_protocol_options": {}}}
    clusters = [
        cluster(
            "answerable",
            {"pipe": {"path": str(door_path)}},
            typed_extension_protocol_options={
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2
            },
        ),
        cluster(
            "server",
            {"socket_address": {"address": "127.0.0.1", "port_value": server_port}},
            transport_socket={"name": "tls", "typed_config": client_tls},
        ),
    ]
    return {
        "node": {"id": "proxy", "cluster": "test"},
        "static_resources": {"listeners": [server, client], "clusters": clusters},
    }


@dataclass
class Running:
    server_port: int
    client_port: int

    async def through(self) -> httpx2.Response:
        """By way of both its roles."""
        async with httpx2.AsyncClient(trust_env=False) as client:
            return await client.get(f"http://127.0.0.1:{self.client_port}/")

    async def from_peer(self, leaf: Leaf, folder: Path, world: World) -> httpx2.Response:
        """As a peer with this certificate, who believes the server by our bundle."""
        (folder / "peer.pem").write_bytes(b"".join(leaf.pem()))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        own = world.bundles()[DOMAIN].x509_authorities
        context.load_verify_locations(cadata="".join(map(ssl.DER_cert_to_PEM_cert, own)))
        context.load_cert_chain(folder / "peer.pem")
        async with httpx2.AsyncClient(verify=context, trust_env=False) as client:
            return await client.get(f"https://127.0.0.1:{self.server_port}/")

    def presented(self) -> bytes:
        """The certificate of the server role, DER; blocking."""
        return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", self.server_port)))


@contextlib.asynccontextmanager
async def running(program, folder, door_path):
    found = Running(free_port(), free_port())
    (folder / "envoy.json").write_text(json.dumps(bootstrap(door_path, found.server_port, found.client_port)))
    log = (folder / "envoy.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        program,
        *("-c", str(folder / "envoy.json"), "--concurrency", "1", "--use-dynamic-base-id", "-l", "info"),
        stdout=log,
        stderr=log,
    )
    try:
        yield found
    finally:
        process.terminate()
        await process.wait()
        log.close()
