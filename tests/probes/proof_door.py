"""A small real door for tests: verifies every request, opens sessions, and answers who called."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from answerable.core.identity.proof.channel import CHANNEL_EXTENSION
from answerable.core.identity.proof.http_signature import request_from_http
from answerable.core.identity.proof.session import SESSION_TARGET
from answerable.errors import Unverified

if TYPE_CHECKING:
    from answerable.flows.tokens.verify_caller import CallerVerifier


class ProofDoor:
    """ASGI. `seen` holds what each verified request said, `refused` the steps that failed; `verifier` may be swapped,
    as by a restart."""

    def __init__(self, verifier: CallerVerifier, *, sessions: bool = True) -> None:
        self.verifier = verifier
        self.sessions = sessions
        self.seen: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self.lifespan: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                kind = (await receive())["type"]
                self.lifespan.append(kind)
                await send({"type": f"{kind}.complete"})
                if kind == "lifespan.shutdown":
                    return
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        status, headers, answer = self._answer(scope, body)
        headers.append((b"content-length", str(len(answer)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, scope: Any, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        channel = scope["extensions"][CHANNEL_EXTENSION]
        try:
            message = request_from_http(scope["method"], target, scope["headers"], body)
            if target == SESSION_TARGET:
                if not self.sessions:
                    return 404, [], b""
                return 200, [], self.verifier.open_session(message).answer
            caller = self.verifier.verify(message, channel)
        except Unverified as error:
            self.refused.append(error.step)
            challenge = self.verifier.challenge(error.step).encode()
            return 401, [(b"www-authenticate", challenge)], b""
        said = {
            "agent": caller.agent,
            "proof": caller.proof,
            "sequence": caller.sequence,
            "binding": caller.binding,
            "mandate": message.mandate_id,
            "headers": len(scope["headers"]),
        }
        self.seen.append(said)
        return 200, [(b"content-type", b"application/json")], json.dumps(said).encode()
