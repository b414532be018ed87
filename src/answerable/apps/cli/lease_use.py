"""Compare the rights that leases grant with the rights used: count use, propose fewer rights, and replay a proposal
against past actions."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.exit_codes import CHECK_FAILED
from answerable.apps.cli.policy_simulation import millis_back, period
from answerable.apps.cli.terminal import safe
from answerable.core.lease.use import (
    ACTIONS_MIN,
    DAYS_MIN,
    Needed,
    Right,
    RightUse,
    UseTally,
    refusals,
    smaller,
    use_of,
)
from answerable.errors import shown
from answerable.errors.codes.leases import (
    LEASE_NARROWED,
    LEASE_TEMPLATE,
    LEASE_TOO_LITTLE,
    LEASE_UNTOLD,
    LEASE_UNUSED,
)
from answerable.errors.codes.registry import CAPABILITY_UNKNOWN
from answerable.errors.codes.services import CLI_FILES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.api.lease_use_answers import GrantedRight, LeaseTally
    from answerable.apps.cli.control import Control
    from answerable.core.lease.use import Refusals, Smaller, Untold

Since = Annotated[str, typer.Option("--since", help="Period, such as 24h, 90d; or `all`.", metavar="TIME")]
Actions = Annotated[
    int, typer.Option("--min-actions", min=1, help="Least number of actions that reported what they used.")
]
Days = Annotated[int, typer.Option("--min-days", min=0, help="Least number of days since the first of them.")]

SINCE: Final = "90d"
SELDOM: Final = 2
"""A right used by at most this many actions is pointed out to the reviewer."""
_UNTOLD: Final[dict[Untold, str]] = {
    "not_told": "did not tell what they used",
    "unreadable": "cannot be read any more",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What one capability grants and what was used of it. fault: why the broker cannot list what it grants."""

    capability: str
    target: str
    template: str
    rights: tuple[Right, ...]
    fault: str
    tally: UseTally


def register(group: typer.Typer) -> None:
    """Add the verbs to the noun `lease`."""
    command(group, "usage", reads=True)(usage)
    command(group, "propose", reads=True)(propose)
    command(group, "replay", reads=True)(replay)


def usage(
    shell: Shell,
    since: Since = SINCE,
    capability: Annotated[
        str, typer.Option("--capability", help="Only this one.", metavar="NAME", show_default=False)
    ] = "",
) -> int | None:
    """What leases grant, and which rights actions used, from the ledger.

    Only successful actions count as use. Prints `unknown` where a target cannot report use, and for every right if an
    action did not report it.
    """
    with shell.control() as control:
        found = [one for one in counted(shell, control, since) if capability in ("", one.capability)]
    if capability and not found:
        raise CAPABILITY_UNKNOWN(
            f"there is no capability {shown(capability)} with a lease: see `answerable lease boundaries`"
        )
    if shell.terminal.as_json:
        shell.terminal.json([_told(one, since) for one in found])
        return None
    shell.terminal.table(
        ("capability", "right", "use", "actions", "last used"),
        [
            (one.capability, right.shown, use_of(right, one.tally), _actions(one, right), _last(one, right))
            for one in found
            for right in one.rights
        ],
        empty="no rights",
    )
    for one in found:
        shell.terminal.say(_summary(one, since))
    if not found:
        shell.terminal.say("no capability has a lease that a broker mints")
    return None


def propose(
    shell: Shell,
    name: Annotated[str, typer.Argument(help="Name of the capability.", metavar="CAPABILITY")],
    since: Since = SINCE,
    min_actions: Actions = ACTIONS_MIN,
    min_days: Days = DAYS_MIN,
) -> int | None:
    """Write a capability's document without the rights that were never used, as YAML, for people to review.

    `answerable diff`, `lease replay` and `apply` accept it. Rights are removed only if it is known that nothing used
    them; exit code 5 if there is nothing to propose.
    """
    with shell.control() as control:
        one = _one(counted(shell, control, since), name)
        now = int(datetime.now(UTC).timestamp() * 1000)
        less = smaller(one.rights, one.tally, Needed(actions=min_actions, days=min_days), now=now)
        _check_enough(one, less, since)
        if not less.dropped:
            shell.terminal.say(f"nothing to remove: {_summary(one, since)}")
            return CHECK_FAILED
        document = _narrowed(control, one, less)
    if shell.terminal.as_json:
        shell.terminal.json({"document": document, **_told(one, since)})
        return None
    for line in _lines(one, less, document, since):
        shell.terminal.line(line)
    return None


def replay(
    shell: Shell,
    files: Annotated[list[str], typer.Argument(help="YAML file, or - for standard input.", metavar="FILE")],
    since: Since = SINCE,
) -> int | None:
    """Which past actions the leases of these documents would have refused.

    Compares them with what past actions under the current lease reported. Exit code 5 if there is one, or if it
    cannot be known.
    """
    from answerable.api.lease_use_answers import LeaseRightsRequest
    from answerable.client import lease_use_calls
    from answerable.wiring.registry_documents import read_documents

    reading = read_documents(files, standard_input=sys.stdin.read() if "-" in files else "")
    if reading.faults:
        raise CLI_FILES(reading.faults[0])
    documents = [
        one for one in reading.documents if isinstance(one, dict) and one.get("kind") == "Capability"
    ]
    if not documents:
        raise CLI_FILES("there is no Capability in these files")
    with shell.control() as control:
        answer = lease_use_calls.tell_lease_rights(control, LeaseRightsRequest(documents=tuple(documents)))
        found = counted(shell, control, since)
    results = [
        (one, refusals(one.rights, one.tally, _rights(then.rights)))
        for then in answer.leases
        for one in [_one(found, then.capability)]
    ]
    _show_replayed(shell, results, since)
    is_clean = all(held.is_none and not held.unknown and not one.tally.untold for one, held in results)
    return None if is_clean else CHECK_FAILED


def counted(shell: Shell, control: Control, since: str) -> list[Counted]:
    """Return every capability with a lease, with its use in the whole period.

    Raises Refused (`lease.template`) when one changed meanwhile, Malformed (`cli.since`).
    """
    from msgspec.structs import replace

    from answerable.api.lease_use_answers import LeaseUsePage, LeaseUseRequest
    from answerable.client import lease_use_calls

    listed = list(lease_use_calls.list_lease_rights(control))
    tallies: dict[str, UseTally] = {one.capability: UseTally() for one in listed}
    templates = {one.capability: one.template for one in listed}
    begun = str(millis_back(since))
    with shell.terminal.progress("counting") as tell:

        def read(asked: LeaseUseRequest) -> LeaseUsePage:
            page = lease_use_calls.count_lease_use(control, asked)
            if page.templates != templates:
                raise LEASE_TEMPLATE("leases have changed while they were counted: try again")
            for name, tally in page.tallies.items():
                tallies[name].merge(counted_use(tally))
            tell(page.end, page.size)
            return page

        def read_all(asked: LeaseUseRequest) -> Sequence[str]:
            while (page := read(asked)).more:
                asked = replace(asked, start=str(page.end))
            return page.others

        others = read_all(LeaseUseRequest(since=begun))
        for name in others:
            # Use recorded in other processes' logs counts as well.
            read_all(LeaseUseRequest(since=begun, log=name))
    return [
        Counted(
            capability=one.capability,
            target=one.target,
            template=one.template,
            rights=_rights(one.rights),
            fault=one.fault,
            tally=tallies[one.capability],
        )
        for one in listed
    ]


def _one(found: Sequence[Counted], name: str) -> Counted:
    for one in found:
        if one.capability == name:
            return one
    raise CAPABILITY_UNKNOWN(
        f"there is no capability {shown(name)} with a lease: see `answerable lease boundaries`"
    )


def _check_enough(one: Counted, less: Smaller, since: str) -> None:
    if one.fault or not any(right.is_told for right in one.rights):
        why = one.fault or f"target {shown(one.target)} does not report what actions use of their grants"
        raise LEASE_UNTOLD(f"no proposal: {why}")
    if less.why_not:
        raise LEASE_TOO_LITTLE(f"too little data for a proposal {period(since)}: {'; '.join(less.why_not)}")
    if not any(right.is_told for right in less.kept):
        raise LEASE_UNUSED(f"none of {one.tally.told} actions used the lease: remove the capability instead")


def _narrowed(control: Control, one: Counted, less: Smaller) -> Any:
    """Return the narrowed document, after checking it against past actions."""
    from answerable.api.lease_use_answers import LeaseNarrowRequest, LeaseRightsRequest
    from answerable.client import lease_use_calls

    asked = LeaseNarrowRequest(
        capability=one.capability,
        template=one.template,
        kept=tuple(right.place for right in less.kept),
    )
    document = lease_use_calls.narrow_lease(control, asked).document
    if document is None:
        raise LEASE_UNUSED("this target cannot grant only what was used: edit the document by hand")
    (then,) = lease_use_calls.tell_lease_rights(control, LeaseRightsRequest(documents=(document,))).leases
    held = refusals(one.rights, one.tally, _rights(then.rights))
    if not held.is_none or held.unknown or held.added:
        raise LEASE_NARROWED()
    return document


def _lines(one: Counted, less: Smaller, document: Any, since: str) -> list[str]:
    import yaml

    # The emitter escapes non-printable characters, so the text is safe to display and can be applied.
    text = yaml.safe_dump(document, sort_keys=False, width=120)
    notes = [_summary(one, since)]
    notes += [f"takes out: {right.shown}" for right in less.dropped]
    for right in less.kept:
        use = one.tally.rights.get(right.place, RightUse())
        count = use.sure + use.unsure
        if not right.is_told:
            notes.append(f"kept, because its use is unknown: {right.shown}")
        elif count <= SELDOM:
            notes.append(f"review: {right.shown}, used {count} times, last on {_instant(use.last_at)}")
    return [*(f"# {safe(note)}" for note in notes), *text.splitlines()]


def _show_replayed(shell: Shell, results: Sequence[tuple[Counted, Refusals]], since: str) -> None:
    if shell.terminal.as_json:
        shell.terminal.json([{**_held(held), **_told(one, since)} for one, held in results])
        return
    shell.terminal.table(
        ("capability", "right", "actions", "last used"),
        [
            (one.capability, right.shown, _count(use), _instant(use.last_at))
            for one, held in results
            for right, use in held.lacking
        ],
        empty="no action that reported its use would have been refused",
    )
    for one, held in results:
        for right in held.unknown:
            shell.terminal.warn(f"{one.capability}: unknown whether actions needed {right.shown}")
        for right in held.added:
            shell.terminal.warn(f"{one.capability}: grants more than before: {right.shown}")
        shell.terminal.say(_summary(one, since))


def _held(held: Refusals) -> dict[str, Any]:
    return {
        "lacking": [
            {"right": right.shown, "sure": use.sure, "unsure": use.unsure, "last_used": _instant(use.last_at)}
            for right, use in held.lacking
        ],
        "unknown": [right.shown for right in held.unknown],
        "added": [right.shown for right in held.added],
    }


def _told(one: Counted, since: str) -> dict[str, Any]:
    tally = one.tally
    return {
        "capability": one.capability,
        "target": one.target,
        "since": since,
        "fault": one.fault,
        "actions": tally.told,
        "untold": {**tally.untold},
        "under_another_template": tally.elsewise,
        "failed": tally.failed,
        "end_unknown": tally.unended,
        "first_at": _instant(tally.first_at),
        "last_at": _instant(tally.last_at),
        "rights": [
            {
                "place": right.place,
                "right": right.shown,
                "use": use_of(right, tally),
                "sure": tally.rights.get(right.place, RightUse()).sure,
                "unsure": tally.rights.get(right.place, RightUse()).unsure,
                "last_used": _last(one, right),
            }
            for right in one.rights
        ],
    }


def _summary(one: Counted, since: str) -> str:
    """Summarise how many actions were counted and what was not counted."""
    tally = one.tally
    if one.fault or not one.rights:
        return f"{one.capability}: unknown: {one.fault or f'target {one.target} does not report use'}"
    if not tally.counted:
        told = f"no data {period(since)}"
    else:
        told = f"{tally.told} actions from {_instant(tally.first_at)} to {_instant(tally.last_at)}"
    parts = [
        f"{count} {_UNTOLD.get(why, why)}, so nothing counts as unused" for why, count in tally.untold.items()
    ]
    parts += [f"{tally.elsewise} under another template"] if tally.elsewise else []
    parts += [f"{tally.failed} failed"] if tally.failed else []
    parts += [f"{tally.unended} ended unknown"] if tally.unended else []
    return f"{one.capability}: {told}" + (f"; beside them {', '.join(parts)}" if parts else "")


def _actions(one: Counted, right: Right) -> str:
    return _count(one.tally.rights.get(right.place, RightUse()))


def _count(use: RightUse) -> str:
    return f"{use.sure}" + (f" to {use.sure + use.unsure}" if use.unsure else "")


def _last(one: Counted, right: Right) -> str:
    use = one.tally.rights.get(right.place)
    return _instant(use.last_at) if use is not None else ""


def _instant(milliseconds: int) -> str:
    when = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return when.isoformat(timespec="seconds").replace("+00:00", "Z") if milliseconds else ""


def _rights(listed: Sequence[GrantedRight]) -> tuple[Right, ...]:
    return tuple(Right(one.place, one.text, one.is_told, one.group) for one in listed)


def counted_use(told: LeaseTally) -> UseTally:
    """Return a tally as the API tells it."""
    return UseTally(
        told=told.told,
        untold=cast("dict[Untold, int]", told.untold),
        elsewise=told.elsewise,
        failed=told.failed,
        unended=told.unended,
        first_at=told.first_at,
        last_at=told.last_at,
        rights={
            place: RightUse(sure=use.sure, unsure=use.unsure, last_at=use.last_at)
            for place, use in told.rights.items()
        },
    )
