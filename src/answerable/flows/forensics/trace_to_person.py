"""Trace an effect back to the accountable person: from outcome to intent, hops, mandate and the principal named there.

Every step goes by index in this log, and by leaf hash where one is stated, as an external auditor would go. No register
is read, because registers have only the current state.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from answerable.core.identity.names.principal import schedule_of
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.subject_key import key_id_of
from answerable.core.ledger.tags import Tag
from answerable.errors import Broken, Malformed, Unverified
from answerable.ports.search_process import Traced

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.ports.stored_log import LogSnapshot


def traced(log: LogSnapshot, find: FindKey, end: int, *, monotonic: Callable[[], float]) -> Traced:
    """Trace one effect to a person. end: the entry that records it. Raises as the log does."""
    began = monotonic()
    found = bool(person_behind(log, find, end))
    return Traced(found=found, micros=round((monotonic() - began) * 1_000_000))


def person_behind(log: LogSnapshot, find: FindKey, index: int) -> str:
    """Return the person who gave the task of an effect, or the owner of the schedule that gave it. Empty where the
    trace fails: an entry is missing, erased, or does not match its reference.

    find: finds the keys of sealed fields. index: of the entry that records the end. Raises Unavailable.
    """
    try:
        end = leaf_of(log.entry(index))
        intent = _referred(log, end.get("intent"), end.get("intent_leaf"))
        if intent is None or intent.tag != Tag.INTENT:
            return ""
        leaf = leaf_of(intent)
        hops = leaf.get("hops")
        for hop in hops if isinstance(hops, list) else ():
            if not isinstance(hop, dict) or _referred(log, hop.get("entry"), hop.get("leaf", "")) is None:
                return ""
        given = leaf.get("mandate_ref")
        given = {"entry": given} if type(given) is int else given
        if not isinstance(given, dict) or given.get("log"):
            return ""
        mandate = _referred(log, given.get("entry"), given.get("leaf"))
        return _person_in(find, mandate, leaf) if mandate is not None else ""
    except (Malformed, Unverified, Broken):
        return ""


def _referred(log: LogSnapshot, index: JSONValue, leaf_hash: JSONValue) -> StoredEntry | None:
    """Return the entry if it matches the reference. leaf_hash: None where the reference is an index alone."""
    if type(index) is not int or not 0 <= index < log.size:
        return None
    stored = log.entry(index)
    if leaf_hash is None:
        return stored
    found = isinstance(leaf_hash, str) and hmac.compare_digest(stored.leaf_hash.hex(), leaf_hash)
    return stored if found else None


def _person_in(find: FindKey, stored: StoredEntry, intent: dict[str, JSONValue]) -> str:
    leaf = leaf_of(stored)
    if leaf.get("mandate", leaf.get("name")) != intent.get("mandate") or not stored.attachment:
        return ""
    payload = payload_of(stored, leaf, find)
    key = find(key_id_of(stored.attachment))
    name = payload.get("principal") if payload is not None else None
    if not isinstance(name, str) or not name or key is None:
        return ""
    pseudonym = key.pseudonym(b"principal", name.encode())
    if not pseudonym == leaf.get("principal") == intent.get("principal"):
        return ""
    owner = payload.get("owner") if payload is not None else None
    if schedule_of(name) is not None:
        return owner if isinstance(owner, str) else ""
    return name
