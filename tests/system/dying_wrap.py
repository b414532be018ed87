"""`answerable mcp wrap` or `unwrap` that is killed right before its Nth step on the disk, as by `kill -9`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

left = int(sys.argv[1])


def counted(step: Callable[..., Any]) -> Callable[..., Any]:
    def taken(*args: Any, **named: Any) -> Any:
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*args, **named)

    return taken


from answerable.apps.mcp_shim import client_files  # noqa: E402
from answerable.apps.mcp_shim.client_config import ShimCommand  # noqa: E402

for name in ("open", "fdopen", "fsync", "fchmod", "replace", "unlink", "mkdir"):
    setattr(os, name, counted(getattr(os, name)))
Path.replace = counted(Path.replace)
Path.unlink = counted(Path.unlink)
file = Path(sys.argv[3])
if sys.argv[2] == "unwrap":
    client_files.unwrap(file)
else:
    shim = ShimCommand(gateway="http://127.0.0.1:8765", key="agent.jwk", mandate=sys.argv[2])
    client_files.wrap(file, shim, documents=file.with_name("servers.yaml"))
