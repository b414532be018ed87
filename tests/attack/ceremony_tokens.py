"""Fresh tokens of every kind, and every door that finishes one: what is sent where, and whether it took it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx2

from answerable.apps.chat_door.services import PREFIX as CHAT
from answerable.apps.console.provider_pages import callback_of
from answerable.apps.console.sessions import COOKIE
from answerable.core.approval.chat_click import APPROVE
from answerable.core.canonical import parse
from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.identity.keys.keys import SigningKey, new_private_jwk
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis, workflow_id
from answerable.core.identity.names.spiffe_id import trust_domain
from answerable.core.identity.workload.enrolment import enrolment_proof
from answerable.core.mandate.mandate import Grant, MandateId, MandateTerms
from answerable.core.mandate.oauth_terms import (
    CLIENT_JWT_BEARER,
    GRANT_EXCHANGE,
    TYPE_DELEGATION,
    TYPE_MANDATE,
)
from answerable.sdk.signing import signed_mandate
from answerable.testing.samples import signing_key
from answerable.testing.soft_passkey import SoftPasskey
from tests.attack.ceremony_world import Doors, Token, challenge_in, invited, now, rendering_of
from tests.probes.console_client import registration_members
from tests.system.test_incident_openclaw import Browser
from tests.worlds.click import buttons_in, form_of

Mint = Callable[[Doors], Awaitable[Token]]
Door = Callable[[Doors, Token], Awaitable[bool]]
SAID = {"verdict": "deny", "comment": "", "reason": "other"}


def _browser(at: Doors) -> Browser:
    return Browser(at.console, SoftPasskey(seed="nobody", origin=at.console))


def _ceremony(begun: dict[str, Any]) -> Token:
    assert "ceremony" in begun, begun
    return Token(begun["ceremony"], challenge_in(begun))


def _opening(opened: dict[str, Any]) -> Token:
    assert "nonce" in opened, opened
    return Token(opened["nonce"], challenge_in(opened))


# -- what is got


async def sign_in(at: Doors) -> Token:
    return _ceremony((await _browser(at).script("/sign-in/begin", {})).json())


async def confirm(at: Doors) -> Token:
    return _ceremony((await at.people["bob"].script("/confirm/begin", {})).json())


async def enrol(at: Doors) -> Token:
    code = (await invited(at, "dora")).partition("#")[2]
    return _ceremony((await _browser(at).script("/enrol/begin", {"code": code})).json())


async def enrol_own(at: Doors) -> Token:
    return _ceremony((await at.people["bob"].script("/enrol/begin", {})).json())


async def opening(at: Doors) -> Token:
    seen = {**SAID, "rendering": rendering_of(await at.approval())}
    return _opening((await at.people["bob"].script(f"/approvals/{at.waiting}/open", seen)).json())


async def opening_of_many(at: Doors) -> Token:
    return _opening((await at.people["bob"].script("/groups/open", {**SAID, "seen": at.group})).json())


async def opening_of_a_review(at: Doors) -> Token:
    said = {"verdict": "justified", "comment": "they had to"}
    return _opening((await at.people["bob"].script(f"/approvals/{at.glass}/review/open", said)).json())


DUTY: dict[str, Any] = {}


async def opening_of_a_duty(at: Doors) -> Token:
    said = {"group": "approvers", "to": "carol", "hours": 1, "reason": "at lunch"}
    opened = (await at.people["bob"].script("/duty/open", said)).json()
    assert "claims" in opened, opened
    DUTY.update(opened["claims"])
    return _opening(opened)


async def nonce(at: Doors) -> Token:
    return Token((await at.control("POST", f"/v1/approvals/{at.waiting}/nonce", {})).json()["nonce"])


async def signed_answer(at: Doors) -> Token:
    return Token(await at.answer_token((await nonce(at)).text, by="bob", key=signing_key("bob")))


async def nonce_of_a_workflow(at: Doors) -> Token:
    answer = await at.workflow("nonce", {})
    assert answer.status_code == 200, answer.text
    return Token(answer.json()["nonce"])


async def answer_of_a_workflow(at: Doors) -> Token:
    given = (await nonce_of_a_workflow(at)).text
    return Token(await at.answer_token(given, by=workflow_id("change-check"), key=signing_key("check")))


async def click(at: Doors) -> Token:
    message = at.told(at.waiting) or at.told()
    assert message is not None
    return Token(buttons_in(message)[APPROVE])


async def invitation(at: Doors) -> Token:
    return Token((await invited(at, "dora")).partition("#")[2])


async def provider_state(at: Doors) -> Token:
    browser = _browser(at)
    answer = await browser.ask("GET", f"/sign-in/provider?issuer={quote(at.issuer.url, safe='')}")
    query = {name: one[0] for name, one in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    back = parse_qs(urlsplit(at.issuer.sent_on(query)).query)
    name, _, rest = answer.headers["set-cookie"].partition("=")
    return Token(query["state"], cookies={name: rest.partition(";")[0], "code": back["code"][0]})


async def id_token(at: Doors) -> Token:
    return Token(at.issuer.id_token(nonce="n"))


async def join_token(at: Doors) -> Token:
    answer = await at.control("POST", "/v1/agents/rover/join-tokens", {"label": "box", "seconds": 600})
    assert answer.status_code == 200, answer.text
    return Token(answer.json()["token"])


async def enrolment_challenge(at: Doors) -> Token:
    async with httpx2.AsyncClient(verify=False, trust_env=False) as http:
        found = (await http.get(f"{at.gateway}/identity/v1/challenge")).json()
    return Token(found["challenge"])


async def mandate(at: Doors) -> Token:
    begins = now()
    at.count += 1
    terms = MandateTerms(
        id=MandateId(f"m-{at.count + 100}"), principal=PrincipalId("alice"), agent=AgentId("scout"),
        use_case="support", purpose="Read a case", grants=(Grant(capability="crm.read"),), caveats=(), calls_max=1,
        not_before=begins, expires_at=UnixMillis(begins + 600_000),
    )  # fmt: skip
    return Token(signed_mandate(terms, audience=await at.audience(), key=signing_key("alice")))


async def client_assertion(at: Doors) -> Token:
    at.count += 1
    second = now() // 1000
    claims = {
        "iss": "scout", "sub": "scout", "aud": at.gateway, "iat": second, "exp": second + 60, "jti": f"a-{at.count}"
    }  # fmt: skip
    return Token(signed_statement(claims, typ="JWT", key=signing_key("scout")))


async def session_secret(at: Doors) -> Token:
    return Token(at.people["carol"].cookie)


async def form_token(at: Doors) -> Token:
    return Token(at.people["bob"].csrf)


# -- where it is sent


def _assertion(at: Doors, token: Token, person: str = "bob") -> dict[str, Any]:
    return at.people[person].device.assertion(token.signed).members()


async def to_sign_in(at: Doors, token: Token) -> bool:
    sent = {"ceremony": token.text, "assertion": _assertion(at, token), "next": "/"}
    return bool((await _browser(at).script("/sign-in/finish", sent)).status_code == 200)


async def to_confirm(at: Doors, token: Token) -> bool:
    sent = {"ceremony": token.text, "assertion": _assertion(at, token)}
    return bool((await at.people["bob"].script("/confirm/finish", sent)).status_code == 200)


def _registration(at: Doors, token: Token) -> dict[str, Any]:
    at.count += 1
    device = SoftPasskey(seed=f"new {at.count}", origin=at.console)
    made = registration_members(device.registration(token.signed))
    return {"ceremony": token.text, "registration": made, "label": "new"}


async def to_enrol(at: Doors, token: Token) -> bool:
    return bool((await _browser(at).script("/enrol/finish", _registration(at, token))).status_code == 200)


async def to_enrol_own(at: Doors, token: Token) -> bool:
    sent = _registration(at, token)
    return bool((await at.people["bob"].script("/enrol/finish", sent)).status_code == 200)


async def _said(at: Doors, path: str, token: Token, **more: Any) -> bool:
    sent = {"nonce": token.text, "assertion": _assertion(at, token), **more}
    return bool((await at.people["bob"].script(path, sent)).status_code == 200)


async def to_answer(at: Doors, token: Token) -> bool:
    return await _said(at, f"/approvals/{at.waiting}/answer", token, **SAID)


async def to_answer_many(at: Doors, token: Token) -> bool:
    return await _said(at, "/groups/answer", token, ids=[*at.group], **SAID)


async def to_review(at: Doors, token: Token) -> bool:
    return await _said(at, f"/approvals/{at.glass}/review", token, verdict="justified", comment="they had to")


async def to_duty(at: Doors, token: Token) -> bool:
    return await _said(at, "/duty/give", token, claims=DUTY)


async def to_begin_enrolling(at: Doors, token: Token) -> bool:
    return bool((await _browser(at).script("/enrol/begin", {"code": token.text})).status_code == 200)


async def to_provider_callback(at: Doors, token: Token) -> bool:
    code = token.cookies.get("code", "c")
    path = f"{callback_of(at.issuer.url)}?{urlencode({'state': token.text, 'code': code})}"
    kept = {name: one for name, one in token.cookies.items() if name != "code"}
    cookie = "; ".join(f"{name}={one}" for name, one in kept.items())
    answer = await _browser(at).ask("GET", path, {"cookie": cookie} if cookie else {})
    return f"{COOKIE}=" in str(answer.headers) and answer.status_code == 200


async def to_control_answer(at: Doors, token: Token) -> bool:
    answer = await at.control("POST", f"/v1/approvals/{at.waiting}/answer", {"token": token.text})
    return bool(answer.status_code == 200)


async def to_mandates(at: Doors, token: Token) -> bool:
    return bool((await at.control("POST", "/v1/mandates", {"token": token.text})).status_code == 200)


async def to_workflow(at: Doors, token: Token) -> bool:
    return bool((await at.workflow("answer", {"token": token.text})).status_code == 200)


async def to_chat(at: Doors, token: Token) -> bool:
    """200 whatever came of it: what became of the question tells."""
    body = form_of(at.clicked(token.text))
    async with httpx2.AsyncClient(verify=False, trust_env=False, timeout=60) as http:
        await http.post(f"{at.console}{CHAT}slack", content=body, headers=at.signed(body))
    return bool((await at.approval())["state"] != "pending")


async def to_enrolment(at: Doors, token: Token) -> bool:
    async with httpx2.AsyncClient(verify=False, trust_env=False, timeout=60) as http:
        found = (await http.get(f"{at.gateway}/identity/v1/challenge")).json()
        key = SigningKey(new_private_jwk("ed25519", sha256(token.text.encode()).digest()))
        body: dict[str, Any] = {
            "attestation": {"type": "join_token", "token": token.text},
            "key": parse(key.public.jwk.encode()),
        }
        domain = trust_domain(found["trust_domain"])
        proof = enrolment_proof(body, challenge=found["challenge"], domain=domain, key=key)
        answer = await http.post(f"{at.gateway}/identity/v1/enrol", json={**body, "proof": proof})
    return bool(answer.status_code == 200)


async def to_enrolment_as_challenge(at: Doors, token: Token) -> bool:
    """The text is what the proof is over; what it is known by is good."""
    joined = await join_token(at)
    key = SigningKey(new_private_jwk("ed25519", sha256(f"c {joined.text}".encode()).digest()))
    body: dict[str, Any] = {
        "attestation": {"type": "join_token", "token": joined.text},
        "key": parse(key.public.jwk.encode()),
    }
    async with httpx2.AsyncClient(verify=False, trust_env=False) as http:
        domain = trust_domain((await http.get(f"{at.gateway}/identity/v1/challenge")).json()["trust_domain"])
    proof = enrolment_proof(body, challenge=token.text, domain=domain, key=key)
    answer = await at.post(f"{at.gateway}/identity/v1/enrol", {**body, "proof": proof})
    return bool(answer.status_code == 200)


async def to_token_service(at: Doors, token: Token) -> bool:
    form = {
        "grant_type": GRANT_EXCHANGE, "subject_token": "m-1", "subject_token_type": TYPE_MANDATE,
        "requested_token_type": TYPE_DELEGATION, "client_assertion_type": CLIENT_JWT_BEARER,
        "client_assertion": token.text,
    }  # fmt: skip
    headers = {"content-type": "application/x-www-form-urlencoded"}
    async with httpx2.AsyncClient(verify=False, trust_env=False, timeout=60) as http:
        answer = await http.post(f"{at.gateway}/oauth/token", content=urlencode(form), headers=headers)
    return bool(answer.status_code == 200)


async def to_any_page(at: Doors, token: Token) -> bool:
    browser = _browser(at)
    browser.cookie = token.text
    return bool((await browser.ask("GET", "/passkeys")).status_code == 200)


async def to_a_form(at: Doors, token: Token) -> bool:
    sent = {"x-csrf-token": token.text}
    return bool((await at.people["bob"].script("/confirm/begin", {}, **sent)).status_code == 200)


KINDS: dict[str, Mint] = {
    "click": click,
    "sign-in": sign_in,
    "confirm": confirm,
    "enrol": enrol,
    "enrol own": enrol_own,
    "opening": opening,
    "opening of many": opening_of_many,
    "opening of a review": opening_of_a_review,
    "opening of a duty": opening_of_a_duty,
    "nonce": nonce,
    "signed answer": signed_answer,
    "nonce of a workflow": nonce_of_a_workflow,
    "answer of a workflow": answer_of_a_workflow,
    "invitation": invitation,
    "state": provider_state,
    "ID token": id_token,
    "join token": join_token,
    "enrolment challenge": enrolment_challenge,
    "mandate": mandate,
    "client assertion": client_assertion,
    "session": session_secret,
    "form token": form_token,
}
DOORS: dict[str, Door] = {
    "sign-in": to_sign_in,
    "confirm": to_confirm,
    "enrol": to_enrol,
    "enrol own": to_enrol_own,
    "answer": to_answer,
    "answer many": to_answer_many,
    "review": to_review,
    "duty": to_duty,
    "begin enrolling": to_begin_enrolling,
    "callback": to_provider_callback,
    "control answer": to_control_answer,
    "mandates": to_mandates,
    "workflow": to_workflow,
    "chat": to_chat,
    "enrolment": to_enrolment,
    "enrolment proof": to_enrolment_as_challenge,
    "token service": to_token_service,
    "page": to_any_page,
    "form": to_a_form,
}
FITS = frozenset({
    ("sign-in", "sign-in"),
    ("confirm", "confirm"),
    ("enrol", "enrol"),
    ("enrol own", "enrol own"),
    ("opening", "answer"),
    ("opening of many", "answer many"),
    ("opening of a review", "review"),
    ("opening of a duty", "duty"),
    ("invitation", "begin enrolling"),
    ("state", "callback"),
    ("signed answer", "control answer"),
    ("mandate", "mandates"),
    ("answer of a workflow", "workflow"),
    ("click", "chat"),
    ("join token", "enrolment"),
    ("enrolment challenge", "enrolment proof"),
    ("client assertion", "token service"),
    ("session", "page"),
    ("form token", "form"),
})  # fmt: skip
"""Which kind each door finishes. A nonce finishes nothing by itself: what is signed with it does."""
