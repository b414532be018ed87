"""The sample registry whose one policy set declares things, and the faults that it has."""

from __future__ import annotations

import copy

from answerable.core.registry.documents.documents import PolicySetDocument
from answerable.core.registry.parsing.active import faults_of
from answerable.core.registry.parsing.parse import shapes_of
from answerable.testing.samples import POLICIES, document, registry_documents

TRACKER = {
    "name": "refunds",
    "over": "agent",
    "within": "24h",
    "capabilities": ["crm.refund"],
    "sum": "amount",
}
SEQUENCE = {
    "name": "approved_first",
    "over": "mandate",
    "sameResource": True,
    "steps": [{"event": "approved"}, {"event": "started", "kinds": ["pay"]}],
}
WINDOW = {"name": "freeze", "begins": "2026-12-20T18:00:00Z", "ends": "2027-01-02T00:00:00Z"}
CLASS = {"name": "ours", "type": "host", "members": ["example.com", "*.example.com"]}
FACTOR = {"name": "much", "points": 40, "fact": "history", "of": "refunds", "atLeast": 100_000}
PARTS = {"trackers": [TRACKER, SEQUENCE], "windows": [WINDOW], "destinations": [CLASS], "risk": [FACTOR]}


def with_parts(*sets, **parts):
    """The sample registry with these parts in its policy set, and further policy sets of nothing but parts."""
    documents = [one for one in registry_documents() if one["kind"] != "PolicySet"]
    documents.append(document("PolicySet", "house", {"policies": POLICIES, **parts}))
    for number, more in enumerate(sets):
        documents.append(document("PolicySet", f"more-{number}", {"policies": POLICIES, **more}))
    return copy.deepcopy(documents)


def faults(documents):
    return [(fault.path, fault.code) for fault in faults_of(documents)]


def read_parts(**parts):
    """What is read of sound parts."""
    shapes = shapes_of(with_parts(**parts))
    assert shapes.faults == ()
    (found,) = (one.noun for one in shapes.nouns if isinstance(one.noun, PolicySetDocument))
    return found.parts


def told(**parts):
    """Place, code and message of the only fault."""
    (fault,) = faults_of(with_parts(**parts))
    assert "\n" not in fault.message
    return fault.path, fault.code, fault.message


def without(part, *keys, **changes):
    """A part with some members taken away and others set."""
    return {**{key: value for key, value in part.items() if key not in keys}, **changes}


def of(fact, **more):
    """A factor of that fact."""
    return {"name": "some", "points": 10, "fact": fact, **more}
