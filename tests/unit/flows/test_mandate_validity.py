"""What was given counts only while those who gave it still may: keys and groups are asked for at every action."""

from __future__ import annotations

import json
from typing import Any

import pytest

from answerable.core.canonical import parse
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.validity.mandate_validity import is_signed_by
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.samples import signing_key
from tests.worlds.parts import to_apply

pytestmark = [pytest.mark.anyio]


def changed(name: str, **spec: object) -> list[Any]:
    """The bench's documents with one principal changed."""
    documents = json.loads(json.dumps(bench_documents()))
    for document in documents:
        if document["kind"] == "Principal" and document["metadata"]["name"] == name:
            document["spec"] |= spec
    return documents


async def refused(bench: Bench) -> str:
    with pytest.raises(Refused) as no:
        await bench.act()
    assert no.value.entry_index is not None
    return no.value.code


@pytest.mark.requirement("WALK-09")
async def test_a_mandate_ends_with_the_key_that_signed_it():
    bench = await Bench().registered()
    await bench.issue()
    await bench.act()
    fresh = parse(signing_key("alice, after the theft").public.jwk.encode())
    await apply_registry(*to_apply(bench.walk), changed("alice", keys=[fresh]), by="operator")
    assert await refused(bench) == "mandate.issuer_key"


@pytest.mark.requirement("WALK-11")
@pytest.mark.parametrize(
    "lost",
    [
        {"groups": []},
        {"keys": [parse(signing_key("somebody else's").public.jwk.encode())]},
    ],
)
async def test_an_approval_counts_only_while_its_approver_is_entitled_to_it(lost):
    bench = await Bench().registered()
    await bench.issue()
    waiting = (await bench.refund(6000)).approval
    assert waiting is not None
    assert (await bench.answer(waiting)).state == "approved"
    await apply_registry(*to_apply(bench.walk), changed("bob", **lost), by="operator")
    again = await bench.refund(6000)
    assert again.outcome is None
    assert bench.entries(Tag.INTENT) == []


@pytest.mark.requirement("WALK-05")
async def test_what_was_refused_is_kept_by_digest_and_beginning_when_it_is_large():
    bench = await Bench().registered()
    await bench.issue()
    with pytest.raises(Refused) as no:
        await bench.act("get_case", {"case": "4711", "junk": "a" * 1_000_000})
    assert no.value.code == "arguments.invalid"
    stored = list(bench.recorder.ledger.replay())[-1]
    assert stored.tag == Tag.REFUSAL
    assert len(stored.attachment) < 20_000


async def test_a_statement_that_cannot_be_read_is_signed_by_nobody():
    assert not is_signed_by("damaged", (signing_key("alice").public,))
