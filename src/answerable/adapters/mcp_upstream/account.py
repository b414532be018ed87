"""The account of this machine that a program is started under."""

from __future__ import annotations

import os
import pwd
import sys
from typing import TYPE_CHECKING, Final

from answerable.errors import shown
from answerable.errors.codes.action import UPSTREAM_USER

if TYPE_CHECKING:
    from collections.abc import Sequence

TOOLS: Final = "answerable-tools"
"""An account of this name is there for one purpose."""

# `warnings` is what `execvp` imports by itself, from a place that the account may not be able to read.
_BECOMES: Final = """
import os, sys, warnings
user, group, *command = sys.argv[1:]
os.setgroups([])
os.setgid(int(group))
os.setuid(int(user))
try:
    os.execvp(command[0], command)
except OSError as error:
    sys.exit(f"cannot start {command[0]}: {error.strerror}")
"""


def account_of(user: str) -> pwd.struct_passwd | None:
    """The account of this name or number; None for our own, and for an empty name.

    Raises Unavailable (`upstream.user`) where it is unknown or we may not run others under it: under another account
    than was told nothing is started.
    """
    if not user:
        return None
    try:
        found = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except (KeyError, OverflowError):
        said = "is no account of this machine"
    else:
        if os.geteuid() in (0, found.pw_uid):
            return found if os.geteuid() != found.pw_uid else None
        said = "is not ours, and only a server that root starts can run others under it"
    raise UPSTREAM_USER(f"account {shown(user)} {said}: nothing is started under it")


def tools_account(user: str) -> pwd.struct_passwd | None:
    """The account that servers of tools run under. user: as the settings name it; where they name none, and root starts
    us, the account `TOOLS` of this machine if it has one. None for our own. Raises Unavailable (`upstream.user`)."""
    if not user and os.geteuid() == 0:
        try:
            return pwd.getpwnam(TOOLS)
        except KeyError:
            return None
    return account_of(user)


def names_of(account: pwd.struct_passwd | None) -> dict[str, str]:
    """What programs read of who they run as."""
    if account is None:
        return {}
    return {
        "HOME": account.pw_dir,
        "LOGNAME": account.pw_name,
        "USER": account.pw_name,
        "SHELL": account.pw_shell,
    }


def under(account: pwd.struct_passwd | None, command: Sequence[str]) -> list[str]:
    """The command line that gives up our account, with all of our groups, and becomes this one's program.

    uvloop starts nothing under another account by itself. It runs before anything of the program does.
    """
    if account is None:
        return list(command)
    ids = (str(account.pw_uid), str(account.pw_gid))
    return [sys.executable, "-I", "-S", "-c", _BECOMES, *ids, *command]
