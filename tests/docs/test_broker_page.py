"""The page of the wire between gateway and broker against the code: the example verifies, and every member is there."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from answerable.apps.broker import control
from answerable.core.identity.keys.keys import public_key
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease import use, wire
from answerable.core.lease.lease import LEASE_ENDS, LEASE_STATES, Lease
from answerable.core.lease.name import lease_name
from answerable.core.ledger import warrant_token
from answerable.core.ledger.warrant_token import verified_warrant
from answerable.errors import Unverified
from answerable.ports.lease_register import CHANGES_MAX
from reference import declared_codes
from tests.probes.named_codes import named_codes

pytestmark = pytest.mark.requirement("BROKER-21")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/wire/broker.md").read_text()
JSON = [json.loads(text) for text in re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)]
CALL, DONE, KEY, HEADER, CLAIMS = JSON
TOKEN = "".join(re.findall(r"```text\n(.*?)\n```", PAGE, re.DOTALL)[0].split())


def rows(section: str) -> dict[str, str]:
    """First cells of the table of a section, each with the rest of its line."""
    told = PAGE.partition(f"\n{section}\n")[2].partition("\n##")[0]
    return dict(re.findall(r"^\| (`[^|]*`) \| (.*) \|$", told, re.MULTILINE))


def named(cells: str) -> set[str]:
    return set(re.findall(r"`([\w.]+)`", cells))


def test_the_example_is_a_warrant_of_the_call_beside_it():
    key = public_key(KEY)
    assert {"alg": "Ed25519", "kid": key.thumbprint, "typ": warrant_token.WARRANT_TYP} == HEADER
    warrant = verified_warrant(TOKEN, broker="broker", keys=[key], now=UnixMillis(CLAIMS["deadline_ms"] - 1))
    params = CALL["params"]
    assert warrant.is_about(tool=params["name"], arguments=params["arguments"])
    assert not warrant.is_about(
        tool=params["name"], arguments={**params["arguments"], "parameters": ["4712"]}
    )
    assert (warrant.lease.name, warrant.lease.window) == (
        lease_name(bytes.fromhex(CLAIMS["action"])), "action",
    )  # fmt: skip
    assert {name: value for name, value in CLAIMS.items() if name in ("iss", "aud", "intent", "tier")} == {
        "iss": warrant.log, "aud": warrant.broker, "intent": warrant.intent, "tier": warrant.tier,
    }  # fmt: skip
    assert [list(one) for one in warrant.under] == CLAIMS["under"]
    for late in (CLAIMS["deadline_ms"], CLAIMS["deadline_ms"] + 1):
        with pytest.raises(Unverified, match="has expired"):
            verified_warrant(TOKEN, broker="broker", keys=[key], now=UnixMillis(late))


def test_every_claim_has_a_row():
    assert named("".join(rows("## The warrant"))) == set(CLAIMS)


def test_names_of_members_and_limits_are_those_of_the_code():
    assert list(CALL["params"]["_meta"]) == [wire.WARRANT_META]
    assert list(DONE["_meta"]) == [wire.DONE_META]
    assert use.checked_use(DONE["_meta"][wire.DONE_META]["used"]) is not None
    assert f"at most {use.RECORDED_MAX} together" in PAGE
    assert f"`{wire.EFFECT_DATA}`" in PAGE
    assert f"`{wire.RETRY_DATA}`" in PAGE
    for number in (
        wire.BODY_BYTES_MAX,
        wire.NAMES_MAX,
        wire.LISTED_MAX,
        CHANGES_MAX,
        warrant_token.UNDER_MAX,
    ):
        assert str(number) in PAGE
    assert f"at most {wire.WAIT_SECONDS_MAX:g}" in PAGE
    assert f"`{wire.MCP_PATH}TARGET`" in PAGE
    assert f"`{wire.CONTROL_PATH}NAME`" in PAGE


def test_every_question_has_a_row_with_its_members():
    told = {cell.strip("`"): rest for cell, rest in rows("## Control").items()}
    asked = {
        "end": control.End, "recall": control.Recall, "changes": control.Changes,
        "leases": control.Listing, "targets": control.Nothing, "strays": control.Nothing,
        "rights": control.Rights, "narrow": control.Narrow,
    }  # fmt: skip
    assert set(told) >= set(asked)
    for name, kind in asked.items():
        members = told[name].split(" | ")[0]
        assert named(members) >= set(kind.__struct_fields__), name


def test_every_member_of_a_lease_is_there_and_every_state():
    told = PAGE.partition("### A lease\n")[2]
    assert named(told) >= {one.name for one in fields(Lease)}
    assert named(told) >= {*LEASE_STATES, *filter(None, LEASE_ENDS)}


def test_every_code_is_raised_somewhere_and_those_of_the_broker_are_all_there():
    told = named("".join(rows("## A tool call")))
    assert told - {"code"} <= {code.id for _, _, code in declared_codes()}
    broker = [*(ROOT / "src/answerable/apps/broker").glob("*.py")]
    broker += [
        ROOT / "src/answerable/flows/leases" / name for name in ("lease_credential.py", "perform_leased.py")
    ]
    unsaid = {"broker.too_many", "http.left"}
    assert named_codes(*broker) - told == unsaid, "one is of the control, one is for who has left"
