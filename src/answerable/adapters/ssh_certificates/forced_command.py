"""Build the forced command of a certificate: one command under a shell that ends it with its lease.

The shell is needed because sshd checks a certificate only at login. A client could log in early and open its session
late, stay connected, or leave while the command runs. So the shell checks the host's clock and, if revocations are
stored there, their list; it ends the whole process group when the client is gone or the time is up.
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
    'exec 3<&0 </dev/null;ANSWERABLE_LEASE="$0/$$" "$@" 3<&- & c=$!;'
    '{ timeout "$e" cat <&3;trap "" TERM;kill -TERM 0;sleep 2;kill -KILL 0; } >/dev/null 2>&1 & w=$!;'
    'exec 3<&-;trap "" TERM;wait "$c";s=$?;exec >/dev/null 2>&1;kill "$w";exit "$s"'
)
"""$0 account, $1 expiry in Unix seconds, $2 the list of revoked names, then the command. The client sends no input, so
the end of input means that the client is gone. A required list that cannot be read ends the lease, too. The environment
of what the command starts names lease and session, by which it is found where the command ended this shell."""
_WORDS_BEFORE: Final = 7


def quoted(text: str) -> str:
    """Quote one word of a command line, for POSIX shells and for fish. The word must contain no NUL or line break.

    Unlike `shlex.quote`, no backslash is inside single quotes, where fish would treat it as an escape.
    """
    return "'" + text.replace("'", "'\"'\"'").replace("\\", "'\"\\\\\"'") + "'"


def command_line(words: Sequence[str]) -> str:
    """Return a command as one line that the login shell splits into these words."""
    return " ".join(quoted(word) for word in words)


def forced_command(command: Sequence[str], *, account: str, ends_at: int, revoked_list: str) -> str:
    """Return a certificate's forced command. ends_at: Unix seconds. revoked_list: path on the host, or NO_LIST."""
    return "exec " + command_line(
        ("/bin/sh", "-c", _WATCH, account, str(ends_at), revoked_list or NO_LIST, *command)
    )


def forced_words(line: str) -> tuple[str, ...]:
    """Return the command in a line from `forced_command`; empty for any other line."""
    try:
        words = shlex.split(line)
    except ValueError:
        return ()
    return tuple(words[_WORDS_BEFORE:]) if words[:4] == ["exec", "/bin/sh", "-c", _WATCH] else ()
