"""The loaders of policy and registry, and the parsers of what is decided on, with valid samples to begin from.

Beyond not failing, each keeps a law: what is published decides everything and never raises, by slice as by the whole
set; what is registered is one thing however often it is read; what a caller wrote reaches policy as text, number or
truth or not at all, so that no argument makes a policy err.
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from answerable.adapters.cedar import CedarDecisionPoint, compiled, published
from answerable.adapters.registry_files.reading import read_text
from answerable.core.action.request import VerifiedRequest, action_request
from answerable.core.canonical import JSONValue, encode, parse
from answerable.core.decision.argument_values import Unmappable, mapped_arguments
from answerable.core.decision.decision import Decision
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.mandate.mandate import MandateId
from answerable.core.registry.parsing.active import faults_of, inactive, snapshot_of
from answerable.core.registry.parsing.parse import document_key
from answerable.core.registry.policy_sets.policy_text import statements
from answerable.flows.registry.apply_registry import policy_text
from tests.worlds.policy import CAPABILITIES, REGISTRY, Trial
from tests.worlds.policy_parts import PARTS, with_parts

POLICIES: Final = """
@id("read.own") @reason("support reads its cases")
permit(principal in UseCase::"support", action in [Action::"read", Action::"write"], resource is Customer);

// Case 1; and a "semicolon; in a text" beside it.
@id("read.vip") @reason("case \\"1\\" is confidential; ask maria")
forbid(principal, action, resource == Customer::"1") unless { context.proof == "mtls" };

@id("pay") permit(principal == Agent::"finance-agent", action in Action::"pay", resource is Batch);

@id("pay.large") @reason("large payments need two people of finance") @approve("finance:2")
@oblige("modify:amount<=900000; redact:/iban?; notify:finance") @internal("see the list of suppliers")
forbid(principal, action in Action::"pay", resource)
when { context.arguments has amount && context.arguments.amount > 500000 && !(context.arguments.amount == -1) }
when { if context.task.calls_used < 5 then ["a", "b"].contains(context.task.principal) else true };

@id("pay.rate")
forbid(principal, action == Action::"payments.batch.submit", resource)
when { context.arguments has rate && context.arguments.rate.lessThan(decimal("0.5")) };

@id("delete") permit(principal is Agent in UseCase::"support", action, resource is Volume)
when { context.history.started_here < 9 && context.risk.score < 50 && !context.windows.freeze }
when { principal.environment == "staging" && context.agent has grade && resource != Volume::"\\u{7d}" };
"""
SHORT: Final = (
    '@id("a") permit(principal, action, resource) when { {"k": [1, -2]}["k"].contains(context.now) };'
)
EVERYTHING: Final = """
@id("looks.case") permit(principal, action in [Action::"read", Action::"write"], resource)
when { context.arguments.case != "" || context.arguments.case like "*" };
@id("looks.pay") permit(principal, action in Action::"pay", resource)
when { context.arguments.batch != "" || context.arguments.batch == "" }
when { if context.arguments has amount then context.arguments.amount < 1 || context.arguments.amount >= 1 else true }
when { if context.arguments has count then context.arguments.count < 1 || context.arguments.count >= 1 else true }
when { if context.arguments has rate then context.arguments.rate.lessThan(decimal("1.0")) || true else true }
when { if context.arguments has tags then ["x"].containsAll(context.arguments.tags) || true else true };
@id("looks.delete") permit(principal, action in Action::"delete", resource)
when { context.arguments.volume like "*" };
"""
TRIALS: Final = (
    Trial(),
    Trial(arguments={"case": "1"}, proof="mtls"),
    Trial(capability="crm.note.write", arguments={"case": "4711", "urgent": True}),
    Trial(
        agent="finance-agent",
        capability="payments.batch.submit",
        arguments={"batch": "7", "amount": 500_001, "rate": "0.25", "tags": ["a"], "count": -1},
    ),
    Trial(agent="staging-agent", capability="volumes.volume.delete", arguments={"volume": "}"}),
)
CALLS: Final[tuple[dict[str, JSONValue], ...]] = (
    {"case": "4711", "urgent": None},
    {"batch": "7", "amount": -5, "rate": "-12.3450", "tags": ["a", "é"], "count": 2**53 - 1},
    {"batch": "", "tags": [], "rate": "0.5", "more": {"unknown": [1.5, None, True]}},
    {"volume": "\u2028 \u0000"},
)
POLICY_MESSAGE_CHARS_MAX: Final = 12_000
"""All faults of a set are told together, up to twenty."""


def policies(sent: bytes) -> None:
    """A policy text: refused, or it decides by slice as it does whole, and reads the same again."""
    text = sent.decode("utf-8", "surrogateescape")
    found = published(text, REGISTRY)
    if published(text, REGISTRY).digest != found.digest:
        raise AssertionError("the same text has two digests")
    sliced, whole = CedarDecisionPoint(found), CedarDecisionPoint(found, slicing=False)
    for trial in TRIALS:
        verified, facts = trial.verified(), trial.facts()
        decision = sliced.decide(verified, facts)
        if _plain(decision) != _plain(whole.decide(verified, facts)):
            raise AssertionError(f"slice and whole set differ: {decision}")


def _plain(decision: Decision) -> Decision:
    """Without what an error says: it may name members that a slice leaves out."""
    if decision.determined_by == ("policy.error",):
        return msgspec.structs.replace(decision, reasons=())
    return decision


def pieces(sent: bytes) -> None:
    """What we take for one policy is one for Cedar, too, and nothing is lost between two."""
    text = sent.decode("utf-8", "surrogateescape")
    found = statements(text)
    joined = "".join(piece.text for piece in found)
    if not text.startswith(joined) or re.sub(r"//[^\n]*", "", text[len(joined) :]).strip():
        raise AssertionError("a part of the text is in no policy")
    lines = [piece.line for piece in found]
    if lines != sorted(lines):
        raise AssertionError("policies are out of order")


@cache
def _place() -> Path:
    """An empty directory for what documents point at."""
    return Path(tempfile.mkdtemp(prefix="answerable-fuzz-"))


def registry_file(sent: bytes) -> None:
    """A YAML file of registry documents: every fault has its line, what is sound is applied whole."""
    reading = read_text(sent.decode("utf-8", "replace"), file="r.yaml", directory=_place())
    for fault in (*reading.faults, *(reading.located(one) for one in faults_of(reading.documents))):
        if "\n" in fault or not re.match(r"r\.yaml:[0-9]+: ", fault):
            raise AssertionError(f"not a line with its place: {fault!r}")
    if not reading.faults:
        _registered(reading.documents)


def registry_json(sent: bytes) -> None:
    """Documents as the control API takes them."""
    documents = parse(sent)
    _registered(tuple(documents) if isinstance(documents, list) else (documents,))


def _registered(documents: tuple[JSONValue, ...]) -> None:
    if faults_of(documents):
        return
    snapshot = snapshot_of(documents)
    for one in inactive(documents):
        if not one.missing and not one.reasons:
            raise AssertionError(f"{one.name} is not in force and nobody says why")
    again = snapshot_of([parse(encode(one)) for one in reversed(documents)])
    if again.digest != snapshot.digest or len({document_key(one) for one in documents}) != len(documents):
        raise AssertionError("the same documents make two registries")
    compiled(policy_text(snapshot), snapshot)


@cache
def _looking() -> CedarDecisionPoint:
    return CedarDecisionPoint(published(EVERYTHING, REGISTRY))


def arguments(sent: bytes) -> None:
    """The arguments of a call: refused, not mappable, or seen by policies that look at every one without an error."""
    value = parse(sent)
    request = action_request(
        server="crm", method="tools/call", target="t", arguments=value, mandate_id="m", message_digest=b""
    )
    for name, capability in CAPABILITIES.items():
        mapped = mapped_arguments(capability.arguments, request.arguments)
        verified = _verified(name, request.arguments)
        decision = _looking().decide(verified, Trial().facts())
        wanted = "deny" if isinstance(mapped, Unmappable) else "allow"
        if decision.effect != wanted or "policy.error" in decision.determined_by:
            raise AssertionError(f"{name}: {mapped} is {decision}")


def _verified(capability: str, own: dict[str, JSONValue], resource: str = "any") -> VerifiedRequest:
    verified = Trial(capability=capability, arguments={CAPABILITIES[capability].resource.argument: "x"})
    return msgspec.structs.replace(verified.verified(), arguments=own, resource_id=resource)


@cache
def _naming() -> tuple[CedarDecisionPoint, CedarDecisionPoint]:
    found = published(POLICIES, REGISTRY)
    return CedarDecisionPoint(found), CedarDecisionPoint(found, slicing=False)


def context_values(sent: bytes) -> None:
    """Lines of text as what is touched, who asks and for what: all are text to Cedar, never an expression."""
    texts = [*sent.decode("utf-8", "replace").split("\n"), "", "", ""][:3]
    for trial in TRIALS:
        own = trial.verified()
        mandate = replace(own.mandate, principal=PrincipalId(texts[1]), id=MandateId(texts[2]))
        verified = msgspec.structs.replace(own, resource_id=texts[0], mandate=mandate)
        sliced, whole = (point.decide(verified, trial.facts()) for point in _naming())
        if sliced != whole or "policy.error" in sliced.determined_by:
            raise AssertionError(f"slice and whole set differ, or one errs: {sliced} {whole}")


def samples() -> dict[str, tuple[bytes, ...]]:
    """Valid bytes for each of the parsers here."""
    documents = with_parts(**PARTS)
    documents_yaml = "---\n".join(json.dumps(one, indent=1) + "\n" for one in documents)
    declared = [one for one in documents if one["kind"] in ("PolicySet", "Capability")]
    return {
        "policies": (POLICIES.encode(), SHORT.encode()),
        "registry_file": (documents_yaml.encode(), _YAML.encode()),
        "registry_json": (encode(documents), *(encode(one) for one in declared)),
        "arguments": tuple(encode(one) for one in CALLS),
        "context_values": (
            b"4711\nmaria\nm-1",
            b'{"__entity":1}\n__extn\nPrincipal::"x"',
            "\u202e\n\x00\n'".encode(),
        ),
    }


_YAML: Final = """\
apiVersion: answerable/v1
kind: UseCase
metadata: {name: billing}
spec:
  purpose: >-
    Bill customers
    once a month
---
# Two documents of one file.
apiVersion: answerable/v1
kind: Principal
metadata:
  name: ada
spec:
  displayName: "Ada \\u00e9"
  groups: [leads, 'on call']
"""
