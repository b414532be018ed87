"""Build the entries about a hold: what is held, since when and why; and who agreed to lift it.

Names of people, reasons that people wrote, and signed statements are sealed fields; the leaf has pseudonyms.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.records_keys import key_file_fields, key_file_members
from answerable.core.ledger.records_revocation import (
    IN_FLIGHT_NAMED_MAX,
    NAME_TOLD_TWICE_CHARS_MAX,
    denied_members,
)
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.containment.hold import Agreement, Hold
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.containment import ContainmentReport
    from answerable.core.ledger.disclosure import Field, Sealing
    from answerable.core.ledger.entry import Entry
    from answerable.core.ledger.records_keys import KeyFile

_MEMBERS: Final = {
    "agent": "agent",
    "capability": "capability",
    "instance": "instance",
    "key": "key",
    "mandate": "mandate",
    "manifest": "manifest",
    "owner": "person",
    "server": "server",
}
"""The leaf member by which a timeline finds the hold, by kind."""


def hold_placed(
    hold: Hold,
    *,
    at: UnixMillis,
    sealing: Sealing,
    by: str,
    person: str,
    in_flight: Sequence[int],
    approvals: Sequence[str] = (),
) -> Entry:
    """Build the entry of a hold that came into force. by: pseudonym of the person who placed it. person: pseudonym of
    the held person, for an `owner`.

    in_flight: ledger indexes of the intents in scope that were running at that time. approvals: ids of the pending
    approvals that the hold denied.
    """
    members: dict[str, JSONValue] = {
        **_about(hold, person),
        "by": by,
        "expires_at": hold.expires_at,
        "in_flight": [*in_flight[:IN_FLIGHT_NAMED_MAX]],
        "in_flight_count": len(in_flight),
        "rule": hold.rule,
        "since": hold.at,
        "source": hold.source,
        **denied_members(approvals),
    }
    fields: list[Field] = [(b"by_name", encode(hold.by))]
    if hold.what.kind == "owner":
        fields.append((b"person_name", encode(hold.what.name)))
    if hold.reason:
        fields.append((b"reason", encode(hold.reason)))
    return sealed_entry(Tag.HOLD_PLACED, at=at, members=members, fields=fields, sealing=sealing)


def hold_lifted(
    hold: Hold,
    agreement: Agreement,
    *,
    at: UnixMillis,
    sealing: Sealing,
    by: str,
    person: str,
    key_file: KeyFile | None = None,
    rule_owner: str = "",
) -> Entry:
    """Build the entry of a person's signed agreement to lift a hold, which lifts it if enough have agreed. hold: in its
    state after the agreement. by: pseudonym of the signer. person: as for `hold_placed`. key_file: the key they signed
    with. rule_owner: for a lifted hold that a stop rule placed, the owner of the exceeded count, which the rule
    restarts at zero."""
    members: dict[str, JSONValue] = {
        **_about(hold, person),
        "agreed": len(hold.agreed),
        "by": by,
        "key": agreement.key,
        "lifted_at": hold.lifted_at,
        "wanted": hold.persons_to_lift,
        **({"rule": hold.rule, "rule_owner": rule_owner} if rule_owner else {}),
        **key_file_members(key_file),
    }
    fields: list[Field] = [(b"by_name", encode(agreement.by))]
    if agreement.reason:
        fields.append((b"reason", encode(agreement.reason)))
    fields += [(b"token", encode(agreement.token)), *key_file_fields(key_file)]
    return sealed_entry(Tag.HOLD_LIFTED, at=at, members=members, fields=fields, sealing=sealing)


def containment_report(
    report: ContainmentReport, *, at: UnixMillis, sealing: Sealing, person: str, body: dict[str, JSONValue]
) -> Entry:
    """Build the entry of a containment report, once nothing in scope is running any more, as far as is known. body: the
    report as the control API returns it, a sealed field. person: as for `hold_placed`."""
    statuses = Counter(one.status for one in report.in_flight)
    last = report.last
    named = report.in_flight[:IN_FLIGHT_NAMED_MAX]
    elsewhere: dict[str, JSONValue] = {
        log: [one.index for one in named if one.log == log]
        for log in sorted({one.log for one in named} - {report.log})
    }
    members: dict[str, JSONValue] = {
        **_about(report.hold, person),
        "after": report.after_count,
        "approvals": len(report.approvals),
        "ended": {str(one): count for one, count in sorted(statuses.items()) if one},
        "in_flight": [one.index for one in named if one.log == report.log],
        **({"in_flight_elsewhere": elsewhere} if elsewhere else {}),
        "in_flight_count": report.in_flight_count,
        "instances": report.instances_count,
        "last": last.index if last is not None else -1,
        "last_at": last.at if last is not None else 0,
        **({"last_log": last.log} if last is not None and last.log != report.log else {}),
        "live": report.live_count,
        "live_until": max((one.until for one in report.live), default=0),
        "mandates": report.mandates_count,
        **({"not_asked": [one.log for one in report.not_asked]} if report.not_asked else {}),
        "placed": report.entry,
        **({"running": report.running} if report.running else {}),
        "undoing": {str(one): count for one, count in sorted(report.counted.items())},
    }
    fields: list[Field] = [(b"report", encode(body))]
    return sealed_entry(Tag.CONTAINMENT_REPORT, at=at, members=members, fields=fields, sealing=sealing)


def _about(hold: Hold, person: str) -> dict[str, JSONValue]:
    kind, plain = hold.what
    name = person if kind == "owner" else plain
    members: dict[str, JSONValue] = {"hold": hold.id, "kind": kind, "name": name}
    member = _MEMBERS.get(kind)
    if member is not None and len(name) <= NAME_TOLD_TWICE_CHARS_MAX:
        members[member] = name
    return members
