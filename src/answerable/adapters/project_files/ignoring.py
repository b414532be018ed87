"""List the files that git ignores in a project, by its own `.gitignore` files only."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

GIT_SECONDS_MAX: Final = 60
OUTPUT_BYTES_MAX: Final = 16 * 1024 * 1024

# A repository's own configuration can name programs that git runs; this command needs none of them.
_COMMAND: Final = (
    "git", "-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false", "-c", "core.hooksPath=/dev/null",
    "ls-files", "-z", "--others", "--ignored", "--directory", "--exclude-per-directory=.gitignore",
)  # fmt: skip


def ignored_by_git(root: Path) -> frozenset[str] | None:
    """Return relative paths, directories with a final `/`; None if this is no git work tree or git does not answer."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    surroundings |= {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }
    try:
        answer = subprocess.run(
            _COMMAND,
            cwd=root,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS_MAX,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    if len(answer.stdout) > OUTPUT_BYTES_MAX:
        return None
    return frozenset(os.fsdecode(path) for path in answer.stdout.split(b"\0") if path)


def without(paths: Iterable[str], ignored: frozenset[str]) -> tuple[str, ...]:
    """Return the paths that are neither ignored nor below an ignored directory."""
    return tuple(path for path in paths if path not in ignored and not _below(path, ignored))


def _below(path: str, ignored: frozenset[str]) -> bool:
    parts = path.split("/")
    return any("/".join(parts[:count]) + "/" in ignored for count in range(1, len(parts)))
