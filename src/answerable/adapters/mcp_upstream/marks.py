"""Faults that our own transports report through the SDK as JSON-RPC errors, told apart from anything a server can say.

The SDK lets a failed HTTP exchange end a whole session, and with it the calls of everybody else on that upstream. So
the transports here answer the one call instead, with an error that carries a secret of this process.
"""

from __future__ import annotations

import json
import secrets
from typing import Final, Literal

Mark = Literal["not_sent", "unknown"]

ERROR_CODE: Final = -32603
_SECRET: Final = secrets.token_hex(16)


def marked(mark: Mark) -> dict[str, str]:
    """The `data` member of such an error."""
    return {"mark": mark, "secret": _SECRET}


def error_body(mark: Mark, message: str) -> bytes:
    """Such an error as the body of an HTTP answer, to whatever request it answers."""
    error = {"code": ERROR_CODE, "message": message, "data": marked(mark)}
    return json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()


def mark_of(data: object) -> Mark | None:
    """Which of our own faults an error's data stands for, None when a server made it."""
    if not isinstance(data, dict) or data.get("secret") != _SECRET:
        return None
    return "not_sent" if data.get("mark") == "not_sent" else "unknown"
