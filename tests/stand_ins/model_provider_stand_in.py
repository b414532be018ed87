"""A stand-in for providers of language models, on loopback: speaks both chat APIs, streams, counts what it is asked.

It is no model: it writes as many words as it is told, and a word is a token. It can misbehave as a test says.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODELS = ("small-1", "large-1", "other-1")


@dataclass
class StandIn:
    """words: of each answer, at most what was asked for. ignores_limit: writes them all nevertheless. repeats: put into
    every answer. breaks_after: words after which the connection is lost. counts: whether it says what was used. gate:
    waited for before each word."""

    key: str
    words: int = 20
    ignores_limit: bool = False
    repeats: str = ""
    breaks_after: int | None = None
    counts: bool = True
    fails: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    written: int = 0
    url: str = ""

    def lets(self, headers: dict[str, str]) -> bool:
        return headers.get("authorization") == f"Bearer {self.key}" or headers.get("x-api-key") == self.key

    def answer(self, body: dict[str, Any]) -> list[str]:
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or 10
        number = self.words if self.ignores_limit else min(self.words, limit)
        words = [f"word{one} " for one in range(number)]
        if self.repeats:
            # In halves, as a stream would part it.
            half = len(self.repeats) // 2
            words[1:1] = [self.repeats[:half], self.repeats[half:] + " "]
        return words


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: StandIn

    def do_GET(self) -> None:
        self.provider.asked.append((self.path, self._headers(), {}))
        if not self.provider.lets(self._headers()):
            return self._json(401, {"error": {"message": "wrong key"}})
        return self._json(200, {"object": "list", "data": [{"id": name} for name in MODELS]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        provider, headers = self.provider, self._headers()
        provider.asked.append((self.path, headers, body))
        if not provider.lets(headers):
            return self._json(401, {"error": {"message": f"wrong key, got {headers}"}})
        if provider.fails:
            return self._json(provider.fails, {"error": {"message": f"no: {headers}"}})
        if body["model"] not in MODELS:
            return self._json(404, {"error": {"message": "no such model"}})
        speaks = _OpenAI if self.path.endswith("/chat/completions") else _Anthropic
        if not speaks.is_good(body, headers):
            return self._json(400, {"error": {"message": "bad request"}})
        words = provider.answer(body)
        read = sum(len(json.dumps(one).split()) for one in body["messages"])
        if not body.get("stream"):
            provider.written += len(words)
            return self._json(200, speaks.whole(body, words, read if provider.counts else None))
        return self._stream(speaks.events(body, words, read if provider.counts else None))

    def _stream(self, events: Iterator[tuple[bool, str]]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("request-id", f"req-{len(self.provider.asked)}")
        self.end_headers()
        written = 0
        with contextlib.suppress(OSError):
            for is_word, text in events:
                if is_word:
                    self.provider.gate.wait(20)
                    if written == self.provider.breaks_after:
                        self.close_connection = True
                        return
                    written += 1
                    self.provider.written += 1
                octets = text.encode()
                self.wfile.write(f"{len(octets):x}\r\n".encode() + octets + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

    def _json(self, status: int, found: Any) -> None:
        octets = json.dumps(found).encode()
        self.send_response(status)
        for name, value in (
            ("content-type", "application/json"),
            ("content-length", str(len(octets))),
            ("request-id", f"req-{len(self.provider.asked)}"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(octets)

    def _headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


class _OpenAI:
    @staticmethod
    def is_good(body: dict[str, Any], headers: dict[str, str]) -> bool:
        return "max_completion_tokens" in body or "max_tokens" in body

    @staticmethod
    def whole(body: dict[str, Any], words: list[str], read: int | None) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(words)}
        if body.get("tools"):
            name = body["tools"][0]["function"]["name"]
            message["tool_calls"] = [
                {
                    "id": "call-1",
                    "type": "function",
                    "function": {"name": name, "arguments": '{"city":"Ulm"}'},
                }
            ]
        found = {
            "id": "chatcmpl-1",
            "model": body["model"] + "-2026-01-01",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
        return found | ({"usage": _OpenAI.usage(read, len(words))} if read is not None else {})

    @staticmethod
    def usage(read: int, written: int) -> dict[str, int]:
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}

    @staticmethod
    def events(body: dict[str, Any], words: list[str], read: int | None) -> Iterator[tuple[bool, str]]:
        def chunk(delta: Any, finish: str | None = None, **more: Any) -> str:
            choices = [{"index": 0, "delta": delta, "finish_reason": finish}] if delta is not None else []
            return (
                "data: "
                + json.dumps({"id": "chatcmpl-1", "model": body["model"], "choices": choices, **more})
                + "\n\n"
            )

        yield False, chunk({"role": "assistant", "content": ""})
        for word in words:
            yield True, chunk({"content": word})
        if body.get("tools"):
            name = body["tools"][0]["function"]["name"]
            yield (
                False,
                chunk(
                    {
                        "tool_calls": [
                            {"index": 0, "id": "call-1", "function": {"name": name, "arguments": ""}}
                        ]
                    }
                ),
            )
            yield False, chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]})
            yield False, chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"Ulm"}'}}]})
        yield False, chunk({}, "stop")
        if read is not None:
            yield False, chunk(None, usage=_OpenAI.usage(read, len(words)))
        yield False, "data: [DONE]\n\n"


class _Anthropic:
    @staticmethod
    def is_good(body: dict[str, Any], headers: dict[str, str]) -> bool:
        roles = {one["role"] for one in body["messages"]}
        return "max_tokens" in body and "anthropic-version" in headers and roles <= {"user", "assistant"}

    @staticmethod
    def whole(body: dict[str, Any], words: list[str], read: int | None) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": "".join(words)}]
        if body.get("tools"):
            content.append(
                {
                    "type": "tool_use",
                    "id": "call-1",
                    "name": body["tools"][0]["name"],
                    "input": {"city": "Ulm"},
                }
            )
        found = {"id": "msg-1", "model": body["model"], "content": content, "stop_reason": "end_turn"}
        return found | (
            {"usage": {"input_tokens": read, "output_tokens": len(words)}} if read is not None else {}
        )

    @staticmethod
    def events(body: dict[str, Any], words: list[str], read: int | None) -> Iterator[tuple[bool, str]]:
        def event(kind: str, **more: Any) -> str:
            return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n"

        usage = {"usage": {"input_tokens": read, "output_tokens": 1}} if read is not None else {}
        yield (
            False,
            event("message_start", message={"id": "msg-1", "model": body["model"], "content": [], **usage}),
        )
        yield False, event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        yield False, event("ping")
        for word in words:
            yield True, event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        yield False, event("content_block_stop", index=0)
        if body.get("tools"):
            block = {"type": "tool_use", "id": "call-1", "name": body["tools"][0]["name"], "input": {}}
            yield False, event("content_block_start", index=1, content_block=block)
            for part in ('{"city":', '"Ulm"}'):
                yield (
                    False,
                    event(
                        "content_block_delta",
                        index=1,
                        delta={"type": "input_json_delta", "partial_json": part},
                    ),
                )
            yield False, event("content_block_stop", index=1)
        done = {"usage": {"output_tokens": len(words)}} if read is not None else {}
        yield False, event("message_delta", delta={"stop_reason": "end_turn"}, **done)
        yield False, event("message_stop")


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller who leaves in the middle is what some tests want."""


@contextlib.contextmanager
def deputy_validity(key: str) -> Iterator[StandIn]:
    provider = StandIn(key)
    provider.gate.set()
    door = type("Door", (_Door,), {"provider": provider})
    with _Listener(("127.0.0.1", 0), door) as listener:
        provider.url = f"http://127.0.0.1:{listener.server_port}/v1"
        thread = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            provider.gate.set()
            listener.shutdown()
            thread.join(5)
