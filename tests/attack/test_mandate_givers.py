"""Attacks on who gives mandates: schedules, applications, and people of an OpenID provider."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from answerable.core.approval.typed_name import name_to_type
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.identity.people.person_issuer import PersonIssuer
from answerable.core.mandate.caveat import DestinationIn
from answerable.core.mandate.mandate import Grant, MandateId
from answerable.core.mandate.revocation import RevocationTarget
from answerable.core.mandate.scheduled import scheduled_terms
from answerable.core.registry.parsing.active import faults_of
from answerable.errors import AnswerableError, Refused
from answerable.flows.approval.answer_approval import answer_approval
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.flows.state.verify_person import PersonVerifier
from answerable.sdk.signing import signed_answer, signed_mandate
from answerable.testing.builders import Bench, nonce_for
from answerable.testing.clock import START
from answerable.testing.samples import AUDIENCE, OWNERSHIP, document, mandate_terms, signing_key
from tests.worlds.mandate import (
    CLIENT,
    MINUTE,
    SUBJECT,
    FixedKeys,
    bench,
    changed,
    documents,
    for_alice,
    issued_from,
    jwk,
    shown,
    without_alice,
)
from tests.worlds.stories import lines_of

pytestmark = [pytest.mark.anyio]

DUE = UnixMillis(round(datetime(2026, 11, 18, 11, tzinfo=UTC).timestamp() * 1000))
MAIL = {"to": "ada@example.com", "body": "hello"}


async def refusal(running) -> str:
    with pytest.raises(AnswerableError) as told:
        await running
    return told.value.code


def scheduled(made: Bench, **other):
    current = made.walk.authority.registry.current
    schedule = current.schedules["nightly"]
    return replace(scheduled_terms(schedule, current.templates[schedule.template], start=DUE), **other)


def signed(terms, key: str = "nightly") -> str:
    return signed_mandate(terms, audience=AUDIENCE, key=signing_key(key))


async def at_eleven() -> Bench:
    """The clock of the samples says 11:06:40: six minutes after the schedule is due."""
    assert START == DUE + 400_000
    return await bench()


# Schedules.


@pytest.mark.requirement("MISSION-05")
async def test_a_schedule_gives_its_task_once_and_its_owner_answers_for_it():
    made = await at_eleven()
    mandate = await issued_from(made, signed(scheduled(made)))
    assert mandate.id == "schedule.nightly.20261118T1100Z"
    assert mandate.purpose == "Mail the report of 2026-11-18 to example.com"
    await made.act("send", MAIL, mandate=mandate.id)
    told = lines_of(made.walk.recorder, mandate.id)
    text = "\n".join((*(line.text for line in told), *(d for line in told for d in line.details)))
    assert "Schedule nightly, owned by alice gave agent scout" in text
    assert "for schedule nightly, owned by alice under mandate" in text
    assert "intent sha-256:" in text
    assert await refusal(issued_from(made, signed(scheduled(made)))) == "mandate.duplicate"
    assert any(line.kind == "intent" for line in lines_of(made.walk.recorder, "alice"))


@pytest.mark.requirement("MISSION-05")
@pytest.mark.parametrize("minutes", [4, 60, 24 * 60 - 7])
async def test_outside_its_window_a_schedule_gives_nothing(minutes: int):
    made = await at_eleven()
    made.clock.advance(minutes * 60)
    code = await refusal(issued_from(made, signed(scheduled(made))))
    assert code in ("mandate.not_due", "mandate.expired")


@pytest.mark.requirement("MISSION-05")
async def test_a_mandate_for_the_next_time_is_not_given_before_it():
    made = await at_eleven()
    later = UnixMillis(DUE + 24 * 60 * MINUTE)
    current = made.walk.authority.registry.current
    terms = scheduled_terms(current.schedules["nightly"], current.templates["mail-report"], start=later)
    assert await refusal(issued_from(made, signed(terms))) == "mandate.not_due"


OTHER_TERMS = {
    "purpose": {"purpose": "Mail the report of 2026-11-18 to evil.test"},
    "place": {
        "grants": (
            Grant(capability="mail.send", caveats=(DestinationIn(type="email", allowed=("evil.test",)),)),
        )
    },
    "no limits": {"caveats": ()},
    "calls": {"calls_max": 6},
    "longer": {"expires_at": UnixMillis(DUE + 3_600_000)},
    "another id": {"id": MandateId("schedule.nightly.20261118T1101Z")},
    "other start": {"not_before": UnixMillis(DUE + 1)},
    "other capability": {"grants": (Grant(capability="crm.refund"),)},
}


@pytest.mark.requirement("MISSION-05")
@pytest.mark.parametrize("name", OTHER_TERMS)
async def test_the_key_of_a_schedule_signs_nothing_but_its_template(name: str):
    made = await at_eleven()
    code = await refusal(issued_from(made, signed(scheduled(made, **OTHER_TERMS[name]))))
    assert code in ("mandate.schedule", "mandate.not_due")
    assert not list(made.walk.authority.mandates.all())


@pytest.mark.requirement("MISSION-05")
async def test_neither_a_person_signs_for_a_schedule_nor_a_schedule_for_a_person():
    made = await at_eleven()
    assert await refusal(issued_from(made, signed(scheduled(made), "alice"))) == "mandate.key"
    as_alice = replace(mandate_terms(), principal=PrincipalId("alice"))
    assert await refusal(issued_from(made, signed(as_alice))) == "mandate.key"
    taken = replace(mandate_terms("schedule.nightly.20261119T1100Z"), principal=PrincipalId("alice"))
    assert await refusal(issued_from(made, signed(taken, "alice"))) == "mandate.reserved_id"
    unknown = replace(scheduled(made), principal=PrincipalId("schedule:nobody"))
    assert await refusal(issued_from(made, signed(unknown))) == "mandate.key"


ENDS = {
    "disabled": lambda given: changed(given, "Schedule", "nightly", status="disabled"),
    "other values": lambda given: changed(
        given, "Schedule", "nightly", values={"day": "{date}", "domain": "other.test"}
    ),
    "other key": lambda given: changed(given, "Schedule", "nightly", keys=[jwk("stolen")]),
    "other template": lambda given: changed(given, "MandateTemplate", "mail-report", callsMax=4),
    "values that fit no more": lambda given: changed(
        given, "MandateTemplate", "mail-report",
        parameters=[{"name": "day", "pattern": "[0-9-]+"}, {"name": "domain", "pattern": "[0-9]+"}],
    ),
    "owner leaves": without_alice,
    "owner may not": lambda given: changed(
        given, "Schedule", "nightly",
        ownership={
            "owner": "dan",
            "backupOwner": "bob",
            "approverGroup": "approvers",
            "auditLevel": "full",
            "reviewDate": "2027-06-30",
        },
    ),
}  # fmt: skip


@pytest.mark.requirement("MISSION-05")
@pytest.mark.parametrize("name", ENDS)
async def test_what_a_schedule_gave_ends_with_its_documents(name: str):
    made = await at_eleven()
    mandate = await issued_from(made, signed(scheduled(made)))
    await made.act("send", MAIL, mandate=mandate.id)
    await made.apply(ENDS[name](documents()))
    with pytest.raises(Refused) as told:
        await made.act("send", MAIL, mandate=mandate.id)
    assert told.value.code in (
        "mandate.schedule", "mandate.issuer_key", "mandate.not_an_issuer", "mandate.use_case",
        "mandate.agent_inactive", "agent.inactive", "capability.unknown",
    )  # fmt: skip


@pytest.mark.requirement("MISSION-05")
async def test_who_owns_a_schedule_cannot_approve_what_runs_under_it():
    asks = (
        '@id("all") permit (principal, action, resource);\n'
        '@id("asks") @reason("mail waits") @approve("approvers:1") forbid (principal, action == Action::"mail.send", '
        "resource);\n"
    )
    made = await at_eleven()
    await made.apply(changed(documents(), "PolicySet", "house", policies=asks))
    mandate = await issued_from(made, signed(scheduled(made)))
    approval = (await made.act("send", MAIL, mandate=mandate.id)).approval
    assert approval is not None

    name = name_to_type(approval)

    def yes(person: str) -> str:
        return signed_answer(
            approval,
            nonce=nonce_for(made.walk.asking.openings, made.walk.clock, made.walk.entropy, approval),
            by=PrincipalId(person), verdict="approve", audience=AUDIENCE, at=made.clock.now(),
            key=signing_key(person),
        )  # fmt: skip

    assert (
        await refusal(
            answer_approval(
                made.walk.recorder, made.walk.authority, made.walk.asking, made.walk.counters, approval.id,
                yes("alice"), typed=name,
            )
        )
        == "approval.own_mandate"
    )  # fmt: skip
    assert (
        await answer_approval(
            made.walk.recorder, made.walk.authority, made.walk.asking, made.walk.counters, approval.id,
            yes("bob"), typed=name,
        )
    ).answers[0].by == "bob"  # fmt: skip


# People of an OpenID provider.


@pytest.mark.requirement("MISSION-06")
async def test_an_application_gives_a_mandate_for_the_person_who_consents_to_these_terms():
    made = await bench()
    mandate = await issued_from(made, shown(for_alice()))
    assert (mandate.principal, mandate.application) == ("alice", "portal")
    await made.act(mandate=mandate.id)
    lines = lines_of(made.walk.recorder, mandate.id)
    assert lines[0].text.startswith("alice, through application portal, gave agent scout")


SECOND = START // 1000
REPLAYS = {
    "token for other terms": ({"asked": replace(for_alice(), purpose="Something harmless")}, "person.nonce"),
    "token for another mandate": ({"asked": for_alice("m-other")}, "person.nonce"),
    "no nonce": ({"nonce": ""}, "person.nonce"),
    "expired": ({"iat": SECOND - 7200, "exp": SECOND - 3600}, "oidc.expired"),
    "stale": ({"iat": SECOND - 400}, "person.stale"),
    "of tomorrow": ({"iat": SECOND + 4000, "exp": SECOND + 8000}, "oidc.future"),
    "never logged in": ({"auth_time": None}, "person.login"),
    "logged in long ago": ({"auth_time": SECOND - 700}, "person.login"),
    "logs in later": ({"auth_time": SECOND + 700}, "person.login"),
    "other audience": ({"aud": "somebody-else"}, "oidc.audience"),
    "two audiences": ({"aud": [CLIENT, "somebody-else"]}, "oidc.audience"),
    "other party": ({"azp": "somebody-else"}, "person.party"),
    "other issuer": ({"iss": "https://evil.test"}, "mandate.other_person"),
    "other key": ({"id_key": "stranger"}, "oidc.signature"),
    "access token": ({"typ": "at+jwt"}, "oidc.type"),
    "other person": ({"sub": "999"}, "mandate.other_person"),
    "no person": ({"sub": ""}, "mandate.other_person"),
    "signed by another application": ({"key": "stranger"}, "mandate.key"),
    "signed by the person": ({"key": "alice"}, "mandate.key"),
}


@pytest.mark.requirement("MISSION-06")
@pytest.mark.parametrize("name", REPLAYS)
async def test_an_id_token_counts_for_one_person_one_moment_and_one_mandate(name: str):
    other, code = REPLAYS[name]
    made = await bench()
    size = made.walk.recorder.ledger.size
    assert await refusal(issued_from(made, shown(for_alice(), **other))) == code
    assert made.walk.recorder.ledger.size == size
    assert not list(made.walk.authority.mandates.all())


@pytest.mark.requirement("MISSION-06")
async def test_the_same_token_does_not_give_a_second_mandate():
    made = await bench()
    token = shown(for_alice())
    await issued_from(made, token)
    assert await refusal(issued_from(made, token)) == "mandate.duplicate"


@pytest.mark.requirement("MISSION-06")
async def test_an_application_signs_for_nobody_who_showed_nothing():
    made = await bench()
    bare = signed_mandate(for_alice(), audience=AUDIENCE, key=signing_key("portal"))
    assert await refusal(issued_from(made, bare)) == "mandate.malformed"
    loose = signed_mandate(
        replace(mandate_terms(), id_token="a.b.c"), audience=AUDIENCE, key=signing_key("alice")
    )
    assert await refusal(issued_from(made, loose)) == "mandate.malformed"
    schedule = replace(scheduled(made), application="portal", id_token="a.b.c")
    assert await refusal(issued_from(made, signed(schedule, "portal"))) == "mandate.malformed"
    made.walk.asking.people = None
    assert await refusal(issued_from(made, shown(for_alice()))) == "person.issuer"


@pytest.mark.requirement("MISSION-06")
async def test_an_application_serves_only_its_use_cases_and_a_person_who_may_issue():
    made = await bench()
    more = changed(documents(), "Application", "portal", status="disabled")
    await made.apply(more)
    assert await refusal(issued_from(made, shown(for_alice()))) == "mandate.key"
    other = changed(
        changed(documents(), "Principal", "dan", oidc={"issuer": "https://login.test", "subject": "dan"}),
        "Principal",
        "alice",
        oidc={"issuer": "https://login.test", "subject": "somebody"},
    )
    await made.apply(other)
    as_dan = replace(for_alice(), principal=PrincipalId("dan"))
    assert await refusal(issued_from(made, shown(as_dan, sub="dan"))) == "mandate.not_an_issuer"
    assert await refusal(issued_from(made, shown(for_alice()))) == "mandate.other_person"


@pytest.mark.requirement("MISSION-06")
async def test_only_providers_that_the_settings_name_speak_for_people():
    made = await bench()
    elsewhere = {"issuer": "https://evil.test", "subject": SUBJECT}
    known = changed(documents(), "Principal", "alice", oidc=elsewhere)
    await made.apply(known)
    token = shown(for_alice(), iss="https://evil.test")
    assert await refusal(issued_from(made, token)) == "person.issuer"
    issuer = PersonIssuer(issuer="https://evil.test", audience=CLIENT)
    made.walk.asking.people = PersonVerifier(clock=made.clock, keys=FixedKeys(), issuers=(issuer,))
    assert await refusal(issued_from(made, token)) == "person.issuer"


@pytest.mark.requirement("MISSION-06")
@pytest.mark.parametrize(
    ("text", "code"),
    [("a.b.c", "mandate.other_person"), ("x" * 16_385, "mandate.malformed"), ("é", "mandate.malformed")],
)
async def test_what_is_no_id_token_shows_nobody(text: str, code: str):
    made = await bench()
    terms = replace(for_alice(), id_token=text)
    token = signed_mandate(terms, audience=AUDIENCE, key=signing_key("portal"))
    assert await refusal(issued_from(made, token)) == code


@pytest.mark.requirement("MISSION-06")
async def test_an_application_of_another_use_case_signs_nothing_for_this_one():
    made = await bench()
    sales = document("UseCase", "sales", {"purpose": "Sell", "ownership": dict(OWNERSHIP)})
    other = changed([*documents(), sales], "Application", "portal", useCases=["sales"])
    await made.apply(other)
    assert await refusal(issued_from(made, shown(for_alice()))) == "mandate.application"


PERSON_ENDS = {
    "person disabled": without_alice,
    "another subject": lambda given: changed(
        given, "Principal", "alice", oidc={"issuer": "https://login.test", "subject": "x"}
    ),
    "application disabled": lambda given: changed(given, "Application", "portal", status="disabled"),
    "application has another key": lambda given: changed(given, "Application", "portal", keys=[jwk("next")]),
}


@pytest.mark.requirement("MISSION-06")
@pytest.mark.parametrize("name", PERSON_ENDS)
async def test_what_an_application_gave_ends_with_its_person_and_with_itself(name: str):
    made = await bench()
    mandate = await issued_from(made, shown(for_alice()))
    await made.act(mandate=mandate.id)
    await made.apply(PERSON_ENDS[name](documents()))
    with pytest.raises(Refused):
        await made.act(mandate=mandate.id)


@pytest.mark.requirement("MISSION-06")
async def test_a_subject_that_two_people_claim_belongs_to_neither():
    twice = changed(
        documents(), "Principal", "bob", oidc={"issuer": "https://login.test", "subject": SUBJECT}
    )
    assert {fault.code for fault in faults_of(twice)} == {"reference.claimed_twice"}


@pytest.mark.requirement("REVOKE-20")
@pytest.mark.parametrize(("kind", "name"), [("Schedule", "nightly"), ("Application", "portal")])
async def test_what_gave_a_task_stops_with_the_person_who_answers_for_it(kind, name):
    bobs = {**OWNERSHIP, "owner": "bob", "backupOwner": "alice"}
    made = await bench()
    await made.apply(changed(documents(), kind, name, ownership=bobs))
    token = signed(scheduled(made)) if kind == "Schedule" else shown(for_alice())
    mandate = await issued_from(made, token)
    asked = ("send", MAIL) if kind == "Schedule" else ()
    await made.act(*asked, mandate=mandate.id)
    stopped = await revoke_authority(
        made.walk.recorder, made.walk.authority, made.walk.live, RevocationTarget("owner", "bob"),
        by="operator",
    )  # fmt: skip
    assert stopped.mandates == (mandate.id,)
    assert len(stopped.done) == 1
    assert await refusal(made.act(*asked, mandate=mandate.id)) == "revoked.owner"
    assert await refusal(issued_from(made, token)) in ("revoked.owner", "mandate.duplicate")
