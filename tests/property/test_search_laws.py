"""A search finds what a plain scan of the whole ledger finds, after any history and however the index was made."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answerable.core.ledger.tags import Tag
from answerable.core.search.query import parsed_cursor
from answerable.flows.forensics.search_ledger import catch_up
from tests.probes.example_counts import examples
from tests.worlds.index_files import rows_of
from tests.worlds.searched import HOSTILE, HOUR, PAGE, Scan, Searched

pytestmark = pytest.mark.requirement("SEARCH-02")

AGENTS, PERSONS, CASES = ("scout", "rover", HOSTILE[0]), ("ada", "bela"), ("4711", "4712", HOSTILE[3])
APPROVALS, HOLDS = ("a-1", "a-2"), ("h-1",)
LEASES = ("mfzwizltoqqgk3tuonxxezdbna", "nfzwizltoqqgk3tuonxxezdbna")
ACCOUNTS = ("app_rw", "app_ro")

actions = st.builds(
    lambda tag, agent, person, case, amount, to, lease, leased, approval, hold, late: (
        lambda s: s.action(
            agent,
            tag=tag,
            person=person,
            resource=case,
            amount=amount,
            destinations=to,
            lease=lease,
            leased=leased,
            approval=approval,
            hold=hold,
            reason=f"case {case} of {person}",
            at=s.at - late,
        )
    ),
    st.sampled_from((Tag.INTENT, Tag.INTENT, Tag.REFUSAL, Tag.APPROVAL_ASKED)),
    st.sampled_from(AGENTS),
    st.sampled_from(PERSONS),
    st.sampled_from(CASES),
    st.sampled_from((None, 5, 500)),
    st.lists(st.sampled_from(("a@x.test", "b@x.test", HOSTILE[1])), max_size=3, unique=True),
    st.sampled_from(("", *LEASES)),
    st.booleans(),
    st.sampled_from(("", *APPROVALS)),
    st.sampled_from(("", *HOLDS)),
    st.sampled_from((0, 0, HOUR)),
)
ends = st.builds(
    lambda back, status, session: (
        lambda s: s.end(max(0, s.ledger.size - back), status, **({"pg_session": session} if session else {}))
    ),
    st.integers(1, 30),
    st.sampled_from(("succeeded", "failed", "indeterminate")),
    st.sampled_from(("", "6a.1", "6a.2", HOSTILE[5])),
)
others = st.one_of(
    st.builds(lambda a, p: lambda s: s.answer(a, p), st.sampled_from(APPROVALS), st.sampled_from(PERSONS)),
    st.builds(lambda x, a: lambda s: s.lease(x, a), st.sampled_from(LEASES), st.sampled_from(ACCOUNTS)),
    st.builds(
        lambda a, h: lambda s: s.finding(a, sealed=h),
        st.sampled_from((*ACCOUNTS, "maria", HOSTILE[2])),
        st.booleans(),
    ),
    st.builds(lambda n: lambda s: s.lease(*s.account_lease(max(1, s.made - n))), st.integers(0, 3)),
    st.builds(lambda h, a: lambda s: s.hold(h, a), st.sampled_from(HOLDS), st.sampled_from(AGENTS)),
    st.builds(lambda a: lambda s: s.door(a), st.sampled_from(AGENTS)),
    st.builds(
        lambda a, p, c: lambda s: s.mandate(a, p, cited=c),
        st.sampled_from(AGENTS),
        st.sampled_from(PERSONS),
        st.booleans(),
    ),
)
histories = st.lists(st.one_of(actions, actions, ends, others), min_size=1, max_size=40)

WORDS = (
    *(f"agent:{one}" for one in AGENTS),
    *(f"person:{one}" for one in (*PERSONS, "carol", "nobody", "stopnotes")),
    *(f"approver:{one}" for one in PERSONS),
    *(f"resource:{one}" for one in (*CASES, "none")),
    *(f"subject:Customer:{one}" for one in CASES),
    *(f"destination:{one}" for one in ("a@x.test", "b@x.test", HOSTILE[1])),
    *(f"approval:{one}" for one in APPROVALS),
    *(f"hold:{one}" for one in HOLDS),
    *(f"{field}:{one}" for field in ("named", "stopped") for one in AGENTS),
    *(f"lease:{one}" for one in LEASES),
    *(f"account:{one}" for one in (*ACCOUNTS, "maria", HOSTILE[2])),
    *(f"session:{one}" for one in ("6a.1", "pg_session:6a.2", "ssh_serial:6a.1", HOSTILE[5])),
    *(f"outcome:{one}" for one in ("succeeded", "failed", "indeterminate", "open", "refused", "asked")),
    *(f"decision:{one}" for one in ("allow", "deny", "defer")),
    *(f"kind:{one}" for one in ("intent", "refusal", "hold_placed", "lease", "approval_answer", "log_finding")),
    *(f"rule:{one}" for one in ("all", "second", "stopnotes")),
    "code:policy.forbidden", "server:crm", "use-case:support", "capability:crm.read", "target:pg-main",
    "key:thumb-rover", "mandate:m-scout", "text:case", "text:4711", "text:loops", "text:fine", "text:nothing",
    f"action:{1:032x}",
)  # fmt: skip
searches = st.lists(st.lists(st.sampled_from(WORDS), max_size=4, unique=True), min_size=5, max_size=12)


def check_count(counted: int, found: list[int], words: list[str]) -> None:
    """What the index counts is what is found; but it may count a session that a later end of the action leaves out."""
    if any(one.startswith("session:") for one in words):
        assert counted >= len(found), words
    else:
        assert counted == len(found), words


def lived(place: Path, history: list[Callable[[Searched], object]], catching_up: int) -> Searched:
    """A history, with an index that follows after every so many entries."""
    searched = Searched(place)
    index = searched.opened("live")
    for number, one in enumerate(history):
        one(searched)
        if number % catching_up == 0:
            catch_up(index, searched.ledger, searched.find)
    catch_up(index, searched.ledger, searched.find)
    index.close()
    return searched


@settings(max_examples=examples(20), deadline=None)
@given(history=histories, asked=searches, catching_up=st.sampled_from((1, 3, 100)))
def test_every_search_finds_what_a_plain_scan_finds(
    history: list[Callable[[Searched], object]], asked: list[list[str]], catching_up: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        searched = lived(Path(folder), history, catching_up)
        index, scan = searched.opened("live"), Scan(searched)
        for words in [*([one] for one in WORDS), *asked]:
            found = scan.find(*words)
            assert searched.found(index, *words) == found, words
            check_count(searched.counted(index, *words), found, words)
        index.close()


@settings(max_examples=examples(20), deadline=None)
@given(history=histories, catching_up=st.sampled_from((1, 3)))
@pytest.mark.requirement("SEARCH-03")
def test_an_index_that_is_made_anew_is_the_one_that_followed(
    history: list[Callable[[Searched], object]], catching_up: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        searched = lived(place, history, catching_up)
        searched.caught_up("anew").close()
        assert rows_of(place / "anew") == rows_of(place / "live")


@settings(max_examples=examples(20), deadline=None)
@given(history=histories, asked=searches)
def test_pages_together_are_the_whole_answer(
    history: list[Callable[[Searched], object]], asked: list[list[str]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        searched = lived(Path(folder), history, 100)
        index = searched.opened("live")
        for words in ([], *asked):
            found, after = [], None
            while True:
                page = searched.page(index, *words, limit=PAGE, after=after)
                found += [one.facts.entry for one in page.hits]
                assert len(page.hits) == PAGE or not page.next
                if not page.next:
                    break
                after = parsed_cursor(page.next)
            assert found == searched.found(index, *words)
        index.close()


@settings(max_examples=examples(20), deadline=None)
@given(
    history=histories,
    asked=searches,
    whose=st.sampled_from((*(f"Customer:{one}" for one in CASES), "Logs")),
)
@pytest.mark.requirement("SEARCH-05")
def test_after_an_erasure_a_search_finds_what_a_plain_scan_can_still_open(
    history: list[Callable[[Searched], object]], asked: list[list[str]], whose: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        searched = lived(Path(folder), history, 3)
        searched.erase(whose)
        index, scan = searched.caught_up("live"), Scan(searched)
        for words in [*([one] for one in WORDS), *asked]:
            found = scan.find(*words)
            assert searched.found(index, *words) == found, words
            check_count(searched.counted(index, *words), found, words)
        index.close()
