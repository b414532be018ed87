"""The examples that RFC 9449 prints, through our own reader: proofs of figures 2 and 13, thumbprint of figure 9."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.identity.proof.dpop import check_proof, check_signature, read_proof, token_digest
from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import Unverified

pytestmark = pytest.mark.requirement("DPOP-01")

HEADER = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0Rs"
    "cEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
)
FIGURE_2 = (
    f"{HEADER}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2"
    "VuIiwiaWF0IjoxNTYyMjYyNjE2fQ."
    "2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)
FIGURE_13 = (
    f"{HEADER}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm"
    "90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFby"
    "J9."
    "2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)
THUMBPRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
TOKEN_DIGEST = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


def test_the_proof_for_a_token_request_verifies() -> None:
    proof = read_proof(FIGURE_2)
    check_proof(
        proof,
        method="POST",
        urls=("https://server.example.com/token",),
        now=UnixMillis(1_562_262_616_000),
        skew_seconds_max=60,
        token=None,
    )
    check_signature(proof, thumbprint=None)
    assert (proof.key.thumbprint, proof.identifier) == (THUMBPRINT, "-BwC3ESc6acc2lTc")


def test_the_proof_for_a_resource_request_verifies_with_its_token_and_no_other() -> None:
    assert token_digest(TOKEN) == TOKEN_DIGEST
    proof = read_proof(FIGURE_13)
    expected: dict[str, Any] = {
        "method": "GET",
        "urls": ("https://resource.example.org/protectedresource",),
        "now": UnixMillis(1_562_262_618_000),
        "skew_seconds_max": 60,
    }
    check_proof(proof, token=TOKEN, **expected)
    check_signature(proof, thumbprint=THUMBPRINT)
    with pytest.raises(Unverified) as told:
        check_proof(proof, token=TOKEN[:-1], **expected)
    assert told.value.code == "dpop.token"


def test_a_proof_put_together_from_both_does_not_verify() -> None:
    mixed = read_proof(FIGURE_2.rpartition(".")[0] + "." + FIGURE_13.rpartition(".")[2])
    with pytest.raises(Unverified) as told:
        check_signature(mixed, thumbprint=THUMBPRINT)
    assert told.value.code == "dpop.signature"
