"""An MCP server over stdio that behaves as badly as it is asked to. Standard library only, one thread a call.

Run: `python hostile_upstream.py DIRECTORY`. Each call leaves a line in DIRECTORY/calls, each cancellation one in
DIRECTORY/cancelled, each start one in DIRECTORY/starts.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

HOME = Path(sys.argv[1])
# Made here, so that no file holds a string that a scanner of repositories would report.
SECRET = "gh" + "p_" + "a1B2" * 9
NAMES = [
    "echo", "crash", "hang", "garbage", "slow", "huge", "error", "failing", "big_integer", "bad_result", "printing",
    "closed_error", "deep", "asks_input", "surrogate",
]  # fmt: skip
OPEN = {
    "type": "object",
    "properties": {"value": {}, "seconds": {"type": "number"}, "bytes": {"type": "integer"}},
}
LOCK = threading.Lock()


def note(name, line):
    with LOCK, (HOME / name).open("a") as file:
        file.write(line + "\n")


def send(message):
    raw(json.dumps(message))


def raw(text):
    with LOCK:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def answer(request, result):
    send({"jsonrpc": "2.0", "id": request["id"], "result": result})


def text(content, **more):
    return {"content": [{"type": "text", "text": content}], **more}


def call(request):
    params = request["params"]
    name, arguments = params["name"], params.get("arguments") or {}
    note("calls", json.dumps({"name": name, "arguments": arguments, "meta": params.get("_meta")}))
    identifier = request["id"]
    if name == "echo":
        answer(request, text(json.dumps(arguments, sort_keys=True), structuredContent=arguments))
    elif name == "crash":
        os._exit(1)
    elif name == "hang":
        time.sleep(60)
    elif name == "garbage":
        raw("this is no JSON \x00 {")
        raw(f'{{"jsonrpc": "2.0", "id": {identifier}, "result": 7}}')
    elif name == "slow":
        token = (params.get("_meta") or {}).get("progressToken")
        for step in range(4):
            time.sleep(arguments.get("seconds", 0.4) / 4)
            if token is not None:
                message = f"step {step + 1} with {SECRET}"
                step_params = {
                    "progressToken": token, "progress": step + 1, "total": 4, "message": message
                }  # fmt: skip
                send({"jsonrpc": "2.0", "method": "notifications/progress", "params": step_params})
        answer(request, text("done"))
    elif name == "huge":
        answer(request, text("x" * arguments.get("bytes", 20_000_000)))
    elif name == "error":
        send({"jsonrpc": "2.0", "id": identifier, "error": {"code": -32603, "message": "the disk is full"}})
    elif name == "closed_error":
        send(
            {"jsonrpc": "2.0", "id": identifier, "error": {"code": -32000, "message": "something went wrong"}}
        )
    elif name == "failing":
        answer(request, text("no such case", isError=True))
    elif name == "big_integer":
        answer(request, text("ok", structuredContent={"n": 2**70}))
    elif name == "bad_result":
        answer(request, {"content": "not a list"})
    elif name == "deep":
        nested = '{"a":' * 100 + "1" + "}" * 100
        raw(f'{{"jsonrpc":"2.0","id":{identifier},"result":{{"content":[],"structuredContent":{nested}}}}}')
    elif name == "asks_input":
        answer(request, {"resultType": "input_required", "inputRequests": {}, "requestState": "s"})
    elif name == "surrogate":
        raw(
            f'{{"jsonrpc":"2.0","id":{identifier},"result":{{"content":[{{"type":"text","text":"\\ud800"}}]}}}}'
        )
    elif name == "printing":
        print("Hello from a server that prints", flush=True)
        print("warning: " + "w" * 5_000, file=sys.stderr, flush=True)
        answer(request, text("printed"))


def react(request):
    method = request["method"]
    if method == "initialize":
        answer(
            request,
            {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {"listChanged": True}},
                "serverInfo": {"name": "hostile", "version": "1"},
            },
        )
    elif method == "tools/list":
        names = (HOME / "names").read_text().split("\n") if (HOME / "names").exists() else NAMES
        answer(request, {"tools": [{"name": name, "inputSchema": OPEN} for name in names]})
    elif method == "tools/call":
        threading.Thread(target=call, args=(request,), daemon=True).start()
    elif method == "notifications/cancelled":
        note("cancelled", str(request["params"].get("requestId")))
    elif "id" in request:
        send(
            {"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "Method not found"}}
        )


note("starts", str(os.getpid()))
for line in sys.stdin:
    react(json.loads(line))
