"""A bank as an MCP server over stdio, without a library, so that it starts at once. Run it with a path for its journal.

`read` writes nothing but a line, `pay` and `note` do what they are told, `prepare` and `execute` are one payment run in
two steps, and `wipe` is what nobody approves. Each call is a line of the journal, written before it is answered. Of
what is paid to `stuck before` and `stuck after` it says that it has come so far, and goes no further.
"""

import json
import os
import sys
import time
from pathlib import Path

JOURNAL = Path(sys.argv[1])
TEXT = {"type": "string"}
TOOLS = {
    "read": {"account": TEXT},
    "pay": {"account": TEXT, "amount": {"type": "integer"}, "to": TEXT},
    "note": {"account": TEXT, "text": TEXT},
    "prepare": {"to": TEXT},
    "execute": {"run": TEXT, "digest": TEXT},
    "tell": {"account": TEXT},
    "wipe": {"account": TEXT},
    **{f"spare{number}": {"account": TEXT} for number in range(6)},
}
READS = ("read", "tell", "prepare", *(f"spare{number}" for number in range(6)))


def offered(name):
    schema = {"type": "object", "properties": TOOLS[name], "required": [*TOOLS[name]]}
    hints = {"readOnlyHint": name in READS, "openWorldHint": False}
    return {"name": name, "inputSchema": schema, "annotations": hints}


def stuck(where):
    """Until whoever started it is gone."""
    started_by = os.getppid()
    JOURNAL.with_name(where).touch()
    while os.getppid() == started_by:
        time.sleep(0.01)
    sys.exit()


def called(name, arguments):
    if arguments.get("to") == "stuck before":
        stuck("stuck before")
    with JOURNAL.open("a") as journal:
        journal.write(json.dumps({"tool": name, **arguments}) + "\n")
    if arguments.get("to") == "stuck after":
        stuck("stuck after")
    if name == "prepare":
        run = {
            "run": f"run-{arguments['to']}",
            "currency": "EUR",
            "lines": [{"amount": 7000, "payee": arguments["to"]}],
        }
        return {
            "content": [{"type": "text", "text": json.dumps(run)}],
            "structuredContent": run,
            "isError": False,
        }
    return {"content": [{"type": "text", "text": f"{name}: done"}], "isError": False}


def answered(asked):
    match asked["method"]:
        case "initialize":
            return {
                "protocolVersion": asked["params"]["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "bank", "version": "1"},
            }
        case "tools/list":
            return {"tools": [offered(name) for name in TOOLS]}
        case "tools/call":
            return called(asked["params"]["name"], asked["params"].get("arguments", {}))
        case "ping":
            return {}
    return None


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message or "method" not in message:
        continue
    result = answered(message)
    unknown = {"error": {"code": -32601, "message": "no such method"}}
    said = unknown if result is None else {"result": result}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **said}), flush=True)
