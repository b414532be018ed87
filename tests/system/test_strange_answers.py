"""Commands at a control socket on which something else listens than our server: what they say, and that they end."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stand_ins.control_listener import answering, no_http, nothing, with_json

EMPTY = b'{"items":[],"next":null}'


def told(data: Path, *words: str) -> tuple[int, str]:
    """Exit code and standard error of a command whose server is whoever listens there."""
    line = [sys.executable, "-m", "answerable.main", "--data", str(data), *words]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def failing(body: bytes) -> Callable[[socket.socket], None]:
    head = b"HTTP/1.1 500 No\r\nContent-Length: %d\r\n\r\n"
    return lambda connected: connected.sendall(head % len(body) + body)


PANIC = "`answerable panic` holds everything at once and needs no answer of a server"
STRANGE_ANSWERS = {
    "list": with_json(b"[]"),
    "empty": with_json(b"{}"),
    "no JSON": with_json(b"hello"),
    "a number": with_json(b'{"hold":7,"revocation":7,"id":[]}'),
    "an empty hold": with_json(b'{"hold":{},"report":null}'),
    "a hold of another kind": with_json(
        b'{"hold":{"id":"h","kind":"odd","name":"x","at":"x","expires_at":null},"new":true,"report":null,"recorded":1}'
    ),
    "no problem": failing(b"{}"),
    "a problem of others": failing(b'{"code":"odd","detail":"well"}'),
    "an internal error": failing(
        b'{"code":"control.failed","branch":"broken","detail":"internal error: see the server\'s log"}'
    ),
}


@pytest.mark.requirement("STOP-12")
@pytest.mark.parametrize("answer", STRANGE_ANSWERS)
def test_a_stop_says_that_the_hold_may_be_in_force_whatever_answers(tmp_path, answer):
    with answering(tmp_path / "control.sock", STRANGE_ANSWERS[answer]):
        code, said = told(tmp_path, "stop", "scout")
    assert code == 1
    assert "the hold may or may not be in force" in said
    assert said.count(PANIC) == 1
    assert "within 10 s" not in said


@pytest.mark.requirement("STOP-12")
@pytest.mark.parametrize("answer", [nothing, no_http])
def test_a_stop_says_within_how_long_only_where_the_time_ran_out(tmp_path, answer):
    with answering(tmp_path / "control.sock", answer):
        code, said = told(tmp_path, "stop", "scout")
    assert code == 1
    assert said.startswith(
        "answerable: the server did not answer (RemoteProtocolError): the hold may or may not "
    )
    assert PANIC in said


ENDS = {
    ("revoke", "agent", "scout", "--yes"): "the revocation may or may not be in force",
    ("mandate", "close", "m-1", "--yes"): "the mandate may still be open",
    ("agent", "suspend", "scout", "--yes"): "the agent may still act",
    ("agent", "retire", "scout", "--yes"): "the agent may still act",
    ("agent", "end", "i-1", "--yes"): "the instance may still act",
    ("lease", "end", "shop-db"): "the leases may still be live",
    ("trust", "remove", "a-1", "--yes"): "what the authority signed may still count",
    ("person", "remove-passkey", "k-1", "--yes"): "the passkey may still count",
    ("duty", "end", "d-1", "--yes"): "the delegation of duty may still count",
}


@pytest.mark.requirement("STOP-12")
@pytest.mark.parametrize("answer", ["list", "empty"])
@pytest.mark.parametrize("words", ENDS, ids=" ".join)
def test_whatever_ends_authority_says_what_may_be_in_force_and_names_the_panic(tmp_path, words, answer):
    with answering(tmp_path / "control.sock", STRANGE_ANSWERS[answer]):
        code, said = told(tmp_path, *words)
    assert code == 1
    assert f"; {ENDS[words]}: {PANIC}" in said
    assert said.count(PANIC) == 1


@pytest.mark.requirement("STOP-12")
@pytest.mark.parametrize("answer", ["list", "empty", "no JSON", "a number", "no problem"])
def test_doctor_goes_on_to_its_table_whatever_answers(tmp_path, answer):
    tmp_path.chmod(0o700)
    with answering(tmp_path / "control.sock", STRANGE_ANSWERS[answer]):
        line = [sys.executable, "-m", "answerable.main", "--data", str(tmp_path), "doctor", "--json"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (5, False), done.stderr
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert found["data directory"]["state"] == "ok"
    assert found["product"]["state"] == "fault"
    assert "another program or release listens on its socket" in found["product"]["says"]


@pytest.mark.requirement("STOP-06")
@pytest.mark.parametrize("body", [b"hello", b"{}", b'{"items":[{}]}', b'{"items":7}', b'{"items":["ab"]}'])
def test_a_press_is_done_whatever_answers(tmp_path, body):
    tmp_path.chmod(0o700)
    with answering(tmp_path / "control.sock", with_json(body)):
        command = [sys.executable, "-m", "answerable.main", "--data", str(tmp_path), "panic"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert "no server has answered" in done.stderr
    assert (tmp_path / "panic").exists()


POSSIBLE = {"at": "", "registry": "", "withheld": 0, "unfollowed": 0, "is_offered": True}
WAY = {"agent": "scout", "by": [], "conditions": [], "effect": "depends", "mandates": []}
REPLAYED = {"counts": {}, "next": None, "reading": False, "size": 0}
ODD_MEMBERS = [
    (("could", "scout", "crm.read"), {**POSSIBLE, "agents": [7]}),
    (("could", "scout", "crm.read"), {**POSSIBLE, "agents": [{"agent": "scout", "by": 7}]}),
    (("could", "scout", "crm.read"), {**POSSIBLE, "agents": [{**WAY, "by": None}]}),
    (("could", "scout", "crm.read"), {**POSSIBLE, "agents": [{**WAY, "also": [{"by": []}]}]}),
    (("can", "crm.read", "--json"), {**POSSIBLE, "agents": [{**WAY, "effect": 7}]}),
    (("decision", "replay", "--all"), {**REPLAYED, "told": [{"index": 1}]}),
    (("policy", "suggest"), {"rules": [{"document": 7}], "entries": 0, "size": 0}),
]


@pytest.mark.requirement("WORDS-15")
@pytest.mark.parametrize(("words", "answer"), ODD_MEMBERS)
def test_an_answer_whose_inner_members_are_not_ours_is_told_as_that(tmp_path, words, answer):
    with answering(tmp_path / "control.sock", with_json(json.dumps(answer).encode())):
        code, said = told(tmp_path, *words)
    assert code == 1
    assert "another program or release listens on its socket" in said


@pytest.mark.requirement("WORDS-15")
@pytest.mark.parametrize("body", [b"{}", b'{"items":[{}],"next":null}'])
@pytest.mark.parametrize(
    "words", [["hold", "list"], ["agent", "list"], ["ledger", "status"], ["mandate", "list"]]
)
def test_an_answer_without_what_a_command_asks_for_is_told_and_no_traceback(tmp_path, words, body):
    with answering(tmp_path / "control.sock", with_json(body)):
        command = [sys.executable, "-m", "answerable.main", "--data", str(tmp_path), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert re.search(r"the server's answer has no `\w+`: another program or release listens", done.stderr)


@pytest.mark.requirement("HOUSE-35")
@pytest.mark.parametrize("words", [["approval", "list"], ["agent", "instances", "--agent", "reporter"]])
def test_a_command_at_a_running_server_imports_no_client_no_cryptography_and_no_event_loop(tmp_path, words):
    script = (
        "import atexit, sys; from answerable.main import run\n"
        "heavy = {'httpx2', 'anyio', 'asyncio', 'cryptography', 'joserfc', 'mcp', 'cedarpy', 'pydantic'}\n"
        "atexit.register(lambda: print(sorted(heavy & set(sys.modules)), file=sys.stderr))\n"
        "run()\n"
    )
    with answering(tmp_path / "control.sock", with_json(EMPTY)):
        command = [sys.executable, "-c", script, "--data", str(tmp_path), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "[]"), done.stderr
