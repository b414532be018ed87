"""Manage the broker's static secrets: put, rotate, retire, find. No command prints a value.

Run as the account of the broker. A value is read from standard input or a file, because other users can read a
process's arguments and environment.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.exit_codes import CHECK_FAILED
from answerable.errors import shown
from answerable.errors.codes.leases import (
    SECRET_ROTATION,
    SECRET_UNREADABLE_REFUSED,
    SECRET_VALUE,
    SECRETS_UNAVAILABLE,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.stored_secret import StoredSecret
    from answerable.ports.secret_store import SecretStore

Name = Annotated[str, typer.Argument(help="Name of the secret.", metavar="NAME")]
File = Annotated[
    Path | None,
    typer.Option("--file", help="Read the value from this file instead of standard input.", metavar="FILE"),
]
Owner = Annotated[str, typer.Option("--owner", help="Registered name of its owner.", metavar="PERSON")]
About = Annotated[str, typer.Option("--about", help="What the secret gives access to.", metavar="TEXT")]
Days = Annotated[
    int,
    typer.Option("--rotate-days", help="Days until it must be replaced; 0 for no schedule.", metavar="DAYS"),
]
Keep = Annotated[
    bool,
    typer.Option("--keep-old", help="Keep older versions valid until they are retired."),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at-target",
        help="Change the password of the broker's own account at this target and in the store.",
        metavar="TARGET",
    ),
]
NameUnlessAt = Annotated[
    str | None, typer.Argument(help="Name of the secret; left out with --at-target.", metavar="NAME")
]
Old = Annotated[bool, typer.Option("--old", help="Only the versions before the current one.")]
Why = Annotated[str, typer.Option("--reason", help="Where it was exposed.", metavar="TEXT")]
Form = Annotated[str, typer.Option("--form", help="What it looks like: aws, github, password, slack or url.")]
To = Annotated[
    Path, typer.Option("--to", help="New file to plant it in, readable by you alone.", metavar="FILE")
]
Paths = Annotated[list[Path], typer.Argument(help="Files to search; - for standard input.", metavar="FILE")]

Noted = Annotated[
    bool, typer.Option("--expose", help="Mark what was found as exposed, so that it is replaced.")
]

VALUE_BYTES_MAX: Final = 65_536
PIECE_BYTES: Final = 1_048_576


def register(app: typer.Typer) -> None:
    """Add the noun `secret`."""
    group = typer.Typer(
        no_args_is_help=True, help="Static secrets of the broker. None of these shows a value."
    )
    command(group, "put", reads=True)(put)
    command(group, "list", reads=True)(listed)
    command(group, "rotate", reads=True)(rotate)
    command(group, "retire", reads=True)(retire)
    command(group, "expose", reads=True)(expose)
    command(group, "canary", reads=True)(canary)
    command(group, "find", reads=True)(find)
    command(group, "change-key", reads=True)(change_key)
    app.add_typer(group, name="secret")


def put(
    shell: Shell, name: Name, file: File = None, owner: Owner = "", about: About = "", rotate_days: Days = 90
) -> int | None:
    """Keep a new secret, sealed.

    Target files refer to it as store:NAME.
    """
    store = _store(shell)
    value = _value(file)
    made = store.put(name, value, kind="static", owner=owner, about=about, rotate_days=rotate_days)
    _told(shell, made, f"{name} is stored; refer to it in target files as store:{name}")
    return None


def listed(shell: Shell) -> int | None:
    """All secrets, without their values: owner, age, users, last use, and what is due.

    The exit code is 5 when one is due.
    """
    store, now = _store(shell), _now()
    found = [(one, store.uses(one.name), one.due(now)) for one in store.listed()]
    if shell.terminal.as_json:
        shell.terminal.json([_row(one, uses, due) for one, uses, due in found])
    else:
        shell.terminal.table(
            ("name", "kind", "owner", "version", "age", "users", "last use", "due"),
            [
                (
                    one.name,
                    one.kind,
                    one.owner,
                    one.current.number if one.current else "retired",
                    _days(now - one.current.made_at) if one.current else "",
                    len(uses),
                    _days(now - uses[0].last_at) if uses else "never",
                    due,
                )
                for one, uses, due in found
            ],
            empty="there are no secrets",
        )
    return CHECK_FAILED if any(due for _, _, due in found) else None


def rotate(
    shell: Shell, name: NameUnlessAt = None, file: File = None, keep_old: Keep = False, at_target: At = None
) -> int | None:
    """Keep the next version of a secret, which is used from now on.

    Make it at the target first. Older versions are forgotten, unless they are kept for a while. With --at-target
    nothing is asked: the broker's own account there gets a new password that nobody sees, and the secret that its file
    refers to gets it, too. Cut off anywhere, one that the target takes is kept, and the next call goes on.
    """
    if at_target is not None:
        if name is not None or file is not None or keep_old:
            raise SECRET_ROTATION("--at-target takes no NAME, no file and no --keep-old")
        _rotate_at(shell, at_target)
        return None
    if name is None:
        raise SECRET_ROTATION("give NAME of the secret, or --at-target TARGET")
    _told(shell, _store(shell).rotate(name, _value(file), keep_old=keep_old), f"{name} has a new version")
    return None


def _rotate_at(shell: Shell, target: str) -> None:
    import anyio

    from answerable.wiring.broker_secrets import rotate_at

    made = anyio.run(rotate_at, shell.settings(), target)
    version = made.current.number if made.current else 0
    _told(shell, made, f"{made.name} has version {version}, which target {target} accepts")


def retire(shell: Shell, name: Name, old: Old = False) -> int | None:
    """Forget the value of a secret; its record stays."""
    _told(
        shell,
        _store(shell).retire(name, only_old=old),
        f"{name} is retired" if not old else f"{name} is alone",
    )
    return None


def expose(shell: Shell, name: Name, reason: Why) -> int | None:
    """Note that a secret was seen where it should not be: it is due until it is rotated."""
    _told(shell, _store(shell).expose(name, reason), f"{name} is marked for rotation")
    return None


def canary(shell: Shell, name: Name, to: To, form: Form = "password", owner: Owner = "") -> int | None:
    """Make a secret that opens nothing, and plant it in a file.

    Whoever uses it has read what they should not. `answerable secret find` looks for it.
    """
    from answerable.core.lease.secret_watch import CANARY_OCTETS, canary_value

    store = _store(shell)
    value = canary_value(form, os.urandom(CANARY_OCTETS))
    made = store.put(
        name, value.encode(), kind="canary", owner=owner, about=f"planted in {to.name}", rotate_days=0
    )
    try:
        with open(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(f"{value}\n")
    except OSError as error:
        store.retire(name)
        why = (error.strerror or "unknown fault").lower()
        raise SECRETS_UNAVAILABLE(f"{shown(to.name)} cannot be written: {why}") from None
    _told(shell, made, f"{name} is planted in {to}")
    return None


def find(shell: Shell, files: Paths, expose: Noted = False) -> int | None:
    """Look for every secret and canary in files: logs, answers, exports, dumps.

    Says which is in which, and shows none. The exit code is 5 when one was found.
    """
    store = _store(shell)
    watch = store.watch()
    found: list[tuple[str, str]] = []
    for path in files:
        passing = watch.passing()
        names: set[str] = set()
        for piece in _pieces(path):
            names.update(passing.found_in(piece))
        found += [(name, str(path)) for name in sorted(names)]
        for name in sorted(names) if expose else ():
            store.expose(name, f"found in {shown(path.name, 63)}")
    if shell.terminal.as_json:
        shell.terminal.json([{"secret": name, "file": path} for name, path in found])
    else:
        shell.terminal.table(("secret", "file"), found, empty="none of them was found")
    return CHECK_FAILED if found else None


def change_key(shell: Shell) -> int | None:
    """Seal every secret under a new key, and forget the old one."""
    count = _store(shell).change_key()
    if shell.terminal.as_json:
        shell.terminal.json({"sealed": count})
        return None
    shell.terminal.say(f"{count} secrets are sealed under a new key")
    return None


def _store(shell: Shell) -> SecretStore:
    from answerable.wiring.secret_store import open_secrets

    return open_secrets(shell.settings())


def _now() -> UnixMillis:
    from answerable.core.identity.names.principal import UnixMillis

    return UnixMillis(time.time_ns() // 1_000_000)


def _value(file: Path | None) -> bytes:
    """Read a value without its final newline. On a terminal, prompt without echo."""
    try:
        if file is not None:
            with file.open("rb") as opened:
                content = opened.read(VALUE_BYTES_MAX + 2)
        elif sys.stdin.isatty():
            content = str(typer.prompt("Value", hide_input=True, err=True)).encode()
        else:
            content = sys.stdin.buffer.read(VALUE_BYTES_MAX + 2)
    except OSError as error:
        why = (error.strerror or "unknown fault").lower()
        name = shown(file.name) if file is not None else "standard input"
        raise SECRET_VALUE(f"{name} cannot be read: {why}") from None
    return content.removesuffix(b"\n").removesuffix(b"\r")


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        if str(path) == "-":
            while piece := sys.stdin.buffer.read(PIECE_BYTES):
                yield piece
            return
        with path.open("rb") as opened:
            while piece := opened.read(PIECE_BYTES):
                yield piece
    except OSError as error:
        why = (error.strerror or "unknown fault").lower()
        raise SECRET_UNREADABLE_REFUSED(f"{shown(str(path))} cannot be read: {why}") from None


def _told(shell: Shell, made: StoredSecret, sentence: str) -> None:
    if shell.terminal.as_json:
        shell.terminal.json(_row(made, (), made.due(_now())))
        return
    shell.terminal.say(sentence)


def _row(one: StoredSecret, uses: Any, due: str) -> dict[str, object]:
    return {
        "name": one.name,
        "kind": one.kind,
        "owner": one.owner,
        "about": one.about,
        "rotate_days": one.rotate_days,
        "version": one.current.number if one.current else None,
        "made_at": one.current.made_at if one.current else None,
        "due": due,
        "prepared_at": one.prepared_at,
        "exposed_why": one.exposed_why,
        "uses": [{"by": use.by, "count": use.count, "last_at": use.last_at} for use in uses],
    }


def _days(milliseconds: int) -> str:
    return f"{milliseconds // 86_400_000} d"
