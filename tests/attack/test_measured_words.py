"""Somebody who is not our sidecar says that it measured what it is made of: its word stays a claim."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from answerable.adapters.linux_process import LinuxProcessObserver, OwnCommand
from answerable.core.identity.workload.evidence import Evidence
from answerable.core.identity.workload.sidecars import sidecars_in
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed
from answerable.flows.workloads.enrol_workload import enrol, renew
from tests.attack.test_drift_laundering import WHOLE, code_of, found, manifest, seen
from tests.worlds.enrolment import attested_documents, enrolling, evidence_of, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.ports.process_observer import ProcessFacts

pytestmark = pytest.mark.anyio

JOINED = Evidence(
    source="join_token", grade="gateway", selectors=("join_token:agent:scout", "join_token:name:first")
)
REMOTE = {"scout": [["unix:path:/opt/scout", "unix:uid:1000"], ["join_token:name:first"]]}


@pytest.mark.requirement("MANIFEST-16")
@pytest.mark.parametrize("evidence", [evidence_of(), JOINED], ids=["local", "remote"])
async def test_who_is_not_known_for_our_sidecar_measures_nothing_whatever_it_says(evidence: Evidence) -> None:
    bench, workloads = await enrolling(attested_documents(REMOTE), sidecars=("agent-up",))
    await manifest(bench)
    asked = enrol(workloads, evidence=evidence, key=key_of("i-1"), process="boot:1:1", measured=WHOLE)
    assert await code_of(asked) == "manifest.unmeasured"
    assert bench.entries(Tag.WORKLOAD_ENROLLED) == []


@pytest.mark.requirement("MANIFEST-16")
async def test_its_word_is_a_claim_where_drift_is_marked_too_and_a_renewal_makes_it_no_better() -> None:
    bench, workloads = await enrolling(attested_documents(REMOTE, drift="mark"), sidecars=("agent-up",))
    await manifest(bench)
    one = await enrol(workloads, evidence=JOINED, key=key_of("i-1"), measured=WHOLE)
    for asked in (one, await renew(workloads, one.id, measured=WHOLE)):
        assert (asked.manifest, asked.manifest_fields) == ("", ())
        assert {grade for _, _, grade in asked.measured} == {"claimed"}
    assert seen(workloads, "i-1").drifted
    sub = await enrol(workloads, evidence=JOINED, key=key_of("s-1"), measured=WHOLE, parent=one.id)
    assert {grade for _, _, grade in sub.measured} == {"claimed"}
    assert bench.entries(Tag.WORKLOAD_ENROLLED)[0]["manifest_fields"] == {}


@pytest.mark.requirement("MANIFEST-16")
async def test_a_program_that_was_seen_to_be_our_own_measures_and_so_do_its_sub_agents() -> None:
    bench, workloads = await enrolling(sidecars=("agent-up",))
    digest = await manifest(bench)
    one = await enrol(
        workloads, evidence=evidence_of(), key=key_of("i-1"), process="b:1:1", agent_up=True, measured=WHOLE
    )
    sub = await enrol(workloads, evidence=one.evidence, key=key_of("s-1"), measured=WHOLE, parent=one.id)
    for made in (one, sub, await renew(workloads, one.id, measured=WHOLE)):
        assert (made.manifest, dict(made.manifest_fields)["prompt_digest"]) == (digest, "sidecar")
    # Once another program runs in the same process, that one's word is another matter.
    other = evidence_of("unix:path:/opt/scout", "unix:uid:1000", f"unix:sha256:{'e' * 64}")
    changed = await renew(workloads, one.id, evidence=other, measured=WHOLE)
    assert not changed.agent_up
    assert dict(found(workloads, one).manifest_fields)["prompt_digest"] == "sidecar"


@pytest.mark.requirement("MANIFEST-16")
@pytest.mark.parametrize(
    ("setting", "believed"),
    [
        ((), False),
        (("agent-up",), False),
        (("oidc",), False),
        (("join_token",), True),
        (("join_token:name:first",), True),
        (("join_token:name:second",), False),
        (("join_token:name:first unix:uid:1000",), False),
        (("agent-up", "unix:uid:0", "join_token:name:first join_token:agent:scout"), True),
    ],
)
async def test_elsewhere_only_those_are_believed_whom_the_settings_name(
    setting: tuple[str, ...], believed: bool
) -> None:
    bench, workloads = await enrolling(attested_documents(REMOTE, drift="mark"), sidecars=setting)
    await manifest(bench)
    one = await enrol(workloads, evidence=JOINED, key=key_of("i-1"), agent_up=True, measured=WHOLE)
    assert ({grade for _, _, grade in one.measured} == {"sidecar"}) is believed


@pytest.mark.requirement("MANIFEST-16")
@pytest.mark.parametrize(
    "text", ["", " ", "agent-up unix", "kernel", "unix:uid:x", "unix:uid:1 2", "parent", "*"]
)
def test_a_setting_that_names_nobody_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as told:
        sidecars_in(("agent-up", text))
    assert told.value.code == "attestation.sidecar"
    with pytest.raises(Malformed):
        sidecars_in(f"unix:uid:{number}" for number in range(65))


WAITS = "import time\ntime.sleep(600)\n"
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith(("LD_", "PYTHON"))}


@contextmanager
def running(*words: str, env: dict[str, str] | None = None) -> Iterator[ProcessFacts]:
    """A process of these words, as the observer of a server sees it whose command is the first script of `words`."""
    process = subprocess.Popen([sys.executable, *words], env=env or PLAIN, cwd=COMMAND[0].parent)
    try:
        # The kernel closes our end of the pipe a moment before it says by which words a program was started.
        while not Path(f"/proc/{process.pid}/environ").read_bytes():
            time.sleep(0.001)
        observer = LinuxProcessObserver(command=OwnCommand([str(COMMAND[0])], PLAIN))
        yield observer.observe(process.pid, started=observer.started(process.pid))
    finally:
        process.kill()
        process.wait()


COMMAND: list[Path] = []


@pytest.fixture(autouse=True)
def command(tmp_path: Path) -> Iterator[str]:
    """Our command, as far as the kernel and a command line can tell."""
    script = tmp_path / "bin" / "answerable"
    script.parent.mkdir()
    script.write_text(WAITS)
    (script.parent / "evil.py").write_text(WAITS)
    COMMAND[:] = [script]
    yield str(script)
    COMMAND.clear()


@pytest.mark.usefixtures("own_root_is_a_mount")
@pytest.mark.requirement("MANIFEST-16")
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word about processes is Linux's")
def test_our_own_command_is_known_by_its_program_its_script_and_its_words(command: str) -> None:
    for words in (
        ("agent", "up", "--", "x"),
        ("--data", "house", "agent", "up", "--agent", "scout", "--", "y"),
    ):
        with running(command, *words) as facts:
            assert facts.agent_up
            assert facts.parent == os.getpid()
            assert facts.ancestors[0].split(":")[1] == str(os.getpid())


@pytest.mark.requirement("MANIFEST-16")
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word about processes is Linux's")
@pytest.mark.parametrize(
    "words",
    [
        ("evil.py", "agent", "up"),
        ("SCRIPT", "up"),
        ("SCRIPT", "agent"),
        ("SCRIPT", "agent", "list", "--", "agent", "up"),
        ("-c", WAITS, "SCRIPT", "agent", "up"),
        ("-i", "SCRIPT", "agent", "up"),
        ("./answerable", "agent", "up"),
        ("/nowhere/../evil.py", "SCRIPT", "agent", "up"),
    ],
    ids=" ".join,
)
def test_what_only_looks_like_our_command_is_not_taken_for_it(command: str, words: tuple[str, ...]) -> None:
    said = [command if word == "SCRIPT" else word for word in words]
    if said[0].startswith("/nowhere"):
        said[0] = command.replace("answerable", "evil.py")
    with running(*said) as facts:
        assert not facts.agent_up


@pytest.mark.requirement("MANIFEST-16")
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word about processes is Linux's")
@pytest.mark.parametrize(
    "name", ["PYTHONPATH", "PYTHONHOME", "LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONUSERBASE"]
)
def test_our_command_with_other_code_put_before_its_own_is_not_taken_for_it(command: str, name: str) -> None:
    value = sys.base_prefix if name == "PYTHONHOME" else "/nowhere"
    with running(command, "agent", "up", env={**PLAIN, name: value}) as facts:
        assert not facts.agent_up


@pytest.mark.requirement("MANIFEST-16")
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word about processes is Linux's")
def test_another_interpreter_that_runs_our_script_is_not_taken_for_our_command(
    command: str, tmp_path: Path
) -> None:
    other = tmp_path / "python"
    other.write_bytes(Path(sys.executable).resolve().read_bytes() + b"\0")
    other.chmod(0o700)
    env = {**PLAIN, "PYTHONHOME": sys.base_prefix}
    with subprocess.Popen([str(other), command, "agent", "up"], env=env) as process:
        observer = LinuxProcessObserver(command=OwnCommand([command], env))
        assert not observer.observe(process.pid, started=observer.started(process.pid)).agent_up
        process.kill()
