"""Requests with a lease, beside the bare requests that they are made of, by the same HTTP library.

`./dev bench leases_http [--json] [--leases N]`. An API in a process of its own; tokens are asked of the certified
`oidc-provider` and taken back there, where it is installed. Bare means: the same requests on connections made as ours
are, one for the API each time, one that is kept for the authorization server.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import httpx2  # noqa: E402
from lease_course import in_turns, run  # noqa: E402

from answerable.adapters.http_target.kind import HttpTargetSettings, built  # noqa: E402
from answerable.core.lease.credential import LeaseOrder  # noqa: E402
from answerable.targets.kind import BuiltTarget  # noqa: E402
from node_packages import OIDC_PROVIDER  # noqa: E402
from tests.stand_ins.authorization_server import OPAQUE, SECRET, AuthorizationServer, authorization_server  # noqa: E402
from tests.stand_ins.resource_server import Seen, resource_server  # noqa: E402
from tests.worlds.http_target import CANARY, KEYED, READ, SECRETS, oauth_settings, order, world  # noqa: E402

AT_ONCE: Final = 64
PATH: Final = "/cases/7"


def anybody(seen: Seen) -> str:
    return "read:case"


def serve(told: Connection) -> None:
    with resource_server(anybody) as api:
        told.send(api.url)
        told.recv()


@contextmanager
def api_elsewhere() -> Iterator[str]:
    """In a process of its own, so that its work is not counted as ours."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        here.send(None)
        process.join(5)
        process.terminate()


async def bare_request(url: str, headers: dict[str, str]) -> None:
    async with httpx2.AsyncHTTPTransport(verify=False, trust_env=False) as transport:
        response = await transport.handle_async_request(httpx2.Request("GET", url + PATH, headers=headers))
        json.loads(await response.aread())
        await response.aclose()


async def leased(target: BuiltTarget, wanted: LeaseOrder) -> None:
    """Issue, act, revoke: what one action costs."""
    credential = await target.issuer.issue(wanted)
    async with target.target.connected(credential) as session:
        done = await session.perform("read", {"path": PATH}, tag=wanted.name, seconds_max=10)
    assert done.result["isError"] is False
    assert (await target.issuer.revoke(wanted.name)).is_gone


async def with_standing_key(url: str, count: int) -> dict[str, object]:
    settings = HttpTargetSettings(
        base_url=url,
        auth="api_key_header",
        secret="file:key",  # noqa: S106 - a reference
        secret_name="x-key",  # noqa: S106 - a header
    )
    target = built(settings, world(SECRETS))
    return await in_turns(
        count,
        action=(
            lambda _: bare_request(url, {"x-key": CANARY}),
            lambda number: leased(target, order(number + 1, scope=KEYED)),
        ),
    )


async def with_token(
    url: str, server: AuthorizationServer, count: int, *, tokens_file: str = ""
) -> dict[str, object]:
    settings = oauth_settings(server, tokens_file=tokens_file)
    settings = HttpTargetSettings(**{**_members(settings), "base_url": url})
    target = built(settings, world(SECRETS))
    client = httpx2.AsyncClient(trust_env=False)
    auth = ("broker", SECRET.replace(" ", "+"))

    async def bare(number: int) -> None:
        form = {"grant_type": "client_credentials", "scope": "read:case", "resource": OPAQUE}
        answer = await client.post(server.token_url, data=form, auth=auth)
        token = answer.json()["access_token"]
        await bare_request(url, {"authorization": f"Bearer {token}"})
        (await client.post(server.revocation_url, data={"token": token}, auth=auth)).raise_for_status()

    found = await in_turns(count, action=(bare, lambda number: leased(target, order(number + 1, scope=READ))))
    started = time.perf_counter()
    await asyncio.gather(*(leased(target, order(10_000 + number, scope=READ)) for number in range(AT_ONCE)))
    found["at_once"] = {"leases": AT_ONCE, "seconds": round(time.perf_counter() - started, 2)}
    await client.aclose()
    return found


def _members(settings: HttpTargetSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__slots__}


async def measured(count: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with api_elsewhere() as url:
        found["standing_key"] = await with_standing_key(url, count)
        if OIDC_PROVIDER.is_ready():
            with authorization_server() as server, tempfile.TemporaryDirectory() as folder:
                found["token"] = await with_token(url, server, count)
                kept = str(Path(folder) / "tokens")
                found["token_with_names_on_disk"] = await with_token(url, server, count, tokens_file=kept)
        else:
            found["not_measured"] = "tokens: ./dev verifiers installs oidc-provider"
    return found


def main() -> None:
    run(__doc__, measured)


if __name__ == "__main__":
    main()
