"""Thieves of tokens and of proofs: copied, replayed, turned to another use, made ahead, dressed up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from answerable.adapters.replay_table import SharedReplayStore
from answerable.core.base64url import to_base64url
from answerable.errors import Unverified
from answerable.flows.tokens.verify_dpop import DpopLimits
from answerable.testing.entropy import SeededEntropy
from answerable.testing.registers import fresh_replay_store
from tests.probes import warm_starts
from tests.worlds.dpop import BODY, TARGET, TOKEN, URL, DpopWorld
from tests.worlds.proof import new_key

PROCESSES = 8
RACERS_IN_EACH = 8


@pytest.fixture
def world() -> DpopWorld:
    return DpopWorld()


@pytest.mark.requirement("DPOP-07")
def test_a_copied_token_is_worth_nothing_without_its_key(world: DpopWorld) -> None:
    world.verify()
    assert world.refused(world.headers(world.proof(world.thief))) == "dpop.binding"
    assert world.refused([(b"authorization", f"DPoP {TOKEN}".encode())]) == "dpop.malformed"
    for scheme in ("Bearer", "bearer", "BEARER", "Basic", "Token", "MAC"):
        assert world.refused(world.headers(scheme=scheme)) == "dpop.credential"
    assert (
        world.refused([*world.headers(), (b"authorization", f"Bearer {TOKEN}".encode())]) == "dpop.credential"
    )


@pytest.mark.requirement("DPOP-07")
def test_a_thief_cannot_put_his_own_key_under_the_holders_proof(world: DpopWorld) -> None:
    ours, theirs = world.proof().split("."), world.proof(world.thief).split(".")
    for parts in (
        (theirs[0], ours[1], ours[2]),
        (ours[0], theirs[1], theirs[2]),
        (ours[0], ours[1], theirs[2]),
        (theirs[0], ours[1], theirs[2]),
    ):
        assert world.refused(world.headers(".".join(parts))) in ("dpop.signature", "dpop.binding")


@pytest.mark.requirement("DPOP-07")
def test_a_proof_made_with_one_token_is_not_good_with_another_of_the_same_key(world: DpopWorld) -> None:
    stronger = TOKEN + "2"
    world.tokens[stronger] = world.holder.public.thumbprint
    assert world.refused(world.headers(world.proof(token=TOKEN), token=stronger)) == "dpop.token"
    assert world.refused(world.headers(world.proof(token=""), token=stronger)) == "dpop.token"
    world.verify(world.headers(world.proof(token=stronger), token=stronger))


@pytest.mark.requirement("DPOP-02", "DPOP-08")
def test_a_proof_for_one_request_is_not_good_for_another(world: DpopWorld) -> None:
    headers = world.headers()
    paid_more = BODY.replace(b'"amount":5', b'"amount":50000')
    assert world.refused(headers, body=paid_more) == "dpop.message"
    assert world.refused(headers, body=BODY + b" ") == "dpop.message"
    assert world.refused(headers, body=b"") == "dpop.message"
    assert world.refused(headers, method="DELETE") == "dpop.method"
    assert world.refused(headers, method="post") == "dpop.method"
    assert world.refused(headers, target=b"/mcp/payments") == "dpop.url"
    world.verify(headers)


@pytest.mark.requirement("DPOP-04")
@pytest.mark.parametrize(
    "target",
    [
        b"/mcp/crm?amount=50000",
        b"/mcp/crm?",
        b"/mcp/crm#x",
        b"/mcp/crm/",
        b"//mcp/crm",
        b"/mcp/%63rm",
        b"/mcp%2Fcrm",
        b"/mcp%2fcrm",
        b"/mcp/./crm",
        b"/x/../mcp/crm",
        b"/mcp/payments/%2e%2e/crm",
        b"/MCP/crm",
        b"https://gateway.example/mcp/crm",
        b"/mcp/crm\xff",
        b"*",
        b"",
    ],
)
def test_another_target_that_reads_like_the_one_in_the_proof_is_refused(
    world: DpopWorld, target: bytes
) -> None:
    assert world.refused(target=target) == "dpop.url"


@pytest.mark.requirement("DPOP-04")
@pytest.mark.parametrize(
    "target",
    [
        "/mcp/crm?amount=50000",
        "/mcp/crm?",
        "/mcp/crm#x",
        "/mcp/%63rm",
        "/mcp%2fcrm",
        "/mcp/./crm",
        "/x/../mcp/crm",
        "/mcp/payments/%2e%2e/crm",
    ],
)
def test_a_target_in_a_second_spelling_is_refused_even_to_a_proof_that_says_the_same(
    world: DpopWorld, target: str
) -> None:
    said = signed_as_is(world, {"htu": URL + target})
    assert world.refused(world.headers(said), target=target.encode()) == "dpop.url"


@pytest.mark.requirement("DPOP-04")
@pytest.mark.parametrize(
    "said",
    [
        "https://gateway.example@evil.example/mcp/crm",
        "https://u:p@gateway.example/mcp/crm",
        "https://gateway.example:8443/mcp/crm",
        "http://gateway.example/mcp/crm",
        "https://gateway.example.evil.example/mcp/crm",
        "https://gateway.example./mcp/crm",
        "https://gateway.example/mcp%2Fcrm",
        "https://gateway.example/mcp/crm/",
        "https://gateway.example/mcp/crm?x",
        "https://gateway.example/mcp/crm#x",
        "https://gateway.example/mcp\\crm",
        "https://gateway.example/mcp/crm%00",
        "//gateway.example/mcp/crm",
        "/mcp/crm",
    ],
)
def test_a_proof_for_a_url_that_only_resembles_ours_is_refused(world: DpopWorld, said: str) -> None:
    forged = signed_as_is(world, {"htu": said})
    assert world.refused(world.headers(forged)) == "dpop.url"


@pytest.mark.requirement("DPOP-04")
def test_no_field_of_a_message_says_what_we_are_called(world: DpopWorld) -> None:
    elsewhere = signed_as_is(world, {"htu": "https://evil.example/mcp/crm"})
    for name in (b"host", b"x-forwarded-host", b"x-forwarded-proto", b"forwarded", b"x-original-url"):
        headers = [field for field in world.headers(elsewhere) if field[0] != b"host"]
        for value in (b"evil.example", b"host=evil.example;proto=https", b"/mcp/crm"):
            assert world.refused([*headers, (name, value)]) == "dpop.url"
    honest = world.headers()
    world.verify([*honest, (b"x-forwarded-host", b"evil.example"), (b"x-forwarded-proto", b"gopher")])


@pytest.mark.requirement("DPOP-05")
def test_a_replayed_proof_is_refused_wherever_and_whenever_it_comes_again(world: DpopWorld) -> None:
    headers = world.headers()
    world.verify(headers)
    other_process = world.started()
    for seconds in (0, 1, 28, 20, 20, 60, 600):
        world.clock.advance(seconds)
        for verifier in (world.verifier, other_process):
            with pytest.raises(Unverified) as told:
                verifier.verify("POST", TARGET, headers, BODY)
            assert told.value.code in ("dpop.replay", "dpop.nonce")


@pytest.mark.requirement("DPOP-05")
def test_the_same_identifier_in_another_proof_is_a_replay_too(world: DpopWorld) -> None:
    world.verify(world.headers(world.proof(identifier="0123456789abcdef")))
    again = world.proof(
        identifier="0123456789abcdef", url=f"{URL}/mcp/payments", issued_at=world.clock.now() // 1000 + 1
    )
    assert world.refused(world.headers(again), target=b"/mcp/payments") == "dpop.replay"


@pytest.mark.requirement("DPOP-05")
def test_of_64_racing_threads_one_wins(world: DpopWorld) -> None:
    headers = world.headers()

    def attempt(_: int) -> str:
        try:
            world.verify(headers)
        except Unverified as error:
            return error.code
        return "accepted"

    with ThreadPoolExecutor(16) as pool:
        told = Counter(pool.map(attempt, range(64)))
    assert told == {"accepted": 1, "dpop.replay": 63}


RACING = """
import sys, threading
from pathlib import Path
from answerable.adapters.replay_table import SharedReplayStore
from answerable.errors import Unverified
from answerable.testing.entropy import SeededEntropy
from tests.worlds.dpop import BODY, TARGET, DpopWorld
world = DpopWorld()
verifier = world.started(store=SharedReplayStore.open(Path(sys.argv[1]), entropy=SeededEntropy(), at=0.0))
headers = world.headers(sys.argv[2])
told = []
print("ready", flush=True)
sys.stdin.readline()
def race():
    try:
        verifier.verify("POST", TARGET, headers, BODY)
    except Unverified as error:
        told.append(error.code)
    else:
        told.append("accepted")
racers = [threading.Thread(target=race) for _ in range(int(sys.argv[3]))]
for racer in racers: racer.start()
for racer in racers: racer.join()
print(*told, flush=True)
"""


@pytest.mark.requirement("DPOP-05")
def test_of_64_racers_in_eight_processes_one_wins(world: DpopWorld, tmp_path: Path) -> None:
    file = tmp_path / "proofs"
    store = SharedReplayStore.open(file, entropy=SeededEntropy(), at=0.0)
    nonce = world.started(store=store).nonce_field()[1].decode()
    proof = world.proof(nonce=nonce)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parents[2])])}
    children = [
        subprocess.Popen(
            [*warm_starts.program(RACING), str(file), proof, str(RACERS_IN_EACH)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        for _ in range(PROCESSES)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
    told = Counter(word for child in children for word in child.communicate(timeout=120)[0].decode().split())
    assert told == {"accepted": 1, "dpop.replay": PROCESSES * RACERS_IN_EACH - 1}


@pytest.mark.requirement("DPOP-05", "DPOP-06")
def test_a_proof_from_before_a_restart_that_forgot_is_refused_for_its_nonce(world: DpopWorld) -> None:
    used, unused = world.headers(), world.headers()
    world.verify(used)
    world.verifier = world.started(store=fresh_replay_store(world.entropy))
    assert world.refused(used) == "dpop.nonce"
    assert world.refused(unused) == "dpop.nonce"
    world.verify()


@pytest.mark.requirement("DPOP-05")
@pytest.mark.parametrize("back", [-1, -60, -86_400])
def test_a_clock_that_is_set_back_revives_no_proof(world: DpopWorld, back: float) -> None:
    headers = world.headers()
    world.verify(headers)
    world.clock.advance(200)
    for _ in range(3):
        world.verify()
    world.clock.jump(-200)
    assert world.refused(headers) == "dpop.nonce"
    world.clock.jump(back)
    assert world.refused(headers) == "dpop.nonce"


@pytest.mark.requirement("DPOP-06")
def test_proofs_made_ahead_end_with_their_nonce_whatever_time_they_claim(world: DpopWorld) -> None:
    nonce, now = world.nonce(), world.clock.now() // 1000
    ahead = [world.proof(issued_at=now + seconds, nonce=nonce) for seconds in (0, 30, 61, 120, 3_600)]
    world.clock.advance(61)
    for proof in ahead:
        assert world.refused(world.headers(proof)) == "dpop.nonce"
    for made_up in ("A" * 22, nonce[:-1] + "A", ""):
        assert world.refused(world.headers(world.proof(nonce=made_up))) == "dpop.nonce"


@pytest.mark.requirement("DPOP-06")
def test_a_nonce_of_another_server_is_not_good_here(world: DpopWorld) -> None:
    other = world.started(limits=DpopLimits(urls=frozenset({"https://other.example"})))
    nonce = other.nonce_field()[1].decode()
    assert world.refused(world.headers(world.proof(nonce=nonce))) == "dpop.nonce"


@pytest.mark.requirement("DPOP-02")
@pytest.mark.parametrize("off", [-61, 61, -86_400, 10**9])
def test_a_proof_of_another_time_is_refused(world: DpopWorld, off: int) -> None:
    now = world.clock.now() // 1000
    assert world.refused(world.headers(world.proof(issued_at=now + off))) == "dpop.time"
    world.verify(world.headers(world.proof(issued_at=now + (60 if off > 0 else -60))))


@pytest.mark.requirement("DPOP-09")
def test_forged_and_stolen_proofs_use_up_nothing(world: DpopWorld) -> None:
    world.store = fresh_replay_store(partitions_max=1, uses_per_partition_max=1)
    world.verifier = world.started()
    honest = world.headers()
    for _ in range(5):
        forged = honest[2][1].decode().rpartition(".")[0] + "." + "A" * 86
        assert world.refused(world.headers(forged)) == "dpop.signature"
        assert world.refused(world.headers(world.proof(world.thief))) == "dpop.binding"
    world.verify(honest)


@pytest.mark.requirement("DPOP-09")
def test_one_client_that_sends_too_much_is_refused_alone(world: DpopWorld) -> None:
    world.store = fresh_replay_store(uses_per_partition_max=3)
    world.verifier = world.started()
    other = new_key("other")
    world.tokens["other"] = other.public.thumbprint
    first = world.headers()
    world.verify(first)
    for _ in range(2):
        world.verify()
    assert world.refused() == "dpop.quota"
    assert world.refused(first) == "dpop.replay"
    world.verify(world.headers(world.proof(other, token="other"), token="other"))
    world.clock.advance(61)
    world.verify()


@pytest.mark.requirement("DPOP-02")
def test_what_is_too_large_is_refused_unread(world: DpopWorld) -> None:
    assert world.refused(world.headers("A" * 1_000_000)) == "dpop.malformed"
    assert world.refused(world.headers(world.proof() + "." * 5_000)) == "dpop.malformed"
    assert world.refused(world.headers(token="a" * 20_000)) == "dpop.credential"
    assert world.refused(world.headers(world.proof()), target=b"/" + b"a" * 5_000) == "dpop.url"


def signed_as_is(world: DpopWorld, changes: dict[str, Any]) -> str:
    """A proof by the true holder of claims that our own maker would not write."""
    header, payload, _ = world.proof().split(".")
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4))) | changes
    text = f"{header}.{to_base64url(json.dumps(claims).encode())}"
    return f"{text}.{to_base64url(world.holder.sign(text.encode()))}"
