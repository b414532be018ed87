"""What another process stored waits until it is taken over, and never comes in place of what is later."""

from __future__ import annotations

import pytest

from answerable.core.registry.parsing.active import stored_form
from answerable.core.registry.parsing.in_force import Coming, DocumentsInForce, in_force
from answerable.testing.samples import document, registry_documents

pytestmark = pytest.mark.requirement("PUB-10")

FIRST = stored_form(registry_documents())
SECOND = {**FIRST, **stored_form([document("Principal", "eve", {"groups": ["sales"]})])}


def coming(known: DocumentsInForce) -> Coming:
    assert known.coming is not None
    return known.coming


def test_what_is_seen_is_coming_and_in_force_when_it_is_taken_over():
    known = DocumentsInForce()
    known.see(FIRST)
    news = coming(known)
    assert (news.documents, dict(known.present.documents)) == (FIRST, {})
    known.see(dict(FIRST))
    assert known.coming is news, "the same documents are no news"
    assert known.take_over(news, in_force(news.documents))
    assert [known.present.documents, known.coming] == [FIRST, None]
    assert known.present.index.resolve("crm", "tools/call", "get_case") is not None
    assert not known.take_over(news, in_force(news.documents)), "and once only"


def test_the_later_of_two_stays_coming_while_the_earlier_is_taken_over():
    known = DocumentsInForce()
    known.see(FIRST)
    first = coming(known)
    known.see(SECOND)
    second = coming(known)
    assert known.take_over(first, in_force(FIRST))
    assert known.coming is second
    assert known.take_over(second, in_force(SECOND))
    assert not known.take_over(first, in_force(FIRST))
    assert known.present.documents == SECOND


def test_what_was_seen_before_this_process_stored_something_never_comes():
    known = DocumentsInForce()
    known.see(FIRST)
    news = coming(known)
    known.put(in_force(SECOND))
    assert known.coming is None
    assert not known.take_over(news, in_force(FIRST))
    assert known.present.documents == SECOND


def test_what_was_taken_back_where_it_was_stored_never_comes():
    known = DocumentsInForce()
    known.put(in_force(FIRST))
    known.see(SECOND)
    news = coming(known)
    known.see(FIRST)
    assert known.coming is None
    assert not known.take_over(news, in_force(SECOND))
    known.see(SECOND)
    assert known.take_over(coming(known), in_force(SECOND)), "unless it is stored again"
