"""The conversation of a command with the server's control socket: what goes over it, and what fails."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress

import pytest

from answerable.apps.cli import control_socket
from answerable.apps.cli.control import Control
from answerable.apps.cli.control_socket import ControlSocket, NoAnswerError
from answerable.errors import Broken, Unavailable
from tests.stand_ins.control_listener import answering, no_http, nothing, with_json

SHORT_SECONDS = 0.05


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


def half_an_answer(connected: socket.socket) -> None:
    connected.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"items"')


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


def test_a_socket_that_nobody_listens_on_any_more_is_told(tmp_path):
    with pytest.raises(NoAnswerError) as raised:
        ControlSocket(tmp_path / "control.sock").request("GET", "/v1/status", timeout=SHORT_SECONDS)
    assert (raised.value.failure, raised.value.is_late) == ("ConnectError", False)
