"""A bench with a system that sends mail, a schedule, an application, and a person whom an OpenID provider knows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from answerable.core.action.tool_definition import ToolDefinition
from answerable.core.canonical import encode, parse
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.identity.people.person_issuer import PersonIssuer
from answerable.core.mandate.mission import terms_nonce
from answerable.flows.state.verify_person import PersonVerifier
from answerable.flows.tokens.issue_mandate import issue_mandate
from answerable.sdk.signing import signed_mandate
from answerable.testing.builders import Bench, bench_documents, memory_ledger
from answerable.testing.clock import START, ManualClock
from answerable.testing.recording_upstream import RecordingUpstream
from answerable.testing.registers import fresh_subject_keys
from answerable.testing.samples import AUDIENCE, OWNERSHIP, document, mandate_terms, signing_key
from tests.worlds.attestation import key_set, public_jwk, token
from tests.worlds.parts import to_issue

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.mandate.mandate import Mandate, MandateTerms
    from answerable.core.registry.documents.capability import Capability

ISSUER = "https://login.test"
CLIENT = "answerable-client"
SUBJECT = "248289761001"
POLICY = '@id("all") permit (principal, action, resource);\n'
MINUTE = 60_000
# START is 11:06:40; the schedule is due at 11:00, for ten minutes.
RULE: dict[str, JSONValue] = {"at": ["11:00"], "withinMinutes": 10, "until": "2027-06-30"}


class MailUpstream(RecordingUpstream):
    """Takes mail to anybody."""

    def definition(self, capability: Capability) -> ToolDefinition | None:
        if capability.target not in ("send", "post"):
            return super().definition(capability)
        text = encode([capability.target])
        return ToolDefinition(text=text, digest=sha256(text).hexdigest(), violations=lambda _: ())


def jwk(name: str) -> JSONValue:
    return parse(signing_key(name).public.jwk.encode())


def documents(**schedule: JSONValue) -> list[JSONValue]:
    """Those of the bench; alice is known to the provider, and owns a schedule. schedule: changes to its spec."""
    made = bench_documents(POLICY)
    for one in made:
        assert isinstance(one, dict)
        if one["kind"] == "Principal" and one["metadata"] == {"name": "alice"}:
            assert isinstance(one["spec"], dict)
            one["spec"]["oidc"] = {"issuer": ISSUER, "subject": SUBJECT}
    mail: dict[str, JSONValue] = {
        "server": "crm",
        "target": "send",
        "kind": "write",
        "environment": "production",
        "tier": 2,
        "sensitivity": "internal",
        "resource": {"type": "Mailbox", "fixed": "desk"},
        "destination": {"type": "email", "arguments": ["to", "cc"]},
        "ownership": dict(OWNERSHIP),
    }
    post = {
        **mail,
        "target": "post",
        "environment": "staging",
        "destination": {"type": "host", "arguments": ["url"]},
    }
    template: dict[str, JSONValue] = {
        "useCase": "support",
        "agent": "scout",
        "purpose": "Mail the report of {day} to {domain}",
        "environment": "production",
        "ceiling": "internal",
        "kinds": ["write"],
        "systems": ["crm"],
        "callsMax": 5,
        "ttlSeconds": 1800,
        "delegation": {"depthMax": 2, "widthMax": 3, "agents": ["rover"], "useCases": ["support"]},
        "parameters": [
            {"name": "day", "pattern": "[0-9]{4}-[0-9]{2}-[0-9]{2}", "title": "day of the report"},
            {"name": "domain", "pattern": "[^ ]{1,60}"},
        ],
        "grants": [
            {"capability": "mail.send", "destinations": {"type": "email", "oneOf": ["{domain}"]}},
        ],
    }
    nightly: dict[str, JSONValue] = {
        "template": "mail-report",
        "values": {"day": "{date}", "domain": "example.com"},
        "rule": RULE,
        "keys": [jwk("nightly")],
        "ownership": dict(OWNERSHIP),
        **schedule,
    }
    portal: dict[str, JSONValue] = {
        "useCases": ["support"],
        "keys": [jwk("portal")],
        "ownership": dict(OWNERSHIP),
    }
    return [
        *made,
        document("Capability", "mail.send", mail),
        document("Capability", "mail.post", post),
        document("MandateTemplate", "mail-report", template),
        document("Schedule", "nightly", nightly),
        document("Application", "portal", portal),
    ]


def changed(given: list[JSONValue], kind: str, name: str, **spec: JSONValue) -> list[JSONValue]:
    """The documents with another spec for one of them."""
    found: list[JSONValue] = []
    for one in given:
        assert isinstance(one, dict)
        assert isinstance(one["spec"], dict)
        same = (one["kind"], one["metadata"]) == (kind, {"name": name})
        found.append({**one, "spec": {**one["spec"], **spec}} if same else one)
    return found


def without_alice(given: list[JSONValue]) -> list[JSONValue]:
    """The documents with alice disabled, where nothing but her schedule is hers."""
    hers = dict(OWNERSHIP)
    found: list[JSONValue] = []
    for one in given:
        assert isinstance(one, dict)
        assert isinstance(one["spec"], dict)
        spec = dict(one["spec"])
        if spec.get("ownership") == hers and one["kind"] != "Schedule":
            spec["ownership"] = {**hers, "owner": "bob", "backupOwner": "carol"}
        found.append({**one, "spec": spec})
    return changed(found, "Principal", "alice", status="disabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedKeys:
    """Implements IssuerKeys: one issuer whose keys never change."""

    issuer: str = ISSUER

    async def key_set(self, issuer: str, *, kid: str) -> bytes | None:
        return key_set(public_jwk("ES256", "login")) if issuer == self.issuer else None


async def bench() -> Bench:
    """Everything in force."""
    clock = ManualClock()
    ledger = memory_ledger(clock)
    keys = fresh_subject_keys("subject keys")
    upstream = MailUpstream(clock=clock, ledger=ledger, subject_keys=keys)
    made = Bench(clock=clock, ledger=ledger, subject_keys=keys, upstream=upstream)
    made.upstream = upstream
    issuer = PersonIssuer(issuer=ISSUER, audience=CLIENT, login_seconds_max=600)
    made.walk.asking.people = PersonVerifier(clock=clock, keys=FixedKeys(), issuers=(issuer,))
    return await made.registered(documents())


def id_token(nonce: str, *, key: str = "login", **other: Any) -> str:
    """An ID token of alice, just made; a change to None drops a claim."""
    second = START // 1000
    good = {
        "iss": ISSUER,
        "sub": SUBJECT,
        "aud": CLIENT,
        "iat": second,
        "exp": second + 3600,
        "auth_time": second - 60,
        "nonce": nonce,
    }
    claims = {name: value for name, value in {**good, **other}.items() if value is not None}
    return token(claims, name=key, kid="ES256-login", typ=str(claims.pop("typ", "JWT")))


def for_alice(identity: str = "m-app") -> MandateTerms:
    """What the portal is to sign for alice, without her ID token yet."""
    return replace(mandate_terms(identity), application="portal")


def shown(
    terms: MandateTerms, *, asked: MandateTerms | None = None, key: str = "portal", **other: Any
) -> str:
    """The signed mandate with an ID token for these terms, or for those that were `asked`."""
    nonce = str(other.pop("nonce", terms_nonce(asked or terms, audience=AUDIENCE)))
    proof = id_token(nonce, key=str(other.pop("id_key", "login")), **other)
    return signed_mandate(replace(terms, id_token=proof), audience=AUDIENCE, key=signing_key(key))


async def issued(bench: Bench, terms: MandateTerms) -> Mandate:
    """Signed by alice's own key and put into force."""
    now = bench.clock.now()
    terms = replace(
        terms,
        principal=PrincipalId("alice"),
        not_before=now,
        expires_at=UnixMillis(now + 3_600_000),
    )
    return await issue_mandate(
        *to_issue(bench.walk), signed_mandate(terms, audience=AUDIENCE, key=signing_key("alice"))
    )


async def issued_from(made: Bench, token: str) -> Mandate:
    """Issue the mandate of this token."""
    return await issue_mandate(*to_issue(made.walk), token)
