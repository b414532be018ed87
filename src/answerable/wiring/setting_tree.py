"""Declare the tree of settings: every field with its default, unit, bounds and one sentence.

Add new fields here, always with a safe default, so that an old file starts new code. `settings.py` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from answerable.core.ledger.codec import SEGMENT_BYTES_MAX
from answerable.flows.state.walk_limits import WalkLimits
from answerable.setting_fields import about, flag, number, seconds, text
from answerable.wiring.announcing_settings import AnnouncingSettings
from answerable.wiring.broker_settings import BrokerSettings
from answerable.wiring.channel_settings import ChannelSettings
from answerable.wiring.console_settings import ConsoleSettings
from answerable.wiring.containment_settings import ContainmentSettings
from answerable.wiring.gateway_settings import GatewaySettings as GatewaySettings
from answerable.wiring.identity_settings import IdentitySettings
from answerable.wiring.incident_settings import IncidentSettings
from answerable.wiring.log_settings import LogsSettings
from answerable.wiring.search_settings import SearchSettings
from answerable.wiring.telemetry_settings import TelemetrySettings
from answerable.wiring.token_settings import TokenSettings
from answerable.wiring.walk_settings import WALK_BOUNDS
from answerable.wiring.witness_settings import LocalWitnessSettings, WitnessesSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontSettings:
    """Limits of all listeners' sockets."""

    connections_max: int = number(
        4_096,
        "connections at a time; more are answered 503",
        unit="connections",
        minimum=1,
        maximum=1_000_000,
    )
    keep_alive_seconds: int = number(
        60, "time an idle connection is kept", unit="seconds", minimum=1, maximum=3_600
    )
    grace_seconds: int = number(
        10, "time requests under way get when the server stops", unit="seconds", minimum=0, maximum=600
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofSettings:
    """How callers prove who they are."""

    skew_seconds_max: int = number(
        60,
        "largest difference between a caller's clock and ours, either way",
        unit="seconds",
        minimum=1,
        maximum=3_600,
    )
    nonces_per_agent_max: int = number(
        60_000,
        "signed messages of one agent in twice that time",
        unit="messages",
        minimum=1,
        maximum=10_000_000,
    )
    sessions_per_agent_max: int = number(
        64,
        "session keys of one agent; past it the least recently used one ends",
        unit="keys",
        minimum=1,
        maximum=10_000,
    )
    session_seconds: int = number(
        3_600, "lifetime of a session key", unit="seconds", minimum=1, maximum=3_600
    )
    connections_max: int = number(
        65_536, "connections whose messages are counted", unit="connections", minimum=1, maximum=10_000_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamsSettings:
    """Connections to upstream MCP servers."""

    user: str = text(
        "",
        "account of this machine that servers run under which `answerable up` starts (stdio), when it is started by "
        "root; empty for `answerable-tools` where there is one, else for its own, where whatever runs in them can "
        "read its keys and answer in people's names",
    )
    result_bytes_max: int = number(
        4_194_304, "longest answer, as canonical JSON", unit="bytes", minimum=1_024, maximum=67_108_864
    )
    message_bytes_max: int = number(
        6_291_456, "longest message on the wire", unit="bytes", minimum=1_024, maximum=134_217_728
    )
    connect_seconds_max: float = seconds(
        20.0, "longest time from start to a listed server", minimum=0.1, maximum=600
    )
    connect_wait_seconds: float = seconds(
        2.0, "how long a call waits for a connection that is being made", minimum=0, maximum=60
    )
    restart_delay_seconds: float = seconds(
        0.1, "first delay before a failed server is started again; then doubled", minimum=0.01, maximum=60
    )
    restart_delay_seconds_max: float = seconds(15.0, "longest such delay", minimum=0.01, maximum=3_600)
    steady_seconds: float = seconds(
        5.0, "after running this long, a server restarts at the first delay again", minimum=0.1, maximum=3_600
    )
    write_seconds_max: float = seconds(
        10.0, "longest wait for a server that does not read its input", minimum=0.1, maximum=600
    )
    stop_seconds_max: float = seconds(2.0, "time a server gets to end by itself", minimum=0, maximum=60)
    catalogue_seconds_max: float = seconds(
        30.0, "longest age of a list whose changes a server does not announce", minimum=0.1, maximum=3_600
    )
    connections_max: int = number(
        512, "connections at a time", unit="connections", minimum=1, maximum=100_000
    )
    log_bytes_max: int = number(
        1_048_576,
        "how much of the standard error of one server is kept",
        unit="bytes",
        minimum=1_024,
        maximum=1_073_741_824,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSettings:
    """The control API's listener, for people and their tools: a Unix socket of mode 0600."""

    socket: Path = field(
        default=Path("control.sock"),
        metadata=about("Unix socket; only the user who runs the server, and root, are answered", unit="path"),
    )
    body_bytes_max: int = number(
        4_194_304, "longest request body", unit="bytes", minimum=1_024, maximum=67_108_864
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """Where entries are stored, and how often they are sealed."""

    directory: Path = field(
        default=Path("ledger"), metadata=about("directory of the log, or of all its shards", unit="path")
    )
    shard: str = text(
        "",
        "name of this process's shard, where several processes share a data directory; empty keeps one log. Sockets at "
        "their defaults get the name, too: `control-a.sock`",
    )
    origin: str = text(
        "",
        "name of the log in its checkpoints; empty takes one made from the log's own key when the log begins",
    )
    segment_bytes: int = number(
        67_108_864,
        "size of a segment file of a large log; a new log begins with 4 MiB, and doubles",
        unit="bytes",
        minimum=65_536,
        maximum=SEGMENT_BYTES_MAX,
    )
    queue_bytes_max: int = number(
        16_777_216,
        "size of the entries that may wait for one sync",
        unit="bytes",
        minimum=65_536,
        maximum=1_073_741_824,
    )
    queue_entries_max: int = number(
        65_536, "entries that may wait for one sync", unit="entries", minimum=1, maximum=10_000_000
    )
    append_wait_seconds_max: float = seconds(
        2.0, "how long an entry waits for room in that queue before it is refused", minimum=0, maximum=60
    )
    allocation_retry_seconds: float = seconds(
        5.0, "time between two tries for a segment when the disk is full", minimum=0.1, maximum=600
    )
    seal_seconds: int = number(
        10,
        "time between two checkpoints when there are new entries",
        unit="seconds",
        minimum=1,
        maximum=3_600,
    )
    seal_unsealed_bytes: int = number(
        50_331_648,
        "size of the entries after the newest checkpoint at which the next one is made at once",
        unit="bytes",
        minimum=65_536,
        maximum=SEGMENT_BYTES_MAX,
    )
    unsealed_bytes_max: int = number(
        67_108_864,
        "size of the entries after the newest checkpoint at which new ones wait; limits how long opening takes",
        unit="bytes",
        minimum=65_536,
        maximum=SEGMENT_BYTES_MAX,
    )
    ml_dsa_44: bool = flag(False, "sign checkpoints with a key of ML-DSA-44, too")

    @property
    def place(self) -> Path:
        """Directory of this process's own log."""
        return self.shards / self.shard if self.shard else self.directory

    @property
    def shards(self) -> Path:
        """Directory of the logs of all shards."""
        return self.directory / "shards"

    @property
    def heads(self) -> Path:
        """Directory of the log of logs."""
        return self.directory / "heads"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSettings:
    """Where the present state is stored: documents, mandates, approvals."""

    database: Path = field(default=Path("answerable.db"), metadata=about("SQLite database", unit="path"))
    subject_keys: Path = field(
        default=Path("subject-keys.db"),
        metadata=about(
            "SQLite database of the keys that seal personal data in the ledger; back it up apart from it",
            unit="path",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleSettings:
    """How often overdue intents are ended and counted refusals written down."""

    every_seconds: int = number(5, "time between two rounds", unit="seconds", minimum=1, maximum=600)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """Who puts policy sets into force."""

    publishers: str = text(
        "",
        "group of people, of whom one must sign a change of policy sets that another person proposed; empty lets "
        "one person change them with `answerable apply`, on record",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. data: the data directory, absolute; every other path is absolute, too."""

    data: Path
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    front: FrontSettings = field(default_factory=FrontSettings)
    proof: ProofSettings = field(default_factory=ProofSettings)
    upstreams: UpstreamsSettings = field(default_factory=UpstreamsSettings)
    control: ControlSettings = field(default_factory=ControlSettings)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    registers: RegisterSettings = field(default_factory=RegisterSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    logs: LogsSettings = field(default_factory=LogsSettings)
    settle: SettleSettings = field(default_factory=SettleSettings)
    walk: WalkLimits = field(default_factory=WalkLimits)
    witnesses: WitnessesSettings = field(default_factory=WitnessesSettings)
    local_witness: LocalWitnessSettings = field(default_factory=LocalWitnessSettings)
    identity: IdentitySettings = field(default_factory=IdentitySettings)
    tokens: TokenSettings = field(default_factory=TokenSettings)
    policy: PolicySettings = field(default_factory=PolicySettings)
    announcing: AnnouncingSettings = field(default_factory=AnnouncingSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    containment: ContainmentSettings = field(default_factory=ContainmentSettings)
    incidents: IncidentSettings = field(default_factory=IncidentSettings)
    broker: BrokerSettings = field(default_factory=BrokerSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    channels: ChannelSettings = field(default_factory=ChannelSettings)


SECTIONS: Final[dict[str, type]] = {
    "gateway": GatewaySettings,
    "front": FrontSettings,
    "proof": ProofSettings,
    "upstreams": UpstreamsSettings,
    "control": ControlSettings,
    "ledger": LedgerSettings,
    "registers": RegisterSettings,
    "search": SearchSettings,
    "logs": LogsSettings,
    "settle": SettleSettings,
    "walk": WalkLimits,
    "witnesses": WitnessesSettings,
    "local_witness": LocalWitnessSettings,
    "identity": IdentitySettings,
    "tokens": TokenSettings,
    "policy": PolicySettings,
    "announcing": AnnouncingSettings,
    "telemetry": TelemetrySettings,
    "containment": ContainmentSettings,
    "incidents": IncidentSettings,
    "broker": BrokerSettings,
    "console": ConsoleSettings,
    "channels": ChannelSettings,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingLine:
    """One setting as listed in the reference."""

    section: str
    key: str
    default: object
    unit: str
    says: str
    bounds: str


def listed_settings() -> Iterator[SettingLine]:
    """Yield every setting with its default and bounds, in the order of the reference."""
    for section, kind in SECTIONS.items():
        for one in fields(kind):
            says, unit, minimum, maximum = described(section, one.name, one.metadata)
            bounds = "" if minimum is None else f"{minimum} to {maximum}"
            yield SettingLine(
                section=section, key=one.name, default=one.default, unit=unit, says=says, bounds=bounds
            )


def described(
    section: str, key: str, metadata: Mapping[str, Any]
) -> tuple[str, str, float | None, float | None]:
    """Return the sentence, unit, minimum and maximum of one setting."""
    if section == "walk":
        return WALK_BOUNDS[key]
    return metadata["says"], metadata["unit"], metadata.get("minimum"), metadata.get("maximum")
