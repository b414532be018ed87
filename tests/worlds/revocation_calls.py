"""Revoking as a person does it, through the control API and at the command line, and what must come back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from answerable.errors import Refused


async def revoke_everything(client: Any) -> None:
    """Through the control API, after an agent has read one case. client: calls operations by their id."""
    said = {"kind": "agent", "name": "support-agent", "reason": "its key was seen elsewhere"}
    stopped = await client("revoke", said)
    assert (stopped["new"], stopped["revocation"]["by"]) == (True, f"uid:{os.geteuid()}")
    assert [(one["capability"], one["undoing"]) for one in stopped["done"]] == [("crm.read", "read")]
    again = await client("revoke", {"kind": "agent", "name": "support-agent"})
    assert (again["new"], again["revocation"]) == (False, stopped["revocation"])
    assert (await client("list_revocations"))["items"] == [stopped["revocation"]]
    refused = await client("revoke", {"kind": "everything", "name": "x"}, status=400)
    assert refused["code"] == "revocation.kind"


def revoke_and_tell(applied: Any, mandate: str, act: Callable[[], Any]) -> None:
    """At the command line, with `act` done under the mandate before. applied: runs commands."""
    assert anyio.run(act).outcome.status == "succeeded"
    assert applied("revoke", "mandate", mandate, code=1).stderr.endswith("add --yes\n")
    told = applied("revoke", "mandate", mandate, "--reason", "case closed", "--yes")
    assert "no further action under it is started" in told.stderr
    assert f"stopped  mandate   {mandate}" in told.stdout
    assert "succeeded at" in told.stdout
    assert "reads: 1" in told.stderr
    with pytest.raises(Refused) as refused:
        anyio.run(act)
    assert refused.value.code == "revoked.mandate"
    (listed,) = json.loads(applied("mandate", "list", "--state", "revoked", "--json").stdout)
    assert listed["id"] == mandate
    assert "was already revoked" in applied("revoke", "mandate", mandate, "--yes").stderr
    assert "case closed" in applied("revoke", "--list").stdout
    assert "cannot be revoked" in applied("revoke", "everything", "x", "--yes", code=1).stderr
    assert "KIND and NAME" in applied("revoke", "agent", code=2).stderr
