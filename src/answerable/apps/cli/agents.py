"""Agents in operation: list, suspend, resume, retire, end one instance, list unregistered sightings, make join tokens.

`register(agent)` adds the verbs to the noun `answerable agent`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from msgspec import structs

from answerable.apps.cli import registry
from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.ending import ends_authority
from answerable.errors import Unavailable, shown
from answerable.errors.codes.registry import AGENT_UNKNOWN
from answerable.errors.codes.services import CLI_NOT_CONFIRMED, CLI_OUT, CLI_PROJECT

if TYPE_CHECKING:
    from answerable.api.agent_answers import AgentState, HoldOfAgent, Instance, InstanceEnd, StandingChange
    from answerable.api.inventory_answers import ConfiguredServer

Name = Annotated[str, typer.Argument(help="Registered name of the agent.", metavar="NAME")]
OnlyAgent = Annotated[
    str, typer.Option("--agent", help="Only instances of this agent.", show_default=False, metavar="NAME")
]
InstanceId = Annotated[
    str, typer.Argument(help="SPIFFE ID of the instance, as `agent instances` lists it.", metavar="INSTANCE")
]
Label = Annotated[
    str,
    typer.Option(
        "--label", help="What the token is called in selectors: join_token:name:LABEL.", metavar="LABEL"
    ),
]
Seconds = Annotated[int, typer.Option("--seconds", help="Lifetime of the token.", min=1, max=86_400)]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Write it to this new file, mode 0600.", show_default=False, metavar="FILE"),
]

Project = Annotated[
    Path | None,
    typer.Option(
        "--project",
        help="Look for MCP servers in the client configurations of this project.",
        show_default=False,
        metavar="DIR",
    ),
]
OfProject = Annotated[
    str,
    typer.Option(
        "--agent", help="Registered name of the project's agent.", show_default=False, metavar="NAME"
    ),
]

JOIN_TOKEN_SECONDS: Final = 600
SERIAL_SHOWN: Final = 16
"""Characters of a serial in the table; the JSON has the whole serial."""


def register(group: typer.Typer) -> None:
    """Add the verbs to the noun `agent`."""
    command(group, "list", reads=True)(registry.list_agents)
    command(group, "show", reads=True)(show)
    command(group, "suspend", reads=True, asks=True)(suspend)
    command(group, "resume", reads=True, asks=True)(resume)
    command(group, "retire", reads=True, asks=True)(retire)
    command(group, "instances", reads=True)(instances)
    command(group, "end", reads=True, asks=True)(end)
    command(group, "seen", reads=True)(seen)
    command(group, "join-token", reads=True)(join_token)


def show(shell: Shell, name: Name) -> int | None:
    """One agent: who answers for it, what it is known by, and what of it runs."""
    from answerable.client import agent_calls, registry_calls

    with shell.control() as control:
        agent = next((one for one in registry_calls.list_agents(control) if one.name == name), None)
        if agent is None:
            raise AGENT_UNKNOWN(f"there is no agent {shown(name)}")
        try:
            state: AgentState | None = agent_calls.show_agent(control, name)
            running = list(agent_calls.list_instances(control, agent=name))
        except Unavailable as off:
            if off.code != "identity.off":
                raise
            state, running = None, []
    if shell.terminal.as_json:
        told_state = structs.asdict(state) if state else {}
        shell.terminal.json({**structs.asdict(agent), **told_state, "running": running})
        return None
    registry.show_agent(shell, name)
    if state:
        shell.terminal.record(
            [
                ("known by", [" + ".join(one) for one in state.attestation]),
                ("on drift", state.drift_rule),
                ("instances", state.instances),
                ("drifted", state.drifted),
                ("held", [_hold(one) for one in state.holds]),
            ]
        )
    if running:
        _show_instances(shell, running)
    return None


@ends_authority("the agent may still act")
def suspend(shell: Shell, name: Name) -> int | None:
    """Stop an agent until it is resumed.

    Ends its instances at once. Its mandates stay, but cannot be used until it is resumed.
    """
    return _set(shell, name, "suspended", f"Suspend agent {name}?")


def resume(shell: Shell, name: Name) -> int | None:
    """Let a suspended agent be enrolled and act again.

    Instances that were ended stay ended.
    """
    return _set(shell, name, "active", f"Resume agent {name}?")


@ends_authority("the agent may still act")
def retire(shell: Shell, name: Name) -> int | None:
    """Retire an agent permanently.

    Ends its instances and closes its mandates. It cannot be undone.
    """
    return _set(shell, name, "retired", f"Retire agent {name} for good, and close its mandates?")


def instances(shell: Shell, agent: OnlyAgent = "") -> int | None:
    """Running instances, newest first."""
    from answerable.client import agent_calls

    with shell.control() as control:
        items = list(agent_calls.list_instances(control, agent=agent or None))
    if shell.terminal.as_json:
        shell.terminal.json(items)
    else:
        _show_instances(shell, items)
    return None


@ends_authority("the instance may still act")
def end(shell: Shell, instance: InstanceId) -> int | None:
    """End one running instance and its sub-agents.

    Its running process cannot enrol again; a restarted one can. To stop the agent, suspend it.
    """
    from answerable.api.agent_answers import InstanceEndRequest
    from answerable.client import agent_calls

    if not shell.terminal.confirmed(f"End instance {shown(instance, 300)}?", yes=shell.yes):
        raise CLI_NOT_CONFIRMED("not confirmed: nothing was changed")
    with shell.control() as control:
        change = agent_calls.end_instance(control, InstanceEndRequest(instance=instance))
    if shell.terminal.as_json:
        shell.terminal.json(change)
        return None
    for line in told_end(change):
        shell.terminal.say(line)
    _show_outstanding(shell, change)
    return None


def seen(shell: Shell, project: Project = None, agent: OfProject = "") -> int | None:
    """What was seen and is not registered, and callers that were refused.

    What servers offer, what agents asked for, who wanted an identity, whose message was refused. With --project and
    --agent, the servers that MCP client configurations of the project name are told first: that is a claim, and what a
    client reaches past the gateway is blocked here alone.
    """
    from answerable.api.inventory_answers import ServerReport
    from answerable.client import inventory_calls

    if (project is None) != (not agent):
        raise CLI_PROJECT()
    with shell.control() as control:
        if project is not None:
            inventory_calls.report_servers(control, ServerReport(agent=agent, servers=_configured(project)))
        items = list(inventory_calls.list_seen(control))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("kind", "name", "seen with", "how", "grade", "blocked", "last", "times", "first"),
        [
            (
                one.kind,
                one.name or "(others, beyond the limit of this list)",
                one.source,
                one.how,
                one.grade,
                one.blocked,
                one.last,
                one.count,
                one.first,
            )
            for one in items
        ],
        empty="nothing unregistered was seen",
    )
    return None


def join_token(
    shell: Shell, name: Name, label: Label, seconds: Seconds = JOIN_TOKEN_SECONDS, out: Out = None
) -> int | None:
    """Make a token that enrols one new workload of this agent, once.

    It is printed once and cannot be printed again; with --out it is written to a file instead.
    """
    from answerable.api.agent_answers import JoinTokenRequest
    from answerable.client import agent_calls

    # Create the file first, so that no token is made that cannot be stored.
    descriptor = _new_file(out) if out is not None else None
    try:
        with shell.control() as control:
            made = agent_calls.make_join_token(control, name, JoinTokenRequest(label=label, seconds=seconds))
    except BaseException:
        if descriptor is not None and out is not None:
            os.close(descriptor)
            out.unlink()
        raise
    if descriptor is not None:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{made.token}\n")
        shell.terminal.say(f"the token is in {out}")
    if shell.terminal.as_json:
        members = structs.asdict(made)
        shell.terminal.json(
            members if descriptor is None else {name: members[name] for name in members if name != "token"}
        )
    elif descriptor is None:
        shell.terminal.line(made.token)
    shell.terminal.say(
        f"valid once, until {made.expires_at}, for an agent registered with join_token:name:{label}"
    )
    return None


def _configured(project: Path) -> tuple[ConfiguredServer, ...]:
    """Return the servers that clients reach directly; the gateway reports those reached through it."""
    from answerable.api.inventory_answers import ConfiguredServer
    from answerable.wiring.project_manifest import collected

    return tuple(
        ConfiguredServer(name=one.name, reached=one.how, where=one.where)
        for one in collected(project, grade="claimed").servers
        if not one.governed
    )


def _set(shell: Shell, name: str, status: str, question: str) -> int | None:
    from answerable.api.agent_answers import StandingRequest
    from answerable.client import agent_calls

    if not shell.terminal.confirmed(question, yes=shell.yes):
        raise CLI_NOT_CONFIRMED("not confirmed: nothing was changed")
    with shell.control() as control:
        change = agent_calls.set_agent_standing(control, name, StandingRequest(status=status))
    if shell.terminal.as_json:
        shell.terminal.json(change)
        return None
    for line in told(change):
        shell.terminal.say(line)
    _show_outstanding(shell, change)
    return None


def told(change: StandingChange) -> tuple[str, ...]:
    """Return sentences that say what was ended and what cannot be undone from this server."""
    was = "is now" if change.changed else "was already"
    lines = [f"agent {change.agent} {was} {change.status}"]
    if change.status == "active":
        return (*lines, "ended instances stay ended: its processes must enrol again")
    lines.append(
        f"{len(change.instances_ended)} instances ended: each is refused at its next message to this server"
    )
    if change.status == "retired":
        lines.append(f"{len(change.mandates_closed)} mandates closed")
    return (*lines, *_left_over(change))


def told_end(change: InstanceEnd) -> tuple[str, ...]:
    """Return the same sentences for one instance."""
    count = len(change.instances_ended)
    if not count:
        return (f"instance {change.instance} had ended before",)
    below = f", and {count - 1} sub-agents with it" if count > 1 else ""
    ended = f"instance {change.instance} ended{below}: it is refused at its next message to this server"
    return (ended, "its running process cannot enrol again: restart it", *_left_over(change))


def _left_over(change: StandingChange | InstanceEnd) -> tuple[str, ...]:
    """Return what third parties that verify offline may still accept; this server accepts none of it."""
    svids = change.svids_outstanding
    if not svids and change.svids_all:
        return ("no SVID of it is valid any more, here or elsewhere",)
    at_most = (
        f": X.509-SVIDs until {change.x509_svids_valid_until} at most, JWT-SVIDs until "
        f"{change.jwt_svids_valid_until}"
        if change.x509_svids_valid_until
        else ""
    )
    lines = [f"not ended: its SVIDs are still valid at third parties{at_most}"]
    if not change.svids_all:
        lines.append("further SVIDs within that time may exist: they are in the logs of other processes")
    lines.append(
        "removing the signing authority ends the SVIDs of all workloads, at verifiers that fetch the new bundle"
    )
    return tuple(lines)


def _show_outstanding(shell: Shell, change: StandingChange | InstanceEnd) -> None:
    if change.svids_outstanding:
        shell.terminal.table(
            ("SVID", "instance", "good until", "serial"),
            [
                (one.kind, one.instance, one.expires_at, one.serial[:SERIAL_SHOWN])
                for one in change.svids_outstanding
            ],
            empty="",
        )


def _show_instances(shell: Shell, items: list[Instance]) -> None:
    shell.terminal.table(
        ("instance", "evidence", "grade", "drift", "measured", "claimed", "until"),
        [
            (
                one.id,
                one.source,
                one.grade,
                ", ".join(one.drift) or "-",
                _fields(one, "match"),
                _fields(one, "unmeasured"),
                one.expires_at,
            )
            for one in items
        ],
        empty="no instance runs",
    )


def _fields(instance: Instance, verdict: str) -> str:
    """Return the manifest's fields that have this verdict; a match also names the grade, that is who measured it."""
    found = [one for one in instance.made_of if one.verdict == verdict]
    told = [f"{one.field} ({one.grade})" if verdict == "match" else one.field for one in found]
    return ", ".join(told) or "-"


def _hold(one: HoldOfAgent) -> str:
    until = f"until {one.expires_at}" if one.expires_at else "until it is lifted"
    return f"{one.kind} {one.name} {until} ({one.id}): {one.reason or 'no reason was given'}"


def _new_file(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CLI_OUT(f"cannot create {shown(path.name)}: {error.strerror}") from None
