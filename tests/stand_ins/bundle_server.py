"""Our bundle endpoint on loopback, as the product would mount it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio
from anyio import to_thread

from answerable.adapters.bundle_http import LiveTLS
from answerable.adapters.uvicorn_front import serve
from answerable.apps.bundle_endpoint import BundleServices, bundle_endpoint_app
from answerable.core.identity.svid.trust_bundle import encoded_bundle

RUN_SECONDS_MAX = 60


class OurEndpoint:
    """bundle: what is served; may be replaced. tls: what it is served with."""

    def __init__(self, bundle):
        self.bundle = bundle
        self.tls = LiveTLS()
        self.port = 0

    def url(self, path="/bundle.json"):
        return f"https://127.0.0.1:{self.port}{path}"

    @asynccontextmanager
    async def open(self):
        needs = BundleServices(
            document=lambda: encoded_bundle(self.bundle),
            refresh_hint_seconds=lambda: self.bundle.refresh_hint or 300,
        )
        ready, stop = anyio.Event(), anyio.Event()

        def started(listeners):
            self.port = listeners.tcp_address[1]
            ready.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(
                partial(
                    serve,
                    cast("Any", bundle_endpoint_app(needs)),
                    tcp=("127.0.0.1", 0),
                    context=self.tls.context,
                    started=started,
                    stop=stop,
                )
            )
            await ready.wait()
            try:
                yield self
            finally:
                stop.set()


async def ran(*command, given=""):
    """One run of a program of others, in an environment without our Python's settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}

    def run():
        return subprocess.run(
            [str(part) for part in command],
            env=kept,
            input=given,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS_MAX,
            check=False,
        )

    return await to_thread.run_sync(run)


async def read_by_py_spiffe(document, domain):
    """What the Python `spiffe` library reads from a bundle document, in a process of its own."""
    done = await ran(
        sys.executable, Path(__file__).parents[1] / "interop/in_py_spiffe.py", domain, given=document
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
