"""Mark failures of our own transports, which pass through the SDK as JSON-RPC errors, so that no server can imitate
them.

In the SDK, a failed HTTP exchange ends the whole session and with it all other calls to that upstream. Our transports
therefore answer only the failed call, with an error that carries a secret of this process.
"""

from __future__ import annotations

import json
import secrets
from typing import Final, Literal

Mark = Literal["not_sent", "unknown"]

ERROR_CODE: Final = -32603
_SECRET: Final = secrets.token_hex(16)


def marked(mark: Mark) -> dict[str, str]:
    """Return the `data` member of a marked error."""
    return {"mark": mark, "secret": _SECRET}


def error_body(mark: Mark, message: str) -> bytes:
    """Return a marked error as an HTTP body; it answers whichever request it is returned for."""
    error = {"code": ERROR_CODE, "message": message, "data": marked(mark)}
    return json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()


def mark_of(data: object) -> Mark | None:
    """Return the mark of our own failure in an error's data; None for an error of the server."""
    if not isinstance(data, dict) or data.get("secret") != _SECRET:
        return None
    return "not_sent" if data.get("mark") == "not_sent" else "unknown"
