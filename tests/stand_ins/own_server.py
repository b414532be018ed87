"""Servers of others that tests start: a port, a folder and, where tests run as root, a user of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.probes.loud_skips import skip_loudly
from tests.stand_ins.ports import free_port
from tests.stand_ins.session_servers import environment_of, folder_of_run

UNPRIVILEGED = "nobody"


def kept_port(folder: Path, of: str = "server") -> int:
    """A port of the server of this folder, also for whoever did not start it."""
    path = folder / f"{of}.port"
    if not path.exists():
        path.write_text(str(free_port()))
    return int(path.read_text())


def owner() -> tuple[str | int, str | int]:
    """As whom such a server runs: nobody where the tests run as root, else whoever runs them."""
    return (UNPRIVILEGED, "nogroup") if os.geteuid() == 0 else (os.geteuid(), os.getegid())


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A folder that the server may write, gone afterwards."""
    # Not pytest's: those can be entered by their owner alone.
    folder = Path(tempfile.mkdtemp(prefix="own-", dir=folder_of_run()))
    try:
        shutil.chown(folder, *owner())
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def started(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start it in its folder; what it says goes to `output.txt` there."""
    user, group = owner() if os.geteuid() == 0 else (None, None)
    with (folder / "output.txt").open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment_of(folder, environment),
            user=user,
            group=group,
            extra_groups=[] if user is not None else None,
            # What it starts can be ended with it.
            start_new_session=True,
        )


def made_certificate(folder: Path) -> None:
    """`cert.pem`, for `localhost`, signed by itself, and `key.pem`."""
    if shutil.which("openssl") is None:
        skip_loudly("openssl", "apt-get install openssl", name="openssl")
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    made += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "1"]
    made += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(made, check=True, capture_output=True)
    (folder / "key.pem").chmod(0o644)


def cmdlines() -> list[str]:
    """The arguments of every process there is."""
    seen = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            seen.append(process.read_text(errors="replace"))
    return seen
