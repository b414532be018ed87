"""Processes that race for one join token at the real door; run as a program: GATEWAY TOKEN-FILE COUNT.

Each is forked, has a key and a connection of its own, and waits at a line for all the others. It says what came of it:
the instance, or the code of the refusal. What was too much at a time is tried again, as an attacker would.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import anyio

from answerable.core.identity.keys.keys import SigningKey, new_private_jwk
from answerable.errors import AnswerableError
from answerable.sdk.enrolment import EnrolmentClient
from answerable.sdk.gateway_address import open_client

TRIES_MAX = 200
BUSY = ("enrolment.busy", "challenge.busy", "enrolment.unreachable")


async def raced(gateway: str, token: str, line: Callable[[], object]) -> str:
    key = SigningKey(new_private_jwk("ed25519", os.urandom(32)))
    http, url = open_client(gateway)
    async with http:
        client = EnrolmentClient(http, url)
        challenge = await client.challenge()
        line()
        for _ in range(TRIES_MAX):
            shown = {"type": "join_token", "token": token}
            try:
                found = await client.enrol(challenge, key=key, attestation=shown)
            except AnswerableError as error:
                if error.code not in BUSY:
                    return error.code
                await anyio.sleep(0.01)
                challenge = await client.challenge()
            else:
                return str(found.instance)
    return "never served"


def child(gateway: str, token: str, ready: int, start: int, told: int) -> None:
    def line() -> None:
        os.write(ready, b".")
        os.read(start, 1)

    code = anyio.run(raced, gateway, token, line)
    os.write(told, json.dumps({"pid": os.getpid(), "told": code}).encode() + b"\n")


def main(gateway: str, token_file: str, count: str) -> None:
    token = Path(token_file).read_text().strip()
    ready, start, told = os.pipe(), os.pipe(), os.pipe()
    # What libraries import when they are first used is read once, not by each of them.
    anyio.run(open_client(gateway)[0].aclose)
    children = []
    for _ in range(int(count)):
        pid = os.fork()
        if pid == 0:
            os.close(start[1])
            code = 1
            try:
                child(gateway, token, ready[1], start[0], told[1])
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(pid)
    os.close(told[1])
    os.close(ready[1])
    waiting = 0
    while waiting < len(children):
        came = os.read(ready[0], 4096)
        if not came:
            raise SystemExit("not everybody came to the line")
        waiting += len(came)
    # Closing it lets all of them go at once.
    os.close(start[1])
    with os.fdopen(told[0]) as lines:
        for line in lines:
            print(line, end="", flush=True)
    for pid in children:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
