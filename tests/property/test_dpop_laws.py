"""Laws of DPoP: one spelling of a URL, and no use that is new twice, whatever is asked of a store and in what order."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.adapters.replay_table import SharedReplayStore
from answerable.core.identity.names.target_url import normal_url
from answerable.core.identity.proof.dpop import check_signature, dpop_proof, read_proof
from answerable.core.identity.proof.dpop_nonce import ServerNonces
from answerable.errors import Malformed, Unverified
from answerable.testing.contracts.replay_store import digest, partition
from answerable.testing.entropy import SeededEntropy
from tests.worlds.proof import new_key

SEGMENTS = st.lists(
    st.sampled_from(
        ["a", ".", "..", "", "%2e", "%2E%2e", "%2f", "%2F", "%41", "%7e", "~", "a%20b", ";x=1", "%"]
    ),
    max_size=6,
)


@pytest.mark.requirement("DPOP-04")
@given(
    st.sampled_from(["http", "HTTPS", "https", "ftp"]),
    st.sampled_from(["h", "H.example", "[::1]", "u@h", "h%41", ""]),
    st.sampled_from(["", ":", ":80", ":443", ":8443", ":0", ":080", ":70000"]),
    SEGMENTS,
)
def test_a_normal_url_is_its_own_normal_form_and_has_no_dots(
    scheme: str, host: str, port: str, segments: list[str]
) -> None:
    try:
        normal = normal_url(f"{scheme}://{host}{port}" + "".join(f"/{segment}" for segment in segments))
    except Malformed:
        return
    assert normal_url(normal) == normal
    assert not {".", ".."} & set(normal.split("/"))
    assert normal == normal_url(normal.replace("http", "HTTP", 1))


@pytest.mark.requirement("DPOP-02")
@given(st.data())
def test_a_proof_with_one_character_changed_is_never_accepted(data: st.DataObject) -> None:
    key = new_key("law", data.draw(st.sampled_from(["ed25519", "ecdsa-p256-sha256"])))
    text = dpop_proof(key, method="POST", url="https://h/a", identifier="0123456789abcdef", issued_at=1)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(max_codepoint=0x100).filter(lambda character: character != text[place]))
    with pytest.raises(Unverified):
        check_signature(
            read_proof(text[:place] + other + text[place + 1 :]), thumbprint=key.public.thumbprint
        )


@pytest.mark.requirement("DPOP-06")
@given(st.integers(5, 300), st.floats(0, 1e9), st.floats(0, 1e3))
def test_a_nonce_is_good_from_now_for_at_least_one_bucket_and_at_most_two(
    seconds: int, at: float, later: float
) -> None:
    nonces = ServerNonces(bytes(32), server="s", bucket_seconds=seconds)
    until = nonces.until(nonces.current(at), at + later)
    if later < seconds - 1e-6:
        assert until is not None
        assert at < until <= at + 2 * seconds + 1e-6
    elif later > 2 * seconds:
        assert until is None


USES = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 3), st.integers(0, 4), st.integers(-3, 3), st.booleans()),
    max_size=60,
)


@pytest.mark.requirement("DPOP-05", "DPOP-09")
@given(USES)
def test_no_use_is_new_twice_before_its_time_in_whatever_order_late_and_early_ones_come(
    uses: list[tuple[int, int, int, int, bool]],
) -> None:
    with tempfile.TemporaryDirectory() as place:

        def opened() -> SharedReplayStore:
            return SharedReplayStore.open(
                Path(place) / "t", entropy=SeededEntropy(), at=0.0, partitions_max=2, uses_per_partition_max=3
            )

        tables = (opened(), opened())
        accepted: dict[tuple[int, int], list[tuple[float, float]]] = {}
        clock = 100
        for by, number, passed, late, which in uses:
            clock += passed
            # Whoever asks may have read its clock a little while ago, and asks for what a nonce of then ends with.
            at = float(clock - max(0, late))
            until = (at // 5 + 2) * 5
            if tables[which].accept(partition(by), digest(number), until=until, at=at) == "new":
                earlier = accepted.setdefault((by, number), [])
                # The same proof carries the same nonce, so it asks for the same end.
                assert until not in [end for _, end in earlier], "the very same proof was new twice"
                earlier.append((at, until))
        for table in tables:
            table.close()
