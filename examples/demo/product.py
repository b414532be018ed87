"""The product as a user runs it: `answerable up` as a process, the command line, and the control API on its socket."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import STDOUT
from typing import Any, Final, Literal

import anyio
import httpx2
from anyio.abc import Process
from company import ROOT, Home, SetUpError
from narrator import Narrator, UnexpectedError

START_SECONDS_MAX: Final = 60.0
"""A first start compiles everything, which a busy machine takes its time for."""
UPSTREAMS_SECONDS_MAX: Final = 60.0
STOP_SECONDS_MAX: Final = 20.0
POLL_SECONDS: Final = 0.05
LOG_LINES_SHOWN: Final = 20

Stream = Literal["out", "err"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One finished command. out, err: its lines."""

    code: int
    out: tuple[str, ...]
    err: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Product:
    """One running product on the home's data directory."""

    home: Home
    narrator: Narrator
    _control: httpx2.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        transport = httpx2.AsyncHTTPTransport(uds=str(self.home.path / "control.sock"))
        self._control = httpx2.AsyncClient(transport=transport, base_url="http://answerable")

    async def get(self, path: str) -> dict[str, Any]:
        """Ask the control API, as a program of the company would. Raises UnexpectedError for anything but 200."""
        return self._answer(path, await self._control.get(path))

    async def seal(self) -> None:
        """Have the log sign what it holds, now and not in some seconds. Raises UnexpectedError."""
        path = "/v1/ledger/seal"
        self._answer(path, await self._control.post(path, json={}))

    def _answer(self, path: str, response: httpx2.Response) -> dict[str, Any]:
        if response.status_code != 200:
            raise UnexpectedError(f"200 from {path}", f"{response.status_code}: {response.text[:300]}")
        answer: dict[str, Any] = json.loads(response.content)
        return answer

    async def entries(self, name: str) -> list[dict[str, Any]]:
        """The ledger's entries about an id: index, kind, text and details of each."""
        lines: list[dict[str, Any]] = (await self.get(f"/v1/timeline/{name}"))["lines"]
        return lines

    async def command(self, *arguments: str, show: Sequence[Stream] = ("err", "out"), code: int = 0) -> Done:
        """Run `answerable ARGUMENTS` in a process of its own and show it with what it prints.

        show: which of its streams; with none, the command is not shown either. Raises UnexpectedError for another exit
        code than `code`.
        """
        if show:
            self.narrator.command(command_line(*arguments))
        done = await run_command(self.home, *arguments)
        if done.code != code:
            told = "; ".join((*done.err, *done.out)[:6])
            raise UnexpectedError(f"exit code {code} from {command_line(*arguments)}", f"{done.code}: {told}")
        for stream in show:
            self.narrator.output(done.err if stream == "err" else done.out)
        return done

    async def upstreams_up(self, names: Iterable[str]) -> None:
        """Wait until these upstream servers answer. Raises UnexpectedError when they do not in time."""
        wanted = set(names)
        states: dict[str, str] = {}
        with anyio.move_on_after(UPSTREAMS_SECONDS_MAX):
            while True:
                states = (await self.get("/v1/status"))["servers"]
                if all(states.get(name) == "up" for name in wanted):
                    return
                await anyio.sleep(POLL_SECONDS)
        raise UnexpectedError(
            f"all of {', '.join(sorted(wanted))} up within {UPSTREAMS_SECONDS_MAX:.0f} s", states
        )


@contextmanager
def standing_still(*marks: str) -> Iterator[None]:
    """Keep the one program of ours whose command line has all of these in it from running, until the block is left.

    Raises UnexpectedError when there is not exactly one.
    """
    found = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if _has(path, marks)]
    if len(found) != 1:
        raise UnexpectedError(f"one program with {', '.join(marks)}", f"{len(found)} of them")
    os.kill(found[0], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(found[0], signal.SIGCONT)


def _has(path: Path, marks: Sequence[str]) -> bool:
    try:
        line = path.read_bytes().decode(errors="replace")
    except OSError:  # It ended meanwhile.
        return False
    return all(mark in line for mark in marks)


def command_line(*arguments: str) -> str:
    """The command as a person would type it."""
    return shlex.join(["answerable", *(shortened(argument) for argument in arguments)])


def shortened(text: str) -> str:
    """A path below the current directory as seen from there."""
    here = f"{Path.cwd()}/"
    return text.removeprefix(here)


def program(*arguments: str) -> list[str]:
    """How `answerable` is started here: the same that the installed command starts."""
    return [sys.executable, "-m", "answerable.main", *arguments]


def environment(home: Home) -> dict[str, str]:
    """The environment of every command: where the data lies, and our sources even if they are not installed."""
    path = os.pathsep.join(part for part in (str(ROOT / "src"), os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "ANSWERABLE_DATA": str(home.path), "PYTHONPATH": path}


async def run_command(home: Home, *arguments: str) -> Done:
    """Run one command to its end."""
    done = await anyio.run_process(program(*arguments), env=environment(home), check=False)
    return Done(
        code=done.returncode,
        out=tuple(done.stdout.decode().splitlines()),
        err=tuple(done.stderr.decode().splitlines()),
    )


@asynccontextmanager
async def running(home: Home, narrator: Narrator) -> AsyncIterator[Product]:
    """`answerable up` for as long as the block runs; it and what it started are gone afterwards.

    Raises SetUpError when it does not start.
    """
    log = home.path / "up.log"
    with log.open("wb") as output:
        process = await anyio.open_process(
            program("up"), stdin=None, stdout=output, stderr=STDOUT, env=environment(home)
        )
    try:
        product = Product(home=home, narrator=narrator)
        await _answering(product, process, log)
        yield product
    finally:
        with anyio.CancelScope(shield=True):
            await _stopped(process)


async def _answering(product: Product, process: Process, log: Path) -> None:
    with anyio.move_on_after(START_SECONDS_MAX):
        while process.returncode is None:
            if (product.home.path / "control.sock").exists():
                try:
                    await product.get("/v1/status")
                except (httpx2.HTTPError, UnexpectedError):
                    pass
                else:
                    return
            await anyio.sleep(POLL_SECONDS)
    raise SetUpError(f"`answerable up` did not start:\n{last_lines(log)}")


def last_lines(log: Path) -> str:
    """The end of what a program said."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])


async def _stopped(process: Process) -> None:
    """Ask it to stop, as Ctrl-C does; kill it when it does not listen."""
    if process.returncode is not None:
        return
    process.terminate()
    with anyio.move_on_after(STOP_SECONDS_MAX):
        await process.wait()
        return
    process.kill()
    await process.wait()
