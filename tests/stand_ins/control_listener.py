"""Whoever listens on a control socket in the place of the server, and what it answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


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


def nothing(connected: socket.socket) -> None:
    connected.shutdown(socket.SHUT_RDWR)


def no_http(connected: socket.socket) -> None:
    connected.sendall(b"hello\r\n\r\n")
