"""The sample registry with one thing changed, and the fault that this is."""

from __future__ import annotations

import copy

from answerable.core.registry.parsing.active import faults_of
from answerable.testing.samples import registry_documents


def with_change(name, path, value):
    """The sample registry with one member set, or removed for `...`; and that document's index."""
    documents = copy.deepcopy(registry_documents())
    index = next(i for i, d in enumerate(documents) if d["metadata"]["name"] == name)
    node = documents[index]
    *steps, last = path
    for step in steps:
        node = node[step]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return documents, index


def only_fault(name, path, value):
    documents, index = with_change(name, path, value)
    faults = [fault for fault in faults_of(documents) if fault.document == index]
    assert len(faults) == 1, faults
    return faults[0]


def check_fault(name, path, value, at, code, says):
    """One change to one document of the sample is one fault, told in one line, at its place."""
    fault = only_fault(name, path, value)
    assert (fault.path, fault.code) == (at, code)
    assert says in fault.message
    assert fault.message == fault.message.strip()
    assert "\n" not in fault.message
