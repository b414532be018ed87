"""Open, note on and close an incident by the control API, and ask the index for it."""

from __future__ import annotations

import os
from typing import Any

from answerable.core.incident.incident_statement import IncidentChange, incident_claims
from answerable.sdk.keyfile import load_key
from answerable.sdk.signing import signed_incident
from tests.worlds.control import Product, World


async def use_incidents(bare: Any, client: Any, product: Product, world: World) -> None:
    """bare: of a server without an index, which records what is signed and tells nothing."""

    def said(change: IncidentChange, **more: Any) -> dict[str, str]:
        claims = incident_claims(
            "bela",
            product.walk.recorder.ledger.origin,
            "it is odd",
            at=product.walk.clock.now(),
            random=os.urandom(16),
            change=change,
            **more,
        )
        return {"token": signed_incident(claims, key=load_key(world.key("bela")))}

    done = await bare("open_incident", said("opened", kind="agent", name="support-agent", since_ms=1))
    of = {"incident": done["incident"], "entry": done["entry"]}
    note = said("noted", **of, classes=["personal-data"], question=1)
    assert (await bare("note_incident", note, status=400, id="inc_other"))["code"] == "incident.malformed"
    assert (await bare("note_incident", {"token": "x"}, status=400, id="x"))["code"] == "incident.malformed"
    await bare("note_incident", note, id=done["incident"])
    await bare("close_incident", said("closed", **of), id=done["incident"])
    for operation, named in (("list_incidents", {}), ("show_incident", {"id": done["incident"]})):
        assert (await bare(operation, status=503, **named))["code"] == "search.off"
    shown = await client("show_incident", id=done["incident"])
    assert (shown["incident"]["state"], len(shown["notes"]), len(shown["actions"])) == ("closed", 3, 1)
    assert (await client("list_incidents"))["items"] == [shown["incident"]]
    assert (await client("show_incident", status=404, id="inc_none"))["code"] == "incident.unknown"
