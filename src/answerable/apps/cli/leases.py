"""Leases, the credentials that live for one action or task: list, end, and show those that are not revoked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from answerable.apps.cli import lease_use
from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.ending import ends_authority
from answerable.apps.cli.exit_codes import CHECK_FAILED

if TYPE_CHECKING:
    from answerable.api.lease_answers import Lease

Name = Annotated[
    str,
    typer.Argument(
        help="Name of a lease or of its account (`ans_...`), or of a target for all of its leases.",
        metavar="NAME",
    ),
]

_EMPTY: Final = {
    "open": "none: no lease is live",
    "unrevoked": "none: no lease is unrevoked",
    "ended": "none yet",
}


def register(app: typer.Typer) -> None:
    """Add the noun `lease`."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Leases: credentials for one action or task, and those that could not be revoked.",
    )
    command(group, "list", reads=True)(list_leases)
    command(group, "end", reads=True)(end)
    command(group, "targets", reads=True)(targets)
    command(group, "boundaries", reads=True)(boundaries)
    command(group, "strays", reads=True)(strays)
    lease_use.register(group)
    app.add_typer(group, name="lease")


def list_leases(
    shell: Shell,
    unrevoked: Annotated[
        bool, typer.Option("--unrevoked", help="Only leases that could not be revoked, each with the reason.")
    ] = False,
    ended: Annotated[bool, typer.Option("--ended", help="The leases that ended most recently.")] = False,
    target: Annotated[
        str, typer.Option("--target", help="Only at this target.", metavar="NAME", show_default=False)
    ] = "",
) -> int | None:
    """What is live at which target. With --unrevoked, what could not be revoked, or works on until its time because its
    target ends nothing before; exit code 5 when there is any."""
    from answerable.client import lease_calls

    which = "unrevoked" if unrevoked else "ended" if ended else "open"
    with shell.control() as control:
        items = list(lease_calls.list_leases(control, which=which, target=target or None))
    if shell.terminal.as_json:
        shell.terminal.json(items)
    else:
        shell.terminal.table(
            ("lease", "target", "agent", "capability", "state", "until", "why"),
            [
                (
                    one.name,
                    one.target,
                    one.agent,
                    one.capability,
                    "works on" if unrevoked and one.left else one.end or one.state,
                    (one.live_until if unrevoked and one.left else one.ended_at) or one.expires_at,
                    _why(one),
                )
                for one in items
            ],
            empty=_EMPTY[which],
        )
    return CHECK_FAILED if unrevoked and items else None


@ends_authority("the leases may still be live")
def end(shell: Shell, name: Name) -> int | None:
    """End a lease now, with its sessions, or every lease at a target. Exit code 5 if something could not be revoked."""
    from answerable.api.lease_answers import LeaseEndRequest
    from answerable.client import lease_calls

    with shell.control() as control:
        answer = lease_calls.end_lease(control, LeaseEndRequest(name=name))
    if shell.terminal.as_json:
        shell.terminal.json(answer)
    else:
        say = shell.terminal.say
        say(f"{len(answer.ended)} gone, {answer.more} being ended")
        for one in answer.unrevoked:
            say(f"NOT REVOKED {one.name} at {one.target}: {_why(one)}")
        for one in answer.ended:
            for left in one.left:
                say(f"live until {one.live_until}: {one.name} at {one.target}: {left}")
    is_left = answer.unrevoked or answer.more or any(one.left for one in answer.ended)
    return CHECK_FAILED if is_left else None


def targets(shell: Shell) -> int | None:
    """The broker's targets: what restricts a credential to its task there, and what ends it."""
    from answerable.client import lease_calls

    with shell.control() as control:
        items = list(lease_calls.list_targets(control))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("target", "kind", "kept to its task by", "ended in time by", "revocable", "sessions cut"),
        [
            (
                one.name,
                one.kind,
                one.boundary,
                one.ends_by,
                "yes" if one.revocable else "NO",
                "yes" if one.cuts_sessions else "NO",
            )
            for one in items
        ],
        empty="none yet: put NAME.toml into `broker.targets`",
    )
    return None


def boundaries(shell: Shell) -> int | None:
    """What restricts the credential of each capability to its task: the target, the broker, or nothing.

    Where nothing does, only capabilities of tier 0 are allowed. It is not known of servers with credentials of
    their own.
    """
    from answerable.client import lease_calls

    with shell.control() as control:
        items = list(lease_calls.list_boundaries(control))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("capability", "tier", "server", "target", "kept to its task by", "ended in time by"),
        [(one.capability, one.tier, one.server, one.target, one.boundary, one.ends_by) for one in items],
        empty="nothing is registered yet",
    )
    return None


def strays(shell: Shell) -> int | None:
    """Accounts of the broker at targets that belong to no lease. Exit code 5 if there is one."""
    from answerable.client import lease_calls

    with shell.control() as control:
        answer = lease_calls.list_strays(control)
    if shell.terminal.as_json:
        shell.terminal.json(answer)
    else:
        shell.terminal.table(
            ("target", "lease", "what of it"),
            [
                (
                    one.target,
                    one.lease,
                    "its lease had ended: removed" if one.known else "of no lease here: another deployment?",
                )
                for one in answer.strays
            ],
            empty="none",
        )
        for one in answer.not_asked:
            shell.terminal.warn(f"{one.target} could not be queried: {one.why}")
    return CHECK_FAILED if answer.strays or answer.not_asked else None


def _why(one: Lease) -> str:
    """Return what is noteworthy about a lease, empty if nothing."""
    tried = f"tried {one.attempts} times, again at {one.next_try_at}" if one.next_try_at else ""
    return "; ".join(text for text in (one.why, one.fault, tried, *one.left) if text)
