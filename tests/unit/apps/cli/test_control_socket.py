"""The conversation of a command with the server's control socket: what goes over it, what fails, what it needs."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from answerable.apps.cli import control_socket
from answerable.apps.cli.control import Control
from answerable.apps.cli.control_socket import ControlSocket, NoAnswerError
from answerable.errors import Broken, Unavailable

EMPTY = b'{"items":[],"next":null}'
SHORT_SECONDS = 0.05


@contextmanager
def answering(
    path: Path, answer: Callable[[socket.socket], None], *, is_read_whole: bool = True
) -> Iterator[list[bytes]]:
    """Whoever connects is handed to `answer`, once it has said something, or all of it."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connected, _ = listener.accept()
                except OSError:
                    return
                with connected:
                    said = connected.recv(65_536)
                    while is_read_whole and said and not _is_whole(said):
                        said += connected.recv(65_536)
                    if said:
                        heard.append(said)
                        answer(connected)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _is_whole(said: bytes) -> bool:
    head, _, body = said.partition(b"\r\n\r\n")
    length = next((one for one in head.split(b"\r\n") if one.startswith(b"Content-Length:")), b": 0")
    return len(body) >= int(length.partition(b":")[2])


def with_json(body: bytes) -> Callable[[socket.socket], None]:
    return lambda connected: connected.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        % (len(body), body)
    )


def test_what_is_asked_for_arrives_as_it_was_said(tmp_path):
    path = tmp_path / "control.sock"
    with answering(path, with_json(b'{"ok":true}')) as heard:
        control = Control(ControlSocket(path).request)
        assert control.get("/v1/agents/a%2Fb", limit="5", name="ä b") == {"ok": True}
        assert control.post("/v1/holds", {"reason": "it deletes “mail”"}) == {"ok": True}
    asked, changed = [one.partition(b"\r\n\r\n") for one in heard]
    assert asked[0].startswith(b"GET /v1/agents/a%2Fb?limit=5&name=%C3%A4+b HTTP/1.1\r\nHost: answerable\r\n")
    assert changed[0].startswith(b"POST /v1/holds HTTP/1.1\r\n")
    assert b"Content-Type: application/json" in changed[0]
    assert json.loads(changed[2]) == {"reason": "it deletes “mail”"}


def test_who_is_answered_before_all_was_read_has_the_answer(tmp_path):
    path = tmp_path / "control.sock"
    with answering(path, with_json(b'{"ok":false}'), is_read_whole=False):
        control = Control(ControlSocket(path).request)
        assert control.post("/v1/documents", {"text": "x" * 5_000_000}) == {"ok": False}


def nothing(connected: socket.socket) -> None:
    connected.shutdown(socket.SHUT_RDWR)


def half_an_answer(connected: socket.socket) -> None:
    connected.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"items"')


def no_http(connected: socket.socket) -> None:
    connected.sendall(b"hello\r\n\r\n")


@pytest.mark.parametrize("answer", [nothing, half_an_answer, no_http])
def test_an_answer_that_is_not_whole_is_none_and_a_change_may_be_done(tmp_path, answer):
    path = tmp_path / "control.sock"
    with answering(path, answer):
        control = Control(ControlSocket(path).request)
        with pytest.raises(Unavailable) as asked:
            control.get("/v1/status")
        with pytest.raises(Unavailable) as changed:
            control.post("/v1/holds", {})
    assert (asked.value.code, asked.value.effect) == ("control.no_answer", "none")
    assert asked.value.message.startswith("the server did not answer (RemoteProtocolError): ")
    assert changed.value.effect == "unknown"


@pytest.mark.parametrize("body", [b"hello", b"[" * 100_000, b"{}x"])
def test_what_is_no_answer_of_ours_is_told_as_that(tmp_path, body):
    path = tmp_path / "control.sock"
    with answering(path, with_json(body)):
        control = Control(ControlSocket(path).request)
        with pytest.raises(Broken) as raised:
            control.get("/v1/status")
    assert raised.value.code == "control.answer"
    assert "another program or release listens on its socket" in raised.value.message
    assert "answerable panic" in raised.value.message


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


def test_an_answer_without_an_end_is_not_read_to_it(tmp_path, monkeypatch):
    monkeypatch.setattr(control_socket, "ANSWER_BYTES_MAX", 1_000)
    path = tmp_path / "control.sock"

    def endless(connected: socket.socket) -> None:
        connected.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(OSError):
            while True:
                connected.sendall(b" " * 1_000)

    with answering(path, endless), pytest.raises(NoAnswerError) as raised:
        ControlSocket(path).request("GET", "/v1/status", timeout=60)
    assert raised.value.failure == "AnswerTooLarge"


def test_a_server_that_says_nothing_is_late(tmp_path):
    path, over = tmp_path / "control.sock", threading.Event()
    with answering(path, lambda _: over.wait() or None):
        with pytest.raises(NoAnswerError) as raised:
            ControlSocket(path).request("GET", "/v1/status", timeout=SHORT_SECONDS)
        over.set()
    assert raised.value.is_late


def test_an_answer_that_comes_in_pieces_is_late_too(tmp_path):
    path, over = tmp_path / "control.sock", threading.Event()

    def trickling(connected: socket.socket) -> None:
        connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        with suppress(OSError):
            while not over.wait(SHORT_SECONDS / 10):
                connected.sendall(b" ")

    with answering(path, trickling):
        with pytest.raises(NoAnswerError) as raised:
            ControlSocket(path).request("GET", "/v1/status", timeout=SHORT_SECONDS)
        over.set()
    assert raised.value.is_late


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


def test_a_socket_that_nobody_listens_on_any_more_is_told(tmp_path):
    with pytest.raises(NoAnswerError) as raised:
        ControlSocket(tmp_path / "control.sock").request("GET", "/v1/status", timeout=SHORT_SECONDS)
    assert (raised.value.failure, raised.value.is_late) == ("ConnectError", False)


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
