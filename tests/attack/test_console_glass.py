"""Breaking the glass and reviewing it at the console: who finds the way, what a passkey signs, who is refused."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.approval.passkey_answer import verify_kept
from answerable.core.approval.passkey_review import verify_kept_review
from answerable.errors import AnswerableError
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.builders import bench_documents
from answerable.testing.soft_passkey import SoftPasskey
from tests.probes.console_client import Client, House, challenge_of, console_house
from tests.worlds.glass import BREAKABLE, REASON, now
from tests.worlds.parts import to_apply
from tests.worlds.passkey import enrolled

pytestmark = pytest.mark.anyio
WAY = "let it run without this approval"
FOUND = "looked at the case with the customer"


async def asked() -> tuple[House, Any]:
    """A refund that waits for approvers, which dan may let run alone."""
    house = await console_house()
    await apply_registry(*to_apply(house.bench.walk), bench_documents(BREAKABLE), by="operator")
    await house.bench.issue()
    approval = (await house.bench.refund(6_000)).approval
    assert approval is not None
    return house, approval


async def browser(house: House, person: str) -> tuple[Client, SoftPasskey]:
    """Somebody's browser, signed in."""
    device = SoftPasskey(seed=person)
    await enrolled(house.bench, person, device)
    client = Client(house.app)
    await client.sign_in(device)
    await client.page("/")
    return client, device


async def broken(client: Client, approval: Any, device: SoftPasskey, **sent: Any) -> Any:
    """As the page does it. sent: members in place of those that belong there."""
    body = {"verdict": "break_glass", "comment": REASON, "rendering": approval.card.hex, "typed": "4711"}
    begun = (await client.script(f"/approvals/{approval.id}/open", body, signed_in=True)).json()
    answer = {
        "verdict": "break_glass",
        "comment": REASON,
        "typed": "4711",
        "nonce": begun["nonce"],
        "assertion": device.assertion(challenge_of(begun)).members(),
        **sent,
    }
    return await client.script(f"/approvals/{approval.id}/answer", answer, signed_in=True)


async def judged(client: Client, approval: Any, device: SoftPasskey, **sent: Any) -> Any:
    """A review, as the page gives it."""
    path = f"/approvals/{approval.id}/review"
    body = {"verdict": "justified", "comment": FOUND}
    begun = await client.script(f"{path}/open", body, signed_in=True)
    if begun.status_code != 200:
        return begun
    assertion = device.assertion(challenge_of(begun.json())).members()
    answer = {**body, "nonce": begun.json()["nonce"], "assertion": assertion, **sent}
    return await client.script(path, answer, signed_in=True)


@pytest.mark.requirement("GLASS-08")
async def test_who_is_named_finds_the_way_and_goes_it_with_a_passkey():
    house, approval = await asked()
    dan, device = await browser(house, "dan")
    page = (await dan.page(f"/approvals/{approval.id}")).text
    assert WAY in page
    assert "Approve once" not in page, "and dan is asked for no yes"
    answer = await broken(dan, approval, device)
    assert (answer.status_code, answer.json()) == (200, {"state": "approved"})
    kept = verify_kept(now(house.bench, approval).answers[0].token)
    assert (kept.by, kept.verdict, kept.words.comment) == ("dan", "break_glass", REASON)
    assert (await house.bench.refund(6_000)).outcome is not None
    assert "dan let it run without its approval" in (await dan.page(f"/approvals/{approval.id}")).text


@pytest.mark.requirement("GLASS-08")
async def test_others_find_no_way_and_are_refused_without_one():
    house, approval = await asked()
    bob, device = await browser(house, "bob")
    page = (await bob.page(f"/approvals/{approval.id}")).text
    assert WAY not in page
    assert "Approve once" in page
    refused = await broken(bob, approval, device)
    assert (refused.status_code, refused.json()["code"]) == (403, "break_glass.not_allowed")


@pytest.mark.requirement("GLASS-08", "GLASS-03")
@pytest.mark.parametrize(
    "sent", [{"comment": "another reason than the one that was signed"}, {"verdict": "approve"}]
)
async def test_what_was_signed_for_one_thing_is_nothing_for_another(sent: dict[str, str]):
    house, approval = await asked()
    dan, device = await browser(house, "dan")
    refused = await broken(dan, approval, device, **sent)
    assert refused.status_code in (401, 403)
    assert now(house.bench, approval).state == "pending"


@pytest.mark.requirement("GLASS-08")
async def test_a_review_is_shown_as_owed_and_given_by_another_person():
    house, approval = await asked()
    dan, dans = await browser(house, "dan")
    bob, bobs = await browser(house, "bob")
    assert "Broken glasses to review" not in (await bob.page("/")).text
    await broken(dan, approval, dans)
    overview = (await bob.page("/")).text
    assert "Broken glasses to review" in overview
    assert REASON in overview
    assert "due in 2 d" in overview
    refused = await judged(dan, approval, dans)
    assert (refused.status_code, refused.json()["code"]) == (403, "review.own")
    assert "It was justified" not in (await dan.page(f"/approvals/{approval.id}")).text
    assert "It was justified" in (await bob.page(f"/approvals/{approval.id}")).text
    answer = await judged(bob, approval, bobs)
    assert (answer.status_code, answer.json()) == (200, {"verdict": "justified"})
    review = now(house.bench, approval).review
    assert review is not None
    kept = verify_kept_review(review.token)
    assert (kept.by, kept.verdict, kept.action) == ("bob", "justified", approval.shown.hex)
    assert "bob found it justified" in (await bob.page(f"/approvals/{approval.id}")).text
    assert "Broken glasses to review" not in (await bob.page("/")).text


@pytest.mark.requirement("GLASS-08", "GLASS-06")
@pytest.mark.parametrize("sent", [{"verdict": "unjustified"}, {"comment": "it was not right at all"}])
async def test_a_review_is_what_its_passkey_signed(sent: dict[str, str]):
    house, approval = await asked()
    dan, dans = await browser(house, "dan")
    bob, bobs = await browser(house, "bob")
    await broken(dan, approval, dans)
    refused = await judged(bob, approval, bobs, **sent)
    assert refused.status_code == 401
    assert now(house.bench, approval).review is None


@pytest.mark.requirement("GLASS-08", "GLASS-06")
async def test_a_kept_review_with_a_word_changed_does_not_check():
    house, approval = await asked()
    dan, dans = await browser(house, "dan")
    bob, bobs = await browser(house, "bob")
    await broken(dan, approval, dans)
    await judged(bob, approval, bobs)
    review = now(house.bench, approval).review
    assert review is not None
    for was, now_says in ((FOUND, "looked away"), ('"justified"', '"unjustified"')):
        with pytest.raises(AnswerableError):
            verify_kept_review(review.token.replace(was, now_says))


@pytest.mark.requirement("GLASS-08", "GLASS-07")
async def test_the_overview_tells_what_is_overdue():
    house, approval = await asked()
    dan, dans = await browser(house, "dan")
    await broken(dan, approval, dans)
    house.wait(48 * 3_600 + 60)
    bob, _ = await browser(house, "bob")
    assert "<strong>overdue</strong>" in (await bob.page("/")).text
    assert "Overdue" in (await bob.page(f"/approvals/{approval.id}")).text
