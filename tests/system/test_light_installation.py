"""`pip install answerable`, with no extra: what it weighs, imports and checks, and what it says it cannot check."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from answerable.adapters.tlog_files import PublishedFiles, TlogFilesLedger
from answerable.extras import INSTALL_REPLAY, INSTALL_SERVER, REPLAY, SERVER
from answerable.flows.ledger.assemble_evidence import assemble_evidence
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import log_key
from answerable.testing.samples import AUDIENCE
from answerable.testing.soft_passkey import SoftPasskey
from tests.attack.test_passkey_answers import answered
from tests.worlds.base_installation import BaseInstallation, base_installation, distributions_of
from tests.worlds.ledger_files import SMALL
from tests.worlds.passkey import enrolled, passkey_bench
from tests.worlds.selected import selected

DISTRIBUTIONS_MAX = 16
BYTES_MAX = 35_000_000
IMPORT_ALL = """
import importlib, pkgutil, sys
rooms = "core verify sdk errors connection_fault extras interruption plain_file unix_http"
for room in rooms.split():
    package = importlib.import_module(f"answerable.{room}")
    for one in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{package.__name__}."):
        importlib.import_module(one.name)
print(sum(name.startswith("answerable.") for name in sys.modules))
"""
PUBLIC = """
import sys, answerable
loaded = [name for name in sys.modules if name.startswith("answerable.")]
print(loaded, *[name for name in answerable.__all__ if getattr(answerable, name) is None], len(answerable.__all__))
"""


@dataclass(frozen=True)
class Handed:
    """What a stranger gets. place: with `ledger`, a copy of it, and `bundle` of all about the mandate."""

    place: Path
    key: str


async def _recorded(place: Path) -> Handed:
    """A refund that somebody approved by passkey, one that somebody approved by key file, and both ran."""
    key, sign = log_key(AUDIENCE)
    ledger = TlogFilesLedger.open(place / "ledger", key=key, sign=sign, clock=ManualClock(), settings=SMALL)
    async with ledger:
        bench = await passkey_bench(ledger=ledger)
        await bench.issue()
        await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
        asked = (await bench.refund(6000)).approval
        await answered(bench, asked, device)
        assert (await bench.refund(6000)).outcome is not None
        await bench.answer((await bench.refund(7000)).approval)
        assert (await bench.refund(7000)).outcome is not None
        ledger.seal()
        entries = list(ledger.replay())
        evidence = assemble_evidence(
            selected(entries, mandate="m-1", replay=True),
            replay=True,
            reveal=("object", "card", "token", "signer", "person_name"),
            entry=entries.__getitem__,
            published=PublishedFiles(place / "ledger"),
            find=bench.recorder.subject_keys.find,
            policy="",
        )
    (place / "bundle").write_bytes(evidence.bundle)
    (place / "log").write_text(
        "Dec  1 08:00:00 host sshd[7]: Accepted password for x from 10.0.0.7 port 1 ssh2\n"
    )
    return Handed(place, key.formatted())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseInstallation:
    return base_installation(tmp_path_factory.mktemp("base") / "site")


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> Handed:
    return asyncio.run(_recorded(tmp_path_factory.mktemp("handed")))


def whole(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same command with every extra."""
    line = [sys.executable, "-P", "-m", "answerable", *words]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


# --- what it is ------------------------------------------------------------------------------------------


@pytest.mark.requirement("LIGHT-01")
def test_it_is_few_distributions_and_small(base: BaseInstallation) -> None:
    assert len({*base.distributions, "answerable"}) <= DISTRIBUTIONS_MAX
    assert base.bytes_of() <= BYTES_MAX
    beyond = distributions_of("server").keys() - base.distributions.keys()
    assert {"cedarpy", "mcp", "starlette", "typer", "uvicorn"} <= beyond
    assert distributions_of("replay").keys() <= distributions_of("server").keys()


@pytest.mark.requirement("LIGHT-02")
def test_every_module_and_every_public_name_is_imported_there(base: BaseInstallation, tmp_path: Path) -> None:
    done = base.python("-c", IMPORT_ALL, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 400
    done = base.python("-c", PUBLIC, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("[] "), "nothing is loaded before it is asked for, and nothing is None"


@pytest.mark.requirement("LIGHT-02")
def test_nothing_of_an_extra_can_be_imported_there(base: BaseInstallation, tmp_path: Path) -> None:
    tried = f"from answerable.extras import is_here\nprint([one for one in {SERVER!r} if is_here(one)])"
    assert base.python("-c", tried, cwd=tmp_path).stdout == "[]\n"


# --- what it checks --------------------------------------------------------------------------------------


@pytest.mark.requirement("LIGHT-04")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_ledger_verifies_to_the_same_report(
    base: BaseInstallation, handed: Handed, options: Sequence[str]
) -> None:
    line = ("ledger", "verify", "ledger", "--key", handed.key, *options)
    here, there = base.answerable(*line, cwd=handed.place), whole(*line, cwd=handed.place)
    assert (here.returncode, here.stderr) == (0, "")
    assert (here.returncode, here.stdout, here.stderr) == (there.returncode, there.stdout, there.stderr)
    assert "valid" in here.stdout


@pytest.mark.requirement("LIGHT-04")
def test_one_changed_byte_is_found(base: BaseInstallation, handed: Handed, tmp_path: Path) -> None:
    shutil.copytree(handed.place / "ledger", tmp_path / "ledger")
    (segment,) = (tmp_path / "ledger/wal").glob("*.wal")
    content = bytearray(segment.read_bytes())
    at = content.index(b'"agent":"scout"')
    content[at + 9] ^= 1
    segment.write_bytes(content)
    line = ("ledger", "verify", "ledger", "--key", handed.key)
    here, there = base.answerable(*line, cwd=tmp_path), whole(*line, cwd=tmp_path)
    assert (here.returncode, here.stdout) == (there.returncode, there.stdout)
    assert here.returncode == 5
    assert "INVALID" in here.stdout


@pytest.mark.requirement("LIGHT-04")
def test_what_an_operator_asks_for_and_is_not_there_is_not_met(
    base: BaseInstallation, handed: Handed
) -> None:
    line = ("ledger", "verify", "ledger", "--key", handed.key, "--since", "2026-01-01T00:00:00Z")
    here, there = base.answerable(*line, cwd=handed.place), whole(*line, cwd=handed.place)
    assert (here.returncode, here.stdout, here.stderr) == (there.returncode, there.stdout, there.stderr)
    assert here.returncode == 6


@pytest.mark.requirement("LIGHT-04")
def test_a_ledger_verifies_with_three_packages(base: BaseInstallation, handed: Handed) -> None:
    """Those that the page of verifying names for whoever comes in ten years."""
    tried = (
        "import sys; sys.modules.update(dict.fromkeys(('anyio', 'httpx2', 'joserfc', 'nacl')))\n"
        "from pathlib import Path; from answerable import VerifierKey, verify_ledger\n"
        f"report = verify_ledger(Path('ledger'), key=VerifierKey.parse({handed.key!r}))\n"
        "print(report.status, report.errors, report.size > 10)"
    )
    done = base.python("-c", tried, cwd=handed.place)
    assert (done.stderr, done.stdout) == ("", "valid_but 0 True\n")


# --- what it cannot check --------------------------------------------------------------------------------


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert "Traceback" not in done.stderr
    value: dict[str, Any] = json.loads(done.stdout)
    return value


@pytest.mark.requirement("LIGHT-05")
def test_signatures_by_passkeys_are_counted_as_not_checked_and_are_no_pass(
    base: BaseInstallation, handed: Handed
) -> None:
    line = ("evidence", "verify", "bundle", "--key", handed.key, "--json")
    there = told(whole(*line, cwd=handed.place))
    assert there["status"] == "valid_but"
    assert there["answers"] == {"attributed": 0, "signed": 2}
    done = base.answerable(*line, cwd=handed.place)
    here = told(done)
    assert done.returncode == 6
    assert (here["status"], here["answers"]) == ("unmet", {"attributed": 0, "signed": 1})
    (more,) = [one for one in here["caveats"] if one not in there["caveats"]]
    assert more == {
        "code": "passkeys_not_checked",
        "message": f"1 signatures by passkeys were not checked: {INSTALL_REPLAY}",
        "unmet": True,
    }
    assert [one for one in here["findings"] if one["severity"] == "error"] == []
    assert here["entries"] == there["entries"]
    text = base.answerable(*line[:-1], cwd=handed.place)
    assert text.returncode == 6
    assert f"  1 signatures by passkeys were not checked: {INSTALL_REPLAY}\n" in text.stdout
    assert "NOT MET" in text.stdout


@pytest.mark.requirement("LIGHT-05")
def test_decisions_are_told_as_not_asked_again_and_are_no_pass(
    base: BaseInstallation, handed: Handed
) -> None:
    line = ("decision", "replay", "--bundle", "bundle", "--json")
    done = whole(*line, cwd=handed.place)
    there = told(done)["decisions"]
    assert done.returncode == 0
    assert {one["verdict"] for one in there} == {"same"}
    done = base.answerable(*line, cwd=handed.place)
    here = told(done)["decisions"]
    assert done.returncode == 6
    assert {(one["verdict"], one["text"]) for one in here} == {
        ("cannot_tell", f"decisions cannot be asked again here: {INSTALL_REPLAY}")
    }
    assert [one["index"] for one in here] == [one["index"] for one in there]
    text = base.answerable(*line[:-1], cwd=handed.place)
    assert (text.returncode, text.stdout.count(INSTALL_REPLAY)) == (6, len(here))


@pytest.mark.requirement("LIGHT-05")
def test_patterns_are_not_taken_to_match(base: BaseInstallation, tmp_path: Path) -> None:
    tried = (
        "from answerable.core.mandate.bounded_match import matches_whole\n"
        "from answerable.errors import Unavailable\n"
        "try:\n    matches_whole('a', 'a')\nexcept Unavailable as fault:\n    print(fault.code, fault.message)\n"
    )
    done = base.python("-c", tried, cwd=tmp_path)
    assert done.stdout == f"extra.missing patterns cannot be matched here: {INSTALL_REPLAY}\n"
    assert len(REPLAY) == 3


# --- the command -----------------------------------------------------------------------------------------


@pytest.mark.requirement("LIGHT-06")
@pytest.mark.parametrize(
    "words",
    [
        ("up",),
        ("up", "--help"),
        ("ledger", "status"),
        ("policy", "lint"),
        ("evidence", "export", "--out", "x"),
    ],
)
def test_every_other_command_says_what_to_install(
    base: BaseInstallation, tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = base.answerable("--data", "here", *words, cwd=tmp_path)
    named = " ".join(word for word in words[:2] if not word.startswith("-"))
    wanted = f"answerable: `{named}`: this command needs the server: {INSTALL_SERVER}\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", wanted)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.requirement("LIGHT-06")
@pytest.mark.parametrize(
    "words",
    [
        ("timeline", "a-1"),
        ("search",),
        ("decision", "replay", "a-1"),
        ("decision", "replay", "--all"),
    ],
)
def test_what_asks_a_server_says_so(base: BaseInstallation, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = base.answerable(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"this command needs the server: {INSTALL_SERVER}\n")


@pytest.mark.requirement("LIGHT-06")
def test_help_says_it_too(base: BaseInstallation, tmp_path: Path) -> None:
    done = base.answerable("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert f"Every other command needs the server: {INSTALL_SERVER}\n" in done.stdout
    for words in ((), ("ledger",)):
        again = base.answerable(*words, cwd=tmp_path)
        assert (again.returncode, again.stdout) == (2, done.stdout)
    assert base.answerable("--version", cwd=tmp_path).stdout == whole("--version", cwd=tmp_path).stdout


@pytest.mark.requirement("LIGHT-06")
@pytest.mark.parametrize(
    "words",
    [
        ("timeline", "m-1", "--ledger", "ledger"),
        ("timeline", "m-1", "--ledger", "ledger", "--json"),
        ("timeline", "nobody", "--ledger", "ledger"),
        ("timeline", "-AbcdefghijklmnopqrstuvwxyZ0123456789-_abcdef", "--ledger", "ledger"),
        ("timeline", "--ledger", "ledger"),
        ("timeline", "m-1", "--ledger", "nowhere"),
        ("timeline", "--model", "m", "--ledger", "ledger", "--json"),
        ("search", "agent:scout", "--ledger", "ledger", "--csv"),
        ("search", "person:bob", "--ledger", "ledger", "--limit", "2"),
        ("search", "--ledger", "ledger", "--keys", "nowhere"),
        ("show", "m-1", "--ledger", "ledger", "--json"),
        ("account", "list", "--ledger", "ledger"),
        ("scope", "agent:scout", "--since", "2020-01-01", "--ledger", "ledger"),
        ("attribute", "log", "--kind", "sshd", "--ledger", "ledger", "--zone", "+01:00", "--account", "x"),
        ("-q", "ledger", "verify", "nowhere"),
        ("ledger", "verify", "ledger", "--since", "today"),
        ("ledger", "verify", "ledger", "--policy", "nowhere"),
        ("--no-color", "evidence", "verify", "nowhere", "--json"),
        ("evidence", "verify", "ledger/checkpoint"),
        ("decision", "replay", "--bundle", "nowhere"),
        ("decision", "replay", "--bundle", "ledger/checkpoint"),
        ("key", "show", "nowhere"),
    ],
)
def test_words_output_and_exit_code_are_those_of_the_whole_command(
    base: BaseInstallation, handed: Handed, words: tuple[str, ...]
) -> None:
    here, there = base.answerable(*words, cwd=handed.place), whole(*words, cwd=handed.place)
    assert (here.returncode, here.stdout, here.stderr) == (there.returncode, there.stdout, there.stderr)
    assert here.stdout or here.stderr


@pytest.mark.requirement("LIGHT-06")
def test_keys_are_made_and_shown(base: BaseInstallation, tmp_path: Path) -> None:
    made = base.answerable("key", "new", "mine", "--kind", "p256", "--public", "mine.jwk", cwd=tmp_path)
    assert (made.returncode, made.stdout) == (0, (tmp_path / "mine.jwk").read_text())
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o600
    for words in (("key", "show", "mine"), ("key", "show", "mine", "--json"), ("key", "new", "mine")):
        here, there = base.answerable(*words, cwd=tmp_path), whole(*words, cwd=tmp_path)
        assert (here.returncode, here.stdout, here.stderr) == (there.returncode, there.stdout, there.stderr)


@pytest.mark.requirement("LIGHT-06")
@pytest.mark.parametrize("lacking", ["typer", "segno", "google"])
def test_with_a_part_of_the_server_alone_it_is_the_light_command(tmp_path: Path, lacking: str) -> None:
    """As where somebody has Typer for a program of their own."""
    tried = (
        f"import sys; sys.modules[{lacking!r}] = None; sys.argv = ['answerable', 'up']\n"
        "from answerable.__main__ import run; run()"
    )
    line = [sys.executable, "-P", "-c", tried]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count(INSTALL_SERVER)) == (2, 1)
