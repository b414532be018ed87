"""Tokens, instances and leases that were ended while the registers took nothing stay so after a kill, with room."""

from __future__ import annotations

import json
import signal
import zlib
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from answerable.core.mandate.delegation_chain import split_chain
from answerable.core.mandate.hop_token import read_hop
from tests.probes.full_disk import fill, make_room
from tests.seams.life import Life, life
from tests.seams.rows_authority import Hops, Instances, Leases

pytestmark = pytest.mark.requirement("FULLDISK-12")
ENDS = (
    "token",
    "token under a mandate",
    "agent",
    "lease of a closed mandate",
    "lease of a revoked mandate",
)


def claims(token: str) -> Any:
    payload = token.split(".")[1]
    return json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def is_listed_as_ended(one: Life, chain: str) -> bool:
    """By the status list, which is all that a verifier elsewhere has."""
    place = claims(split_chain(chain)[-1])["status"]["status_list"]
    answer = one.gateway.get(urlsplit(place["uri"]).path)
    assert answer.status_code == 200, answer.text
    array = zlib.decompress(urlsafe_b64decode(claims(answer.text)["status_list"]["lst"] + "=="))
    return bool(array[place["idx"] // 8] >> place["idx"] % 8 & 1)


@pytest.fixture(scope="module")
def lived() -> Iterator[Life]:
    """said: what each end was answered on the full disk."""
    with life(disk="small") as one:
        hops, instances = one.kept.setdefault("hops", {}), one.kept.setdefault("instances", {})
        Hops().begin(one, hops)
        below = one.kept.setdefault("below", {})
        Hops().begin(one, below)
        Instances().begin(one, instances)
        leases = one.kept["leases"] = {}
        for name in ("closed", "revoked"):
            before = frozenset(one.login.live)
            mandate = one.mandate()
            assert Leases.case(one, mandate) == "ok"
            (token,) = one.login.live - before
            leases[name] = (mandate, token)
        work = hops["mandate"]
        fill(one.home.data)
        one.until(lambda: "no action begins" in one.home.said, "word of the full disk")
        ends = (
            ("/v1/revocations", {"kind": "token", "name": read_hop(split_chain(hops["chains"][0])[-1]).jti}),
            (f"/v1/mandates/{below['mandate']}/close", {}),
            ("/v1/revocations", {"kind": "agent", "name": "scout"}),
            (f"/v1/mandates/{leases['closed'][0]}/close", {}),
            ("/v1/revocations", {"kind": "mandate", "name": leases["revoked"][0]}),
        )
        # A sub-agent, which none of the others needs: what ends an instance takes room, what stops it does not.
        below_it = instances["below"]
        one.kept["instance"] = {
            "end": one.asked("POST", "/v1/instances/end", {"instance": below_it}),
            "stop": one.asked("POST", "/v1/holds", {"kind": "instance", "name": below_it}),
        }
        said = {name: one.asked("POST", *end) for name, end in zip(ENDS, ends, strict=True)}
        one.stop(signal.SIGKILL)
        make_room(one.home.data)
        one.start()
        one.until(lambda: one.reads("worker", work) == "ok", "an action")
        one.kept["said"] = said
        yield one


@pytest.mark.parametrize("name", ENDS)
def test_it_was_told_as_ended_and_on_record(lived: Life, name: str) -> None:
    status, answer = lived.kept["said"][name]
    assert (status, answer["code"]) == (503, "register.behind"), answer
    assert "in the ledger, so that a restart keeps it" in answer["detail"]


@pytest.mark.requirement("FULLDISK-13")
def test_the_end_of_an_instance_that_was_not_kept_names_the_stop_that_is(lived: Life) -> None:
    told = lived.kept["instance"]
    status, answer = told["end"]
    assert (status, answer["code"], answer["effect"]) == (503, "register.unavailable", "unknown"), answer
    assert "`answerable stop" in answer["detail"]
    assert "--kind instance" in answer["detail"]
    assert "`answerable panic`" in answer["detail"]
    status, answer = told["stop"]
    assert (status, answer["code"]) == (503, "register.behind"), answer
    assert "in the ledger, so that a restart keeps it" in answer["detail"]


@pytest.mark.parametrize("row", ["hops", "below"])
def test_a_token_stays_ended_here_and_in_the_status_list(lived: Life, row: str) -> None:
    kept = lived.kept[row]
    ended, other = kept["chains"]
    assert Hops.acted(lived, kept, ended) == "refused"
    assert is_listed_as_ended(lived, ended)
    # What was not ended stands: of the closed mandate nothing does.
    assert is_listed_as_ended(lived, other) == (row == "below")


def test_an_instance_stays_ended(lived: Life) -> None:
    """Of an agent that was revoked: refused, and not listed as one that lives."""
    kept = lived.kept["instances"]
    for name in ("scout", "scout-2"):
        assert lived.reads(name, kept["mandate"]) in ("revoked.agent", "proof.key")
    assert kept["below"] not in [one["id"] for one in lived.items("/v1/instances")]


@pytest.mark.parametrize("name", ["closed", "revoked"])
def test_a_lease_is_taken_back_at_its_target(lived: Life, name: str) -> None:
    mandate, token = lived.kept["leases"][name]
    lived.until(lambda: token in lived.login.ended, "the credential to be taken back")
    assert Leases.case(lived, mandate) != "ok"
    assert mandate not in [one["mandate"] for one in lived.items("/v1/leases") if one["state"] == "issued"]


@pytest.mark.requirement("FULLDISK-11")
def test_without_a_server_the_full_disk_is_named_with_what_to_do_and_panic_takes_what_was_kept_ready(
    lived: Life,
) -> None:
    """Last: the server is gone afterwards."""
    lived.stop()
    fill(lived.home.data)
    said = lived.command("stop", "asker", "--kind", "agent", "--no-wait", code=1)
    for part in (
        "nothing was ended",
        "bytes are left on its disk",
        "nothing acts through it",
        "answerable panic",
    ):
        assert part in " ".join(said.split()), said
    assert "bytes are left on its disk" in lived.command("up", code=1)
    lived.command("panic", "--reason", "the disk is full")
    make_room(lived.home.data)
    lived.start()
    assert lived.reads("worker", lived.kept["hops"]["mandate"]) == "held.everything"
