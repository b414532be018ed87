"""The ledger and the overall status."""

from __future__ import annotations

from typing import Annotated

from answerable.api.members import AnyObject, Component, Count, Digest, Instant, Part, Texts, words


class UnreadableRow(Part, frozen=True, kw_only=True):
    """A row of the registers that is out of use, as it cannot be read."""

    what: str
    name: str
    why: str


class Status(Component, frozen=True, kw_only=True):
    """How the product is."""

    version: str
    origin: str
    entries: Count
    open_intents: Count
    approvals_pending: Count
    reviews_owed: Count
    reviews_overdue: Count
    mandates_open: Count
    policy_set: str
    policy_publishers: str
    registry: str
    servers: dict[str, str]
    witnesses: tuple[Witness, ...]
    shards: tuple[Shard, ...]
    unreadable: tuple[UnreadableRow, ...]
    registers: Texts
    search: SearchProcess
    logs: tuple[TargetLog, ...]
    alarms: Texts


class TargetLog(Part, frozen=True, kw_only=True):
    """A log that is followed, as it was told last. lines: by their answer."""

    targets: Texts
    kind: str
    path: str
    state: Annotated[str, words("ok", "behind", "silent", "fault")]
    reason: str
    lines: dict[str, Count]


class SearchProcess(Part, frozen=True, kw_only=True):
    """The process that answers searches; `waiting` for the first question. entries: up to which its index is
    complete."""

    state: Annotated[str, words("off", "waiting", "ok", "alarm")]
    entries: Count
    reason: str


class Shard(Component, frozen=True, kw_only=True):
    """A shard in the log of logs. process: whether its process answers; `this` for the one that is asked, `silent` for
    one that is there and gives no answer."""

    origin: str
    state: Annotated[str, words("waiting", "ok", "alarm")]
    covered: Count
    reason: str
    process: Annotated[str, words("this", "running", "silent", "not_running")]


class Witness(Component, frozen=True, kw_only=True):
    """A witness of the ledger. Times are None for never."""

    name: str
    state: Annotated[str, words("waiting", "ok", "alarm")]
    size: Count
    cosigned_at: Instant | None
    reason: str
    since: Instant | None


class TimelineLine(Part, frozen=True, kw_only=True):
    """One entry in words. shard: whose log has it; empty for a ledger of one log."""

    shard: str
    index: Count
    at: Instant
    kind: str
    text: str
    details: Texts


class MadeOfField(Part, frozen=True, kw_only=True):
    """A field of the manifest and how well it was known."""

    field: str
    says: str
    grade: Annotated[str, words("", "kernel", "sidecar", "gateway", "claimed")]
    standing: Annotated[str, words("measured", "claimed", "differs", "unwritten")]


class ActionUnder(Component, frozen=True, kw_only=True):
    """An action that ran under a manifest. shard: as of a hit of a search."""

    shard: str
    index: Count
    at: Instant
    action: str
    agent: str
    instance: str
    manifest: str
    drifted: bool
    made_of: tuple[MadeOfField, ...]
    outcome: str
    text: str
    details: Texts


class Ledger(Component, frozen=True, kw_only=True):
    """The ledger. key: its verifier key."""

    origin: str
    entries: Count
    checkpoint: str
    key: str


class Entry(Component, frozen=True, kw_only=True):
    """One entry, opened. leaf, payload: their members follow from the kind of the entry, of which later releases add
    more; payload is None where it was erased."""

    index: Count
    tag: Count
    kind: str
    leaf_hash: Digest
    leaf: AnyObject
    payload: AnyObject | None
    sentence: str
    details: Texts


class Checkpoint(Component, frozen=True, kw_only=True):
    """A signed checkpoint."""

    checkpoint: str
