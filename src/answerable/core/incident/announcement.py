"""Announcements made from ledger entries: a right to act ended, was held or restored, a group must be notified of an
action, or the log of a target shows something against the record.

An announcement is made from one ledger entry alone: a second reading of the ledger makes the same announcement with the
same id, so that none is lost and none counts twice.

Laws: an announcement contains names of agents, instances, tokens, tasks and things, and never the name of a person, a
reason in somebody's words, an argument or a result; an entry that announces nothing produces nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.base64url import to_base64url
from answerable.core.decision.obligation import kind_of
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import SCHEME
from answerable.core.ledger.happened import whole
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey

Change = Literal["revoked", "ended", "closed", "placed", "lifted", "notified", "found"]

ANNOUNCED: Final = frozenset(
    {
        Tag.REVOKED,
        Tag.WORKLOAD_ENDED,
        Tag.MANDATE_CLOSED,
        Tag.AUTHORITY_CHANGED,
        Tag.HOLD_PLACED,
        Tag.HOLD_LIFTED,
        Tag.LOG_FINDING,
    }
)
"""Tags of announced entries; in addition, intents of which a group must be notified."""
_NOTIFY: Final = "notify"
_REMOVED: Final = "removed"
# As it occurs in the leaf of an intent: most intents have no obligation, and are not parsed at all.
_NOTIFY_IN_LEAF: Final = b'"notify"'
ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """An announcement made from one ledger entry. log, entry: its ledger entry. kind, name: the subject: a kind that
    can be revoked or held, `instance`, `group` for a notice, or `log` of a target. because: a stable word of ours, may
    be empty. by_person: whether a person did it, where known. agent, mandate, capability, action, hold: empty where not
    applicable. until: when a hold expires by itself, which is not announced; 0 for never."""

    log: str
    entry: int
    at: UnixMillis
    change: Change
    kind: str
    name: str
    because: str = ""
    by_person: bool | None = None
    agent: str = ""
    mandate: str = ""
    capability: str = ""
    action: str = ""
    hold: str = ""
    until: int = 0

    def id(self, *receivers: str) -> str:
        """Return an id that is equal for the same entry and differs for each receiver: 22 opaque characters."""
        told = "\0".join((self.log, str(self.entry), self.change, self.kind, self.name, *receivers))
        return to_base64url(sha256(told.encode("utf-8", "surrogatepass")).digest()[:ID_BYTES])

    @property
    def place(self) -> str:
        """The ledger entry, by which people find the details."""
        return f"{self.log}/{self.entry}"


def announcements_in(stored: StoredEntry, log: str, find: FindKey) -> tuple[Announcement, ...]:
    """Return what one entry announces. find: returns keys of subjects, for the groups that an intent names; notices
    whose keys were destroyed are omitted. Raises Broken (`ledger.leaf_malformed`)."""
    if stored.tag == Tag.INTENT:
        return _notices(stored, log, find) if _NOTIFY_IN_LEAF in stored.leaf else ()
    if stored.tag not in ANNOUNCED:
        return ()
    leaf = leaf_of(stored)
    at = UnixMillis(whole(leaf, "at"))
    match stored.tag:
        case Tag.REVOKED:
            return (_revoked(leaf, log, stored.index, at),)
        case Tag.WORKLOAD_ENDED:
            return (
                Announcement(
                    log=log,
                    entry=stored.index,
                    at=at,
                    change="ended",
                    kind="instance",
                    name=_text(leaf, "instance"),
                    agent=_text(leaf, "agent"),
                    because=_text(leaf, "because"),
                    by_person="by" in leaf,
                ),
            )
        case Tag.MANDATE_CLOSED:
            mandate = _text(leaf, "mandate")
            return (
                Announcement(
                    log=log,
                    entry=stored.index,
                    at=at,
                    change="closed",
                    kind="mandate",
                    name=mandate,
                    mandate=mandate,
                    agent=_text(leaf, "agent"),
                    by_person=True,
                ),
            )
        case Tag.AUTHORITY_CHANGED:
            return (_withdrawn(leaf, log, stored.index, at),) if leaf.get("state") == _REMOVED else ()
        case Tag.LOG_FINDING:
            return (_found(leaf, log, stored.index, at),)
        case Tag.HOLD_LIFTED if not leaf.get("lifted_at"):
            # One person agreed, and another one is still required.
            return ()
        case _:
            return (_held(leaf, log, stored, at),)


def _revoked(leaf: Mapping[str, JSONValue], log: str, index: int, at: UnixMillis) -> Announcement:
    kind, name = _text(leaf, "kind"), _text(leaf, "name")
    if kind == "agent" and name.startswith(SCHEME):
        kind = "instance"
    since = whole(dict(leaf), "since")
    return Announcement(
        log=log,
        entry=index,
        at=UnixMillis(since or at),
        change="revoked",
        kind=kind,
        name=name,
        agent=name if kind == "agent" else "",
        mandate=name if kind == "mandate" else "",
    )


def _withdrawn(leaf: Mapping[str, JSONValue], log: str, index: int, at: UnixMillis) -> Announcement:
    """A removed generation of keys of the trust domain, which must no longer be trusted."""
    return Announcement(
        log=log, entry=index, at=at, change="revoked", kind="authority", name=_text(leaf, "authority")
    )


def _held(leaf: Mapping[str, JSONValue], log: str, stored: StoredEntry, at: UnixMillis) -> Announcement:
    """A hold that was placed or lifted, with its target, as far as the entry states it."""
    kind, name = _text(leaf, "kind"), _text(leaf, "name")
    placed, source = stored.tag == Tag.HOLD_PLACED, _text(leaf, "source")
    since = whole(dict(leaf), "since" if placed else "lifted_at")
    return Announcement(
        log=log,
        entry=stored.index,
        at=UnixMillis(since or at),
        change="placed" if placed else "lifted",
        kind=kind,
        name=name,
        agent=name if kind == "agent" else "",
        mandate=name if kind == "mandate" else "",
        hold=_text(leaf, "hold"),
        because=source,
        by_person=not placed or source in ("person", "panic"),
        until=whole(dict(leaf), "expires_at"),
    )


def _found(leaf: Mapping[str, JSONValue], log: str, index: int, at: UnixMillis) -> Announcement:
    """What a target's own log shows; without the account, which may be a person's."""
    return Announcement(
        log=log,
        entry=index,
        at=at,
        change="found",
        kind="log",
        name=_text(leaf, "target"),
        because=_text(leaf, "verdict"),
        agent=_text(leaf, "agent"),
        mandate=_text(leaf, "mandate"),
        action=_text(leaf, "action"),
    )


def _notices(stored: StoredEntry, log: str, find: FindKey) -> tuple[Announcement, ...]:
    leaf = leaf_of(stored)
    payload = payload_of(stored, leaf, find) or {}
    asked = payload.get("asked_decision")
    said = [payload.get("obligations"), asked.get("obligations") if isinstance(asked, dict) else None]
    texts = [one for told in said if isinstance(told, list) for one in told if isinstance(one, str)]
    groups = sorted({text.partition(":")[2] for text in texts if kind_of(text) == _NOTIFY})
    return tuple(
        Announcement(
            log=log,
            entry=stored.index,
            at=UnixMillis(whole(leaf, "at")),
            change="notified",
            kind="group",
            name=group,
            agent=_text(leaf, "agent"),
            mandate=_text(leaf, "mandate"),
            capability=_text(leaf, "capability"),
            action=_text(leaf, "action"),
        )
        for group in groups
        if group
    )


def _text(leaf: Mapping[str, JSONValue], name: str) -> str:
    value = leaf.get(name)
    return value if isinstance(value, str) else ""
