"""Stands for a Python program forked elsewhere: `python -I -S tests/stand_ins/warm_stub.py SOCKET PROGRAM WORD…`.

For those that start programs by their name: shells, and pages of the documents. It ends as the program ends, hands on
the signals that ask for an end, and if it is killed the program is killed. See `tests/probes/warm_python.py`.
"""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import sys
from contextlib import suppress

HANDED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(place: str, *words: str) -> None:
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    door.connect(place)
    umask = os.umask(0)
    os.umask(umask)
    given = {
        "words": words,
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "session": False,
        "group": os.getpgid(0),
        "umask": umask,
        "limits": [],
        "twice": False,
    }
    # Until there is somebody to hand them on to, they wait.
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDED_ON)
    streams = array.array("i", (0, 1, 2)).tobytes()
    door.sendmsg([json.dumps(given).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    process = int(door.recv(100) or b"-1")
    if process < 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDED_ON)
        os.execv(words[0], words)  # noqa: S606

    def hand_on(number: int, _: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(process, number)

    for one in HANDED_ON:
        signal.signal(one, hand_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDED_ON)
    # Whoever reads what we were given must see its end when the program closes it.
    for number in range(3):
        os.close(number)
    code = int(door.recv(100) or b"1")
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
