"""Decisions on the command line: `decision replay`, `why` a denial (see `verify/denial`), and what an agent `could`
do."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.evidence import assembled
from answerable.apps.cli.exit_codes import CHECK_FAILED, ERROR, UNMET
from answerable.apps.cli.terminal import safe
from answerable.errors import Malformed, shown
from answerable.errors.codes.policy import DECISION_NONE
from answerable.errors.codes.services import CLI_REPLAY

if TYPE_CHECKING:
    from answerable.api.decision_answers import ReplayedDecision

Name = Annotated[
    str,
    typer.Argument(
        help="Id of an action or an approval, or index of an entry; SHARD/INDEX in the log of another shard.",
        metavar="ID",
        show_default=False,
    ),
]
BundleFile = Annotated[
    Path | None,
    typer.Option(
        "--bundle",
        help="Use the decisions in this evidence bundle (from `evidence export --replay`), offline.",
        metavar="FILE",
    ),
]
Whole = Annotated[bool, typer.Option("--all", help="Replay every decision of the ledger.")]
First = Annotated[
    int | None,
    typer.Option(
        "--from", min=0, help="With --all: the first entry to replay.", metavar="INDEX", show_default=False
    ),
]
End = Annotated[
    int | None,
    typer.Option(
        "--to",
        min=0,
        help="With --all: the first entry that is not replayed.",
        metavar="INDEX",
        show_default=False,
    ),
]

AgentName = Annotated[str, typer.Argument(help="Name of an agent.", metavar="AGENT")]
ActionName = Annotated[str, typer.Argument(help="Name of a capability.", metavar="ACTION")]
ResourceName = Annotated[
    str,
    typer.Argument(help="Id of the resource; default: any.", metavar="[RESOURCE]", show_default=False),
]
At = Annotated[
    str,
    typer.Option(
        "--at",
        help="RFC 3339 time with a time zone; default: now.",
        metavar="TIME",
        show_default=False,
    ),
]
Who = Annotated[bool, typer.Option("--who", help="Print which agents can; this is the default.")]

_SHOWN_MAX = 100
_TOLD_MAX = 10_000


def register(app: typer.Typer) -> None:
    """Add the noun `decision` and the verbs `why`, `could` and `can`."""
    group = typer.Typer(
        no_args_is_help=True, help="Decisions: what was decided, and whether a replay gives the same result."
    )
    command(group, "replay", reads=True)(replay)
    app.add_typer(group, name="decision")
    command(app, "why", reads=True)(why)
    command(app, "could", reads=True)(could)
    command(app, "can", reads=True)(can)


def replay(
    shell: Shell,
    name: Name = "",
    bundle: BundleFile = None,
    whole: Whole = False,
    first: First = None,
    end: End = None,
) -> int | None:
    """Replay a past decision from the ledger, with code that a third party can run.

    Prints `same`, or `differs` (an alarm; exit code 5), or `erased`, `not_disclosed`, `not_asked` or `cannot_tell`
    where it cannot be decided. With --all, Ctrl-C prints the results so far and the entry to continue from.
    """
    from answerable.apps.cli.without_server import content_of_bundle, show_replayed

    if (bool(name), bundle is not None, whole).count(True) != 1:
        raise CLI_REPLAY("give exactly one of ID, --bundle and --all")
    if whole:
        return _all(shell, first or 0, end, is_part=first is not None or end is not None)
    if first is not None or end is not None:
        raise CLI_REPLAY("--from and --to need --all")
    if bundle is not None:
        evidence, erased = content_of_bundle(bundle), frozenset[int]()
    else:
        evidence, erased, _ = disclosed(shell, name)
    return show_replayed(shell.terminal, evidence, erased)


def why(shell: Shell, name: Name, bundle: BundleFile = None) -> int | None:
    """Why an action was denied or deferred, or a message refused, and the smallest change that would have allowed it.

    Each printed change was tested against the mandate and the policies of that time, with nothing else changed. With
    --bundle, ID is an action or entry of that file.
    """
    from answerable.apps.cli.without_server import checked, content_of_bundle, grade, tell_grade

    if bundle is not None:
        evidence, erased = content_of_bundle(bundle), frozenset[int]()
    else:
        evidence, erased, name = disclosed(shell, name)
    from answerable.verify.bundle_replay import decisions_in, intent_of, turned_away_in
    from answerable.verify.denial import explain

    shown_in, report = checked(evidence)
    entries, statements = decisions_in(shown_in, erased=erased)
    named = [
        one for one in entries if name in (str(one.index), one.leaf.get("action"), one.leaf.get("approval"))
    ]
    turned_away = [one for one in turned_away_in(shown_in) if name == str(one.index)]
    if not named and not turned_away:
        intent = intent_of(shown_in, name)
        of = "" if intent is None else f"; it is of entry {intent}: see `answerable why {intent}`"
        raise DECISION_NONE(f"there is no decision {shown(name)}{of}")
    found = turned_away + [
        explain(
            one,
            policies=statements.policy_set(one.leaf),
            mandate=statements.mandate(one.leaf),
            hops=statements.hops(one.leaf),
        )
        for one in named
    ]
    if shell.terminal.as_json:
        shell.terminal.json({"explained": [one.as_value() for one in found], "grade": grade(report)})
        return None
    said = {"deny": "denied", "defer": "deferred", "allow": "allowed"}
    approvals = {one.index: safe(str(one.leaf.get("approval") or "")) for one in named}
    for one in found:
        shell.terminal.heading(f"entry {one.index}: {said.get(one.effect, one.effect)}")
        for reason in one.reasons:
            shell.terminal.line(f"  because of {reason}")
        for number, change in enumerate(one.changes):
            shell.terminal.line(f"  {'or' if number else 'it would have been allowed'} {change}")
        if one.text:
            shell.terminal.line(f"  {one.text}")
        if one.effect == "defer" and bundle is None and (approval := approvals.get(one.index)):
            shell.terminal.line(f"  what became of it: answerable approval show {approval}")
    tell_grade(shell.terminal, report)
    return None


def could(
    shell: Shell, agent: AgentName, action: ActionName, resource: ResourceName = "", at: At = ""
) -> int | None:
    """Whether an agent may do an action, now or at a past time, and by which rules.

    Without --at: what the gateway would decide now. With --at: by the documents, policies, mandates, budgets, holds and
    revocations of that time, from the ledger; with shards, for the mandates of each by its own log. What depends on the
    single action is printed as conditions. Exit code 6 without a running server, because it is then unknown which tools
    servers offer, and for a no while the mandates of a shard are not considered.
    """
    from answerable.apps.cli.without_server import milliseconds

    when = str(milliseconds(at)) if at else ""
    return _possible(shell, agent=agent, action=action, resource=resource, at=when)


def can(shell: Shell, action: ActionName, resource: ResourceName = "", who: Who = False) -> int | None:
    """Which agents can do an action now: those that the gateway would not refuse for every request."""
    del who
    return _possible(shell, action=action, resource=resource)


def _possible(shell: Shell, *, action: str, resource: str, agent: str = "", at: str = "") -> int | None:
    from answerable.client import decision_calls

    with shell.control() as control:
        found = decision_calls.tell_possible(
            control, action=action or None, agent=agent or None, resource=resource or None, at=at or None
        )
    denied = sum(one.effect == "deny" for one in found.agents)
    is_known = (found.is_offered or denied == len(found.agents)) and not (denied and found.elsewhere)
    code = None if is_known else UNMET
    if shell.terminal.as_json:
        shell.terminal.json(found)
        return code
    alone = f" (shard {', '.join(found.shards)} alone)" if found.elsewhere else ""
    for one in found.agents:
        if one.effect == "deny" and not agent:
            continue
        shell.terminal.heading(f"{one.agent}: {one.effect}, by {', '.join(one.by)}{alone}")
        for way in (one, *(one.also or ())):
            if way is not one:
                shell.terminal.line(f"or: {way.effect}, by {', '.join(way.by)}")
            for condition in way.conditions:
                shell.terminal.line(f"  {condition}")
            if way.mandates:
                shell.terminal.line(f"  under {', '.join(way.mandates)}")
    if not agent:
        shell.terminal.line(f"{denied} of {len(found.agents)} agents cannot")
    if found.withheld or found.unfollowed:
        shell.terminal.warn(
            f"not considered: {found.withheld} statements that cannot be opened, {found.unfollowed} revocations "
            "and holds of instances, manifests, tokens, hops and trust domains"
        )
    for shard, why in found.elsewhere.items():
        shell.terminal.warn(f"the mandates of shard {shard} are not considered: {why}")
    if found.shards:
        shell.terminal.warn(
            "what a shard recorded, holds and revocations too, is considered for its own mandates alone"
        )
    told = "delegations between agents and the end of single instances are not considered"
    if at:
        told += "; nor whether the tool was offered then, or what the agent was refused before"
    shell.terminal.warn(told)
    return code


def disclosed(shell: Shell, name: str) -> tuple[bytes, frozenset[int], str]:
    """Fetch the evidence bundle of a decision with everything needed to replay it, the indexes of its erased entries,
    and what the decision is called in its log. An entry of another shard is asked for at that shard. Raises Malformed
    (`decision.none`)."""
    from answerable.api.evidence_answers import EvidenceRequest
    from answerable.core.search.names import entry_in_shard, entry_of

    shard, index = entry_in_shard(name) or ("", entry_of(name))
    asked = EvidenceRequest(
        about={"action": name} if index is None else {},
        entries=() if index is None else (index,),
        reveal=(),
        replay=True,
    )
    with shell.control(shard=shard) as control:
        try:
            found = assembled(control, asked)
        except Malformed as fault:
            if fault.code != "evidence.nothing":
                raise
            raise DECISION_NONE(
                f"the ledger has no decision {shown(name)}: give the id or the entry of an action, or the id of an "
                "approval; `answerable search` finds them"
            ) from None
    called = name if index is None else str(index)
    return b64decode(found.bundle), frozenset(found.withheld), called


def _all(shell: Shell, first: int, end: int | None, *, is_part: bool) -> int | None:
    """Replay a range of entries, and of other shards all. is_part: the range was given, which is one of this log."""
    from answerable.client import decision_calls

    counts: dict[str, int] = {}
    told: list[ReplayedDecision] = []
    logs, left, at, log = [""], list[str](), None, ""
    stop = None if end is None else str(end)
    if end is not None and end <= first:
        raise CLI_REPLAY(
            f"the range ends before it begins: no entry is at or after {first} and before {end}; name an earlier "
            "--from, or a later --to"
        )
    with shell.control() as control, shell.terminal.progress("asking again") as progress:
        try:
            for log in logs:
                at, begun = (0, 0) if log else (first, first)
                while at is not None:
                    page = decision_calls.replay_decisions(control, start=str(at), stop=stop, log=log or None)
                    if not log and first and first >= page.size:
                        raise CLI_REPLAY(
                            f"the last entry is {page.size - 1}: name an earlier --from than {first}"
                        )
                    for verdict, count in page.counts.items():
                        counts[verdict] = counts.get(verdict, 0) + count
                    told += page.told[: _TOLD_MAX - len(told)]
                    at = page.next
                    last = page.size if end is None else min(end, page.size)
                    progress(last - begun if at is None else at - begun, last - begun)
                    left = left if log else [*page.others]
                if log:
                    left.remove(log)
                logs += [] if is_part or log else left
        except KeyboardInterrupt:
            # Each answer covers a complete range of entries, so the counts are right and the next run goes on after it.
            pass
    if shell.terminal.as_json:
        shell.terminal.json({"counts": counts, "decisions": told, "next": at, "left": left})
    else:
        shell.terminal.record(list(counts.items()))
        for one in told[:_SHOWN_MAX]:
            place = f"{one.shard}/{one.index}" if one.shard else one.index
            shell.terminal.line(f"entry {place}: {one.verdict}: {one.text}")
        if len(told) > _SHOWN_MAX:
            shell.terminal.line(f"and {len(told) - _SHOWN_MAX} more: --json lists them")
        if at is not None and not log:
            shell.terminal.warn(f"interrupted, so this is incomplete: continue with --from {at}")
        if left:
            shell.terminal.warn(f"of this shard alone, without all of {', '.join(left)}")
    if counts.get("differs"):
        return CHECK_FAILED
    return ERROR if at is not None else None
