"""Push devices of a person, and the files that make the console an installable web application."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from answerable.apps.console.desk import answer_json, see_other
from answerable.apps.console.guard import HEADERS
from answerable.apps.console.pages import asset, asset_path
from answerable.errors.codes.services import REQUEST_BODY
from answerable.flows.approval.notify_device import devices_of, forget_device, notify_device, push_side

if TYPE_CHECKING:
    from answerable.apps.console.desk import Asked

WORKER: Final = "worker.js"
_QUIET: Final = {**HEADERS, "content-security-policy": "default-src 'none'; frame-ancestors 'none'"}


async def devices(asked: Asked) -> Response:
    """List the person's devices that receive notifications."""
    _, person = asked.who
    reach = asked.walk.asking.reach
    return asked.page(
        "devices.html",
        devices=await devices_of(asked.walk.asking.reach, person.name),
        on=reach is not None and reach.push is not None,
    )


async def begin(asked: Asked) -> Response:
    """Return the server's public push key, with which the browser subscribes."""
    await asked.members(signed_in=True)
    asked.require_fresh()
    return answer_json({"key": push_side(asked.walk.asking.reach).key})


async def add(asked: Asked) -> Response:
    """Notify this device from now on."""
    members = await asked.members(signed_in=True)
    asked.require_fresh()
    _, person = asked.who
    given = {name: members.get(name) for name in ("endpoint", "key", "secret", "label")}
    texts = {name: value for name, value in given.items() if isinstance(value, str)}
    if texts.keys() != given.keys() or members.keys() != given.keys():
        raise REQUEST_BODY("expected the texts endpoint, key, secret and label")
    device = await notify_device(asked.walk.asking.reach, asked.walk.clock, person=person.name, **texts)
    return answer_json({"id": device.id})


async def remove(asked: Asked) -> Response:
    """Stop notifying one of the person's devices."""
    fields = await asked.form()
    # A stolen cookie alone must not suffice to silence a person's notifications.
    asked.require_fresh()
    _, person = asked.who
    await forget_device(asked.walk.asking.reach, person=person.name, device=fields.get("id", ""))
    return see_other("/devices")


async def worker(asked: Asked) -> Response:
    """Return the service worker script that handles push messages; it contains no personal data."""
    del asked
    content, _, _ = asset(WORKER)
    return Response(content, media_type="text/javascript; charset=utf-8", headers=_QUIET)


async def manifest(asked: Asked) -> Response:
    """Return the web application manifest (W3C Web Application Manifest)."""
    del asked
    said = {
        "name": "Answerable",
        "short_name": "Answerable",
        "start_url": "/approvals",
        "scope": "/",
        "display": "standalone",
        "icons": [{"src": asset_path("icon.svg"), "sizes": "any", "type": "image/svg+xml"}],
    }
    return Response(json.dumps(said), media_type="application/manifest+json", headers=_QUIET)
