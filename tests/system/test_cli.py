"""The command line as its users run it: a process of its own, a real server, real files."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import answerable
from tests.worlds.control import Running, World, asked, made_world, serving

Command = Callable[..., subprocess.CompletedProcess[str]]

SOURCES = Path(answerable.__file__).parent.parent
DRAWN_WITH = (
    "__main__",
    "annotated_doc",
    "msgspec",
    "rfc8785",
    "shellingham",
    "sitecustomize",
    "typer",
    "typing_extensions",
)
LOADED_FOR_HELP = """
import sys
from answerable.main import run
sys.argv = ["answerable", "--help"]
try:
    run()
finally:
    print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""
STRANGER = """
import os, socket, sys
os.setuid(65534)
caller = socket.socket(socket.AF_UNIX)
caller.connect("control.sock")
caller.sendall(b"GET /v1/status HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n")
while piece := caller.recv(65536):
    sys.stdout.buffer.write(piece)
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = made_world(tmp_path)
    made.data.mkdir(mode=0o700)
    return made


@pytest.fixture
def running(world: World) -> Iterator[Running]:
    with serving(world) as server:
        yield server


@pytest.fixture
def command(world: World) -> Command:
    environment = {
        **{name: value for name, value in os.environ.items() if name != "FORCE_COLOR"},
        "PYTHONPATH": str(SOURCES),
        "ANSWERABLE_DATA": str(world.data),
    }

    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "answerable.main", *arguments],
            capture_output=True,
            text=True,
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done

    return run


@pytest.mark.requirement("CLI-01")
@pytest.mark.requirement("CLI-03")
@pytest.mark.requirement("CLI-04")
def test_a_case_is_governed_from_apply_to_timeline_over_the_socket(
    world: World, running: Running, command: Command
) -> None:
    assert command("apply", "-f", str(world.registry)).stderr.startswith("10 changes\n")
    issue = ("mandate", "issue", "one-case", "--as", "ada", "--set", "case=4711", "--yes", "--key")
    command(*issue, str(world.key("bela")), code=3)
    mandate = command(*issue, str(world.key("ada"))).stdout.strip()
    waiting = running.call(asked, "case_delete", "4711", mandate).approval.id
    answer = ("approval", "approve", waiting, "--yes", "--typed", "4711", "--as")
    command(*answer, "ada", "--key", str(world.key("ada")), code=3)
    shown = command(*answer, "bela", "--key", str(world.key("bela")), code=4).stdout
    assert 'Delete a case: Case "4711" (case_delete on crm)' in shown
    assert "\x1b" not in shown
    command(*answer, "chen", "--key", str(world.key("chen")))
    assert running.call(asked, "case_delete", "4711", mandate).outcome.status == "succeeded"
    command("mandate", "close", mandate, "--yes")
    story = json.loads(command("timeline", mandate, "--json").stdout)["lines"]
    assert [line["kind"] for line in story] == [
        "mandate_issued", "approval_asked", "approval_answer", "approval_answer", "intent", "outcome", "mandate_closed",
    ]  # fmt: skip
    command("mandate", "show", "nothing", code=1)
    command("mandate", "shew", code=2)


@pytest.mark.requirement("CLI-02")
def test_the_control_socket_is_for_its_own_user(world: World, running: Running) -> None:
    path = world.data / "control.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.requirement("CLI-02")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can call as somebody else")
def test_another_user_who_gets_at_the_socket_is_told_nothing(world: World, running: Running) -> None:
    # The doors of the file system are opened on purpose: what is left is the kernel's word.
    os.chmod(world.data, 0o711)  # noqa: S103
    os.chmod(world.data / "control.sock", 0o666)  # noqa: S103
    done = subprocess.run(
        [sys.executable, "-c", STRANGER], cwd=world.data, capture_output=True, timeout=30, check=True
    )
    assert b" 401 " in done.stdout.split(b"\r\n", 1)[0]
    assert b"control.peer" in done.stdout
    assert b"example.test" not in done.stdout


@pytest.mark.requirement("CLI-05")
def test_help_loads_none_of_the_libraries_that_take_long(world: World) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED_FOR_HELP],
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    loaded = set(done.stderr.split())
    assert {"answerable", "typer"} <= loaded
    assert loaded - set(sys.stdlib_module_names) <= {"answerable", *DRAWN_WITH}


@pytest.mark.requirement("CLI-03")
def test_a_reader_that_leaves_early_is_no_error(world: World, running: Running, command: Command) -> None:
    command("apply", "-f", str(world.registry))
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "ANSWERABLE_DATA": str(world.data)}
    listing = subprocess.Popen(
        [sys.executable, "-m", "answerable.main", "registry", "list", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert listing.stdout is not None
    listing.stdout.close()
    assert listing.wait(30) == 0
    assert listing.stderr is not None
    assert b"Traceback" not in listing.stderr.read()
    listing.stderr.close()


@pytest.mark.requirement("CLI-06")
def test_verify_names_the_entry_with_a_changed_byte(world: World, command: Command) -> None:
    with serving(world) as server:
        command("apply", "-f", str(world.registry))
        key = json.loads(command("ledger", "status", "--json").stdout)["key"]
        assert server.product is not None
    copy = world.root / "copy"
    shutil.copytree(world.data / "ledger", copy)
    report = json.loads(command("ledger", "verify", str(copy), "--key", key, "--json").stdout)
    assert (report["errors"], report["key_given"]) == (0, True)
    segment = min((copy / "wal").iterdir())
    content = bytearray(segment.read_bytes())
    place = content.index(b'"tag":11')
    content[place] ^= 1
    segment.write_bytes(content)
    told = command("ledger", "verify", str(copy), "--key", key, code=5).stdout
    assert "INVALID" in told
    assert "entry 1" in told


@pytest.mark.requirement("EVIDENCE-01")
def test_evidence_of_an_action_is_exported_and_verified_without_the_server(
    world: World, running: Running, command: Command
) -> None:
    command("apply", "-f", str(world.registry))
    issue = ("mandate", "issue", "one-case", "--as", "ada", "--set", "case=4711", "--yes", "--key")
    mandate = command(*issue, str(world.key("ada"))).stdout.strip()
    answer = running.call(asked, "case_read", "4711", mandate)
    command("ledger", "seal")
    bundle, policy = world.root / "case.zip", world.root / "policy"
    export = ("evidence", "export", "--mandate", mandate, "--reveal", "request", "--out", str(bundle))
    told = json.loads(command(*export, "--json").stdout)
    assert (told["shown"] > 0, told["withheld"]) == (True, [])
    assert bundle.stat().st_mode & 0o077 == 0, "what is shown may be personal"
    assert "cannot write" in command(*export, code=1).stderr, "no file is overwritten"
    key = json.loads(command("ledger", "status", "--json").stdout)["key"]
    policy.write_text(f"log {key}\nquorum none\n")
    verify = ("evidence", "verify", str(bundle), "--policy", str(policy))
    report = json.loads(command(*verify, "--json").stdout)
    assert (report["status"], [one["code"] for one in report["caveats"]]) == ("valid_but", ["not_witnessed"])
    shown = [one["shown"] for one in report["entries"] if one["leaf"].get("action") == answer.action_id]
    assert shown[0]["request"]["arguments"] == {"case": "4711"}
    assert "4711" in command(*verify).stdout
    hidden = json.loads(command("evidence", "verify", str(bundle), "--key", key, "--json").stdout)
    assert all("purpose" not in one["shown"] for one in hidden["entries"])
    one = world.root / "one.zip"
    command("evidence", "export", "--entry", "0", "--entry", "1", "-o", str(one))
    assert len(json.loads(command("evidence", "verify", str(one), "--json").stdout)["entries"]) == 2
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    assert "INVALID" in command(*verify, code=5).stdout
    for wrong in (("--action", "nothing"), (), ("--entry", "99999"), ("--mandate", mandate, "--reveal", "x")):
        command("evidence", "export", *wrong, "--out", str(world.root / "none.zip"), code=1)
    assert not (world.root / "none.zip").exists()
    command("evidence", "verify", str(world.root / "none.zip"), code=1)


@pytest.mark.requirement("CLI-01")
@pytest.mark.requirement("CLI-03")
def test_the_real_product_answers_with_its_server_and_after_it(world: World, command: Command) -> None:
    (world.data / "answerable.toml").write_text("[gateway]\nport = 0\n")
    registry = world.registry / "registry.yaml"
    registry.write_text(registry.read_text().replace("{command: sh}", "{command: sleep, args: ['60']}"))
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    server = subprocess.Popen(
        [sys.executable, "-m", "answerable.main", "up", "--data", str(world.data)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert server.stderr is not None
    try:
        for line in server.stderr:
            if line.startswith("nothing is registered yet"):
                break
        else:
            pytest.fail("the server ended")
        assert command("apply", "-f", str(world.registry)).stderr.startswith("10 changes\n")
        issue = ("mandate", "issue", "one-case", "--as", "ada", "--key", str(world.key("ada")), "--yes")
        mandate = command(*issue, "--set", "case=4711").stdout.strip()
        online = json.loads(command("mandate", "list", "--json").stdout)
        command("doctor")
        assert "another server answers" in command("up", code=1).stderr
    finally:
        server.terminate()
        server.communicate(timeout=30)
    assert server.returncode == 0
    offline = command("mandate", "list", "--json")
    assert "no server answers" in offline.stderr
    assert json.loads(offline.stdout) == online
    assert online[0]["id"] == mandate
    command("mandate", "close", mandate, "--yes")
    assert "was closed by uid:" in command("timeline", mandate).stdout
    key = json.loads(command("ledger", "status", "--json").stdout)["key"]
    command("ledger", "verify", str(world.data / "ledger"), "--key", key)


@pytest.mark.requirement("LEDGER-25")
def test_doctor_says_of_a_checkpoint_that_was_tampered_with_what_to_do(
    world: World, command: Command
) -> None:
    command("apply", "-f", str(world.registry))
    checkpoint = world.data / "ledger/checkpoint"
    written = checkpoint.read_bytes()
    root = written.split(b"\n")[2]
    for tampered in (written.replace(root, root.swapcase()), b"", b"nothing\n"):
        checkpoint.write_bytes(tampered)
        found = json.loads(command("doctor", "--json", code=5).stdout)
        advice = {one["name"]: one["advice"] for one in found if one["state"] == "fault"}
        assert set(advice) == {"ledger files", "product"}
        for said in advice.values():
            assert f"`answerable ledger verify {world.data / 'ledger'}`" in said
            assert "restore the complete ledger" in said
    assert "error: checkpoint:" in command("ledger", "verify", str(world.data / "ledger"), code=5).stdout
    checkpoint.write_bytes(written)
    command("doctor")


@pytest.mark.requirement("LEDGER-26")
def test_doctor_makes_no_damaged_tile_again_and_tells_of_those_that_an_opening_made(
    world: World, command: Command
) -> None:
    command("apply", "-f", str(world.registry))
    ledger = world.data / "ledger"
    tile = max(ledger.glob("tile/0/000.p/*"), key=lambda one: int(one.name))
    damaged = bytes(32) + tile.read_bytes()[32:]
    tile.write_bytes(damaged)

    def told(code: int) -> dict[str, dict[str, str]]:
        return {one["name"]: one for one in json.loads(command("doctor", "--json", code=code).stdout)}

    for _ in range(2):
        found = told(5)
        assert (found["ledger files"]["state"], found["product"]["state"]) == ("fault", "fault")
        assert "restore the complete ledger" in found["product"]["advice"]
        assert tile.read_bytes() == damaged
    command("ledger", "verify", str(ledger), code=5)
    command("status")
    found = told(0)
    assert found["ledger files"]["state"] == "ok"
    assert str(ledger / "tile.damaged") in found["damaged tiles"]["says"]
    (kept,) = ledger.glob("tile.damaged/*")
    assert kept.read_bytes() == damaged


@pytest.mark.requirement("LEDGER-26")
def test_doctor_says_of_a_damaged_register_file_what_to_do_and_that_helps(
    world: World, command: Command
) -> None:
    command("apply", "-f", str(world.registry))
    file = world.data / "answerable.db"
    content = file.read_bytes()
    file.write_bytes(content[:5] + bytes([content[5] ^ 1]) + content[6:])
    found = json.loads(command("doctor", "--json", code=5).stdout)
    (advice,) = [one["advice"] for one in found if one["name"] == "product"]
    assert "move it away with its `-wal` and `-shm`" in advice
    for one in world.data.glob("answerable.db*"):
        one.rename(world.root / one.name)
    command("doctor")
    assert json.loads(command("agent", "list", "--json").stdout)


@pytest.mark.requirement("LEDGER-26")
def test_doctor_sends_nobody_to_verify_an_older_copy_of_a_ledger_which_is_valid(
    world: World, command: Command
) -> None:
    command("apply", "-f", str(world.registry))
    ledger = world.data / "ledger"
    shutil.copytree(ledger, world.root / "older")
    command(
        "mandate",
        "issue",
        "one-case",
        "--as",
        "ada",
        "--key",
        str(world.key("ada")),
        "--yes",
        "--set",
        "case=4711",
    )
    shutil.rmtree(ledger)
    shutil.copytree(world.root / "older", ledger)
    found = json.loads(command("doctor", "--json", code=5).stdout)
    (fault,) = [one for one in found if one["state"] == "fault"]
    assert "replaced by an older copy" in fault["says"]
    assert "restore the complete ledger from a backup" in fault["advice"]
    assert "ledger verify" not in fault["advice"]


@pytest.mark.requirement("CLI-03")
def test_a_client_is_wrapped_and_unwrapped_byte_for_byte(world: World, command: Command) -> None:
    client = world.root / "client.json"
    before = '{"mcpServers": {"git": {"command": "git-server", "args": ["--stdio"]}}}\n'
    client.write_text(before)
    wrapped = command("mcp", "wrap", str(client), "--key", str(world.key("ada")))
    assert '"shim",' in wrapped.stdout
    entry = json.loads(client.read_text())["mcpServers"]["git"]
    assert entry["args"][:4] == ["mcp", "shim", "--server", "git"]
    assert "kind: Server" in (world.root / "client.json.servers.yaml").read_text()
    command("mcp", "wrap", str(client), "--key", "k", "--mandate", "m-2")
    assert json.loads(client.read_text())["mcpServers"]["git"]["args"][-1] == "m-2"
    command("mcp", "unwrap", str(client))
    assert client.read_text() == before
