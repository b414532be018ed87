"""Settings of the gateway's listeners for agents, and of what one agent may cost the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from answerable.setting_fields import about, number, reference, seconds, text, texts


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """The listeners that agents connect to."""

    host: str = text("127.0.0.1", "address to listen on; any other than loopback needs TLS")
    port: int = number(8765, "TCP port; 0 takes a free one", unit="port", minimum=0, maximum=65_535)
    socket: Path = field(
        default=Path("gateway.sock"),
        metadata=about(
            "Unix socket for callers on this machine, who are known by their user id", unit="path"
        ),
    )
    socket_group: str = text(
        "",
        "group of this machine, by name or number, whose members may connect to `socket` too, so that agents run under "
        "accounts of their own; empty for the server's own account only. They must be able to pass through "
        "the folder that it is in",
    )
    allowed_hosts: tuple[str, ...] = texts(
        ("127.0.0.1", "localhost", "[::1]"), "values of the `Host` header that are answered, without port"
    )
    allowed_origins: tuple[str, ...] = texts(
        (), "values of the `Origin` header that are answered; browsers send it"
    )
    body_bytes_max: int = number(262_144, "longest message", unit="bytes", minimum=1_024, maximum=4_194_304)
    members_max: int = number(
        5_000,
        "members and items in one message, in all; an empty object or array counts as one more",
        unit="members",
        minimum=100,
        maximum=1_000_000,
    )
    depth_max: int = number(32, "objects and arrays inside one another", unit="levels", minimum=8, maximum=64)
    body_bytes_per_second: int = number(
        1_048_576,
        "what one agent may send, with bursts of one second's worth; more waits",
        unit="bytes per second",
        minimum=65_536,
        maximum=1_073_741_824,
    )
    loop_share_percent: int = number(
        25,
        "share of the event loop's time that one agent may use while others have messages; above it, its next "
        "message waits; 100 sets no limit",
        unit="percent",
        minimum=1,
        maximum=100,
    )
    body_seconds_max: float = seconds(30.0, "longest time to receive a body", minimum=0.1, maximum=600)
    requests_per_agent_max: int = number(
        1_024,
        "requests of one agent at a time, open streams included",
        unit="requests",
        minimum=1,
        maximum=100_000,
    )
    sessions_per_agent_max: int = number(
        64,
        "sessions of one agent; past it the least recently used one ends",
        unit="sessions",
        minimum=1,
        maximum=10_000,
    )
    session_idle_seconds: float = seconds(
        1_800.0, "time after which an unused session ends", minimum=1, maximum=86_400
    )
    listens_per_agent_max: int = number(
        16, "event streams of one agent", unit="streams", minimum=1, maximum=10_000
    )
    uris_per_listen_max: int = number(
        64, "resources in one of them", unit="resources", minimum=1, maximum=10_000
    )
    events_waiting_max: int = number(
        256,
        "events that may wait in one stream; past it the stream ends",
        unit="events",
        minimum=1,
        maximum=100_000,
    )
    approval_wait_seconds: int = number(
        25,
        "how long a call waits for an approval, if its client asks for progress or repeats the call after it got "
        "the address of the approval; clients time out after about 60 s",
        unit="seconds",
        minimum=0,
        maximum=50,
    )
    tls_certificate: str = reference("certificate chain, PEM; empty serves plain HTTP on loopback")
    tls_key: str = reference("private key of the certificate, PEM")
    tls_client_ca: str = reference("authorities whose client certificates are requested and accepted, PEM")
