"""The test vectors of the Token Status List draft: every list is read as it says, and ours are read the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from answerable.core.canonical import parse
from answerable.core.identity.keys.compact_jws import check_compact, read_compact
from answerable.core.identity.keys.keys import public_key
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.status_list import STATUS_LIST_TYP, StatusList, packed, status_list_in, unpacked
from answerable.errors.codes.mandate import STATUS_ALGORITHM, STATUS_MALFORMED, STATUS_SIGNATURE

pytestmark = pytest.mark.requirement("REVOKE-09")

LISTS = 6


def vectors(vector_set: Callable[[str], Path]) -> dict[str, Any]:
    found = json.loads((vector_set("oauth-status-list") / "vectors.json").read_text())
    assert isinstance(found, dict)
    return found


def test_every_list_says_of_every_place_what_the_vector_says(vector_set: Callable[[str], Path]) -> None:
    lists = vectors(vector_set)["status_lists"]
    assert len(lists) == LISTS
    for one in lists:
        found = unpacked({"bits": one["bits"], "lst": one["lst"]})
        assert found.size == one["size"], one["name"]
        said = {int(index): status for index, status in one["statuses"].items()}
        assert {index: found.status(index) for index in said} == said, one["name"]
        others = sum(1 for index in range(0, found.size, 977) if index not in said and found.status(index))
        assert others == 0, one["name"]
        # What we pack is read back as the same list.
        assert unpacked(packed(found)) == StatusList(bits=one["bits"], statuses=found.statuses)


def test_the_signed_list_verifies_and_is_read(vector_set: Callable[[str], Path]) -> None:
    tokens = vectors(vector_set)["tokens"]
    jwk = {
        name: value for name, value in tokens["verification_key"].items() if name in ("kty", "crv", "x", "y")
    }
    jws = read_compact(tokens["jwt_compact"], malformed=STATUS_MALFORMED)
    assert jws.header["typ"] == STATUS_LIST_TYP
    check_compact(jws, public_key(jwk), algorithm=STATUS_ALGORITHM, signature=STATUS_SIGNATURE)
    claims = parse(jws.payload)
    assert isinstance(claims, dict)
    uri = "https://example.com/statuslists/1"
    found = status_list_in(claims, uri=uri, now=UnixMillis(1_700_000_000_000))
    assert (found.ttl, found.expires_at, found.statuses.size) == (43_200, 2_291_720_170, 16)
    assert [index for index in range(16) if found.statuses.status(index)] == [0, 3, 4, 5, 7, 8, 9, 13, 15]
