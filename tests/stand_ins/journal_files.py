"""Files of a journal, as systemd-journal-remote makes them of entries."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.probes.loud_skips import skip_loudly

REMOTE: Final = Path("/usr/lib/systemd/systemd-journal-remote")
MACHINE: Final = "a" * 32


class JournalFiles:
    """A directory with a journal. directory: is made. now: time of second 0, Unix milliseconds. machine: whose entries
    are written."""

    def __init__(self, directory: Path, *, now: int) -> None:
        if not REMOTE.is_file() or shutil.which("journalctl") is None:
            skip_loudly("journalctl", "apt-get install systemd systemd-journal-remote", name="journalctl")
        directory.mkdir()
        self.directory, self._now, self.machine = directory, now, MACHINE

    def writes(
        self, *said: tuple[float, str], file: str = "a", boot: str = "b", more: tuple[str, ...] = ()
    ) -> None:
        """sshd says at these seconds. boot: one letter of hexadecimal. more: fields of each entry."""
        entries = []
        for seconds, message in said:
            at = int((self._now + seconds * 1000) * 1000)
            fields = {
                "__REALTIME_TIMESTAMP": at,
                "__MONOTONIC_TIMESTAMP": at - self._now * 1000 + 10**9,
                "_BOOT_ID": boot * 32,
                "_MACHINE_ID": self.machine,
                "_HOSTNAME": "web1",
                "_UID": 0,
                "_PID": 12,
                "_SYSTEMD_UNIT": "ssh.service",
                "SYSLOG_IDENTIFIER": "sshd-session",
                "MESSAGE": message,
            }
            told = {one.partition("=")[0] for one in more}
            lines = [f"{name}={value}" for name, value in fields.items() if name not in told]
            entries.append("\n".join([*lines, *more, "", ""]))
        made = subprocess.run(
            [str(REMOTE), "-o", str(self.directory / f"{file}.journal"), "-"],
            input="".join(entries).encode(), capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr

    def removes(self, file: str) -> None:
        """As `journalctl --vacuum-size` does."""
        (self.directory / f"{file}.journal").unlink()
