"""The text that a host runs for a certificate: one command, watched by a shell that ends it with its lease.

Why a shell around it: sshd checks a certificate when a client signs in, and never again. A client could sign in early
and open its session late, stay for ever, or go away while the command runs on. So the shell asks the host's clock and,
where revocations are kept there, their list; it ends the whole process group when the client is gone or time is up.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_LIST: Final = "-"
ENDED_STATUS: Final = 126
ENDED: Final = "answerable: this lease has ended"

_WATCH: Final = (
    'e=$(($1-$(date +%s)));n=$2;shift 2;l=;[ "$n" = - ]||{ [ -r "$n" ]||l=y;grep -qsFw -- "$0" "$n"&&l=y;};'
    f'if [ "$e" -le 0 ]||[ -n "$l" ];then echo "{ENDED}" >&2;exit {ENDED_STATUS};fi;'
    'exec 3<&0 </dev/null;"$@" 3<&- & c=$!;'
    '{ timeout "$e" cat <&3;trap "" TERM;kill -TERM 0;sleep 2;kill -KILL 0; } >/dev/null 2>&1 & w=$!;'
    'exec 3<&-;trap "" TERM;wait "$c";s=$?;exec >/dev/null 2>&1;kill "$w";exit "$s"'
)
"""$0 account, $1 when it ends in Unix seconds, $2 the list of what was revoked, then the command. The client sends
nothing, so that the end of its input is its end. A list that should be there and cannot be read ends the lease, too."""
_WORDS_BEFORE: Final = 7


def quoted(text: str) -> str:
    """One word of a command line, for POSIX shells and for fish, whatever it holds but NUL and line ends.

    Unlike `shlex.quote` no backslash stands in single quotes, where fish would take it for an escape.
    """
    return "'" + text.replace("'", "'\"'\"'").replace("\\", "'\"\\\\\"'") + "'"


def command_line(words: Sequence[str]) -> str:
    """A command as one line that the login's shell reads as these words."""
    return " ".join(quoted(word) for word in words)


def forced_command(command: Sequence[str], *, account: str, ends_at: int, revoked_list: str) -> str:
    """What a certificate forces. ends_at: Unix seconds. revoked_list: path on the host, or NO_LIST."""
    return "exec " + command_line(
        ("/bin/sh", "-c", _WATCH, account, str(ends_at), revoked_list or NO_LIST, *command)
    )


def forced_words(line: str) -> tuple[str, ...]:
    """The command in a line that `forced_command` made; empty for any other line."""
    try:
        words = shlex.split(line)
    except ValueError:
        return ()
    return tuple(words[_WORDS_BEFORE:]) if words[:4] == ["exec", "/bin/sh", "-c", _WATCH] else ()
