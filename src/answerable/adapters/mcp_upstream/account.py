"""Select the operating system account under which a tool server's program runs, and build the command line for it."""

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
"""Name of an account that exists on a machine only for this purpose."""

# `execvp` itself imports `warnings`; imported here while its file is still readable, which the account may not be able
# to do.
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
    """Return the account of this name or number; None for our own account or an empty name.

    Raises Unavailable (`upstream.user`) if the account is unknown or this process may not start programs under it: a
    program is never started under another account than the configured one.
    """
    if not user:
        return None
    try:
        found = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except (KeyError, OverflowError):
        said = "does not exist on this machine"
    else:
        if os.geteuid() in (0, found.pw_uid):
            return found if os.geteuid() != found.pw_uid else None
        said = "is not this process's own, and only a process started by root can use it"
    raise UPSTREAM_USER(f"account {shown(user)} {said}: nothing is started under it")


def tools_account(user: str) -> pwd.struct_passwd | None:
    """Return the account for tool servers; None for our own. user: from the settings. If it is empty and this process
    runs as root, the account named `TOOLS` is used, if it exists. Raises Unavailable (`upstream.user`)."""
    if not user and os.geteuid() == 0:
        try:
            return pwd.getpwnam(TOOLS)
        except KeyError:
            return None
    return account_of(user)


def names_of(account: pwd.struct_passwd | None) -> dict[str, str]:
    """Return the environment variables that tell a program its account."""
    if account is None:
        return {}
    return {
        "HOME": account.pw_dir,
        "LOGNAME": account.pw_name,
        "USER": account.pw_name,
        "SHELL": account.pw_shell,
    }


def under(account: pwd.struct_passwd | None, command: Sequence[str]) -> list[str]:
    """Return a command line that drops our account and all our groups and then executes the program under this account.

    The wrapper is needed because uvloop cannot start processes under another account. It runs before any code of the
    program.
    """
    if account is None:
        return list(command)
    ids = (str(account.pw_uid), str(account.pw_gid))
    return [sys.executable, "-I", "-S", "-c", _BECOMES, *ids, *command]
