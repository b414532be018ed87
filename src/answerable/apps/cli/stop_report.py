"""Print the containment report: line by line as facts become known, with a summary at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from answerable.core.ledger.effects import address_in

if TYPE_CHECKING:
    from answerable.api.hold_answers import ContainmentReport, EndedByHold
    from answerable.apps.cli.terminal import Terminal

NAMED_MAX: Final = 20
"""Rows of each kind that are printed; --json has all."""

_UNDOING: Final = {"not_reversible": "no", "reversible": "yes, by hand", "read": "not applicable (a read)"}
_ENDS: Final = {
    "succeeded": "was done",
    "failed": "failed, as the upstream reported",
    "not_started": "was not started",
    "indeterminate": "ended with unknown result: the upstream did not report it",
}


class ReportView:
    """Print what is new in each state of a report, and nothing twice. report: its latest state; None before the
    first."""

    def __init__(self, terminal: Terminal, report: ContainmentReport | None) -> None:
        self.report = report
        self._terminal = terminal
        self._said: set[tuple[str, str]] = set()

    def update(self, report: ContainmentReport) -> None:
        """Print what was stopped, what is in flight and how actions ended, as far as not yet printed."""
        self.report = report
        if self._terminal.as_json:
            return
        stopped = report.stopped
        for kind, names, end in (
            ("approval", stopped.approvals, "denied"),
            ("instance", stopped.instances, "ended"),
            ("mandate", stopped.mandates, "stands still"),
            ("lease", stopped.leases, "ended"),
        ):
            for name in names[:NAMED_MAX]:
                self._say(kind, name, f"stopped   {kind} {name}: {end}")
        for one in report.in_flight:
            place = address_in(report.log, one.log, one.entry)
            name = f"{one.capability} ({one.action}, entry {place})"
            if one.status == "running":
                self._say("flight", name, f"in flight {name}, over by {one.due}")
            else:
                self._say("ended", name, f"in flight {name} {_ENDS[one.status]}")

    def left(self, hold: str) -> None:
        """Report that the user ended the display."""
        self._terminal.warn(f"output ended; the hold is still in force: see `answerable hold show {hold}`")

    def lost(self, hold: str, why: str) -> None:
        """Report that the effects of the stop can no longer be fetched."""
        self._terminal.warn(
            f"it is held, but its report cannot be read now: {why}; see `answerable hold show {hold}`"
        )

    def summary(self, report: ContainmentReport) -> None:
        """Print the summary at the end."""
        terminal = self._terminal
        stopped, counted, elsewhere = report.stopped, report.done_count, report.elsewhere
        terminal.record(
            [
                ("stopped", _stopped(stopped)),
                ("on record", _entry(report, report.entry, elsewhere.entry if elsewhere else None)),
                ("last effect", _last(report)),
                ("in flight", _flights(report)),
                ("started after", report.started_after_count),
                (
                    "done before",
                    f"{counted.not_reversible} that cannot be undone, {counted.reversible} reversible by hand, "
                    f"{counted.read} reads",
                ),
                ("report", _entry(report, report.recorded, elsewhere.recorded if elsewhere else None)),
            ]
        )
        rows = [
            ("still live", one.kind, one.name, f"{_until(one.until)}: {one.why}")
            for one in report.live[:NAMED_MAX]
        ]
        rows += _more("still live", report.live_count, len(rows))
        if not report.live_all:
            rows.append(
                ("still live", "", "there may be more", "not everything that was issued is known here")
            )
        undo = [
            (
                "done",
                one.capability,
                one.action,
                f"{one.status}, begun {one.at}; can be undone: {_UNDOING[one.undoing]}",
            )
            for one in report.done[:NAMED_MAX]
        ]
        undo += _more("done", counted.not_reversible + counted.reversible + counted.read, len(undo))
        terminal.table(("what", "of", "name", "more"), rows + undo, empty="nothing is still live")
        self._warn(report)

    def _warn(self, report: ContainmentReport) -> None:
        if report.started_after_count:
            self._terminal.warn(
                f"{report.started_after_count} actions were started after the stop: this is an error, report it"
            )
        if report.looked_from:
            self._terminal.say(
                f"only entries {report.looked_from} to {report.entries - 1} were searched: earlier actions "
                "are not included"
            )
        for one in report.not_asked:
            self._terminal.say(
                f"{one.log or 'the other processes'} could not be queried: {one.why}. It starts nothing "
                "within reach either; its actions in flight and done are not included"
            )

    def _say(self, kind: str, name: str, text: str) -> None:
        if (kind, name) not in self._said:
            self._said.add((kind, name))
            self._terminal.line(text)


def _stopped(stopped: EndedByHold) -> str:
    cut = "an unknown number of" if stopped.cut is UNSET else stopped.cut
    return (
        f"{len(stopped.approvals)} approvals, {stopped.instances_count} instances, {stopped.mandates_count} "
        f"open mandates, {cut} calls and streams cut, "
        f"{len(stopped.leases)} leases ended"
    )


def _entry(report: ContainmentReport, index: int | None, elsewhere: int | None) -> str:
    """Tell where it is on record. elsewhere: entry in the log of another shard, if it is there."""
    if index is not None:
        return f"entry {index} of {report.log}"
    if report.elsewhere is not None and elsewhere is not None:
        return f"entry {address_in(report.log, report.elsewhere.log, elsewhere)}"
    if report.entry is None and report.elsewhere is None and report.not_asked:
        return f"not in {report.log}: perhaps in a log that could not be queried"
    return "not yet"


def _last(report: ContainmentReport) -> str:
    last = report.last_effect
    if last is None:
        return "none"
    place = address_in(report.log, last.log, last.entry)
    return f"{last.capability} ({last.action}, entry {place}), begun {last.at}"


def _flights(report: ContainmentReport) -> str:
    count, running = report.in_flight_count, report.running
    known = f", without {_logs(report)}" if report.not_asked else ""
    if not count:
        return f"none{known}"
    ends = f"{count}, {running} of them without an end yet" if running else f"{count}, all ended"
    return f"{ends}{known}"


def _logs(report: ContainmentReport) -> str:
    return ", ".join(one.log or "the other processes" for one in report.not_asked)


def _until(until: str | None) -> str:
    return f"until {until}" if until else "end time unknown"


def _more(what: str, count: int, shown: int) -> list[tuple[str, str, str, str]]:
    return [(what, "", f"{count - shown} more", "see --json")] if count > shown else []
