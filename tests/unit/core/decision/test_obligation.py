"""Claims about how obligations are written, read and joined."""

from __future__ import annotations

import re

import pytest

from answerable.core.decision.obligation import (
    ANNOTATION_CHARS_MAX,
    KINDS,
    NO_DUTIES,
    OBLIGATIONS_MAX,
    Narrowing,
    Place,
    duties_of,
    kinds_of,
    obligations_in,
)
from answerable.errors import Malformed


@pytest.mark.parametrize(
    ("written", "spelt"),
    [
        ("redact:/email", ("redact:/email",)),
        (" redact : /a/b , /rows/*/c? ;mask:/iban ", ("redact:/a/b", "redact:/rows/*/c?", "mask:/iban")),
        ("redact:/a~1b~0c", ("redact:/a~1b~0c",)),
        ("rows_max:100; rows_max:/rows=0", ("rows_max:100", "rows_max:/rows=0")),
        ("rows_max:/rows?=5", ("rows_max:/rows?=5",)),
        ("modify:amount <= 5000", ("modify:amount<=5000",)),
        ("modify:rate<=12.50", ("modify:rate<=12.50",)),
        ("modify:dry_run = true", ("modify:dry_run=true",)),
        ('modify:fields=["id", "na;me"]', ('modify:fields=["id","na;me"]',)),
        ('modify:region in ["eu","a\\"b"]', ('modify:region in ["eu","a\\"b"]',)),
        ("notify:finance; witnessed; log:digest", ("notify:finance", "witnessed", "log:digest")),
        ("witnessed; witnessed;", ("witnessed",)),
    ],
)
def test_an_obligation_has_one_spelling_that_reads_as_itself(written, spelt):
    assert obligations_in(written) == spelt
    for text in spelt:
        assert obligations_in(text) == (text,)
    assert duties_of(spelt) != NO_DUTIES


@pytest.mark.requirement("OBL-01")
@pytest.mark.parametrize(
    "written",
    [
        "", " ", ";", "redact", "redact:", "redact:email", "redact:/", "redact:/a//b", "redact:/a,", "redact:/a~2",
        "redact:" + "/a" * 17, "mask:/a b", "rows_max:", "rows_max:-1", "rows_max:1e3", "rows_max:=5",
        "rows_max:rows=5", "rows_max:10000000", "rows_max:/rows=", "modify:", "modify:amount", "modify:amount<5",
        "modify:amount>=5", "modify:amount<=many", "modify:amount<=1e9", "modify:amount<=0x10", "modify:amount=",
        "modify:amount=null", "modify:amount=1.5", 'modify:amount={"a":1}', "modify:region in eu",
        'modify:region in "eu"', "modify:region in []", "modify:region in [[1]]", "modify:a b=1",
        "modify:region in [" + ",".join("1" * 65) + "]", "notify:", "notify:Finance", "notify:a b",
        "witnessed:yes", "log", "log:none", "encrypt:/a", "Redact:/a", "redact:/a; drop:/b", 'modify:x="a',
        "redact:/a; x" * 200,
    ],
)  # fmt: skip
def test_what_is_not_understood_is_no_obligation(written):
    with pytest.raises(Malformed) as fault:
        obligations_in(written)
    assert fault.value.code == "obligation.unknown"
    assert "\n" not in fault.value.message
    assert len(fault.value.message) < 400


@pytest.mark.requirement("OBL-01")
def test_what_a_decision_asks_for_must_be_spelt_as_publication_spells_it():
    for odd in ("redact: /a", "redact:/a,/b", "Witnessed", "witnessed ", "escrow:5", ""):
        with pytest.raises(Malformed) as fault:
            duties_of((odd,))
        assert fault.value.code == "obligation.unknown"
    with pytest.raises(Malformed):
        duties_of(("redact:/" + "a" * ANNOTATION_CHARS_MAX,))


def test_an_unknown_kind_is_told_the_known_ones():
    with pytest.raises(Malformed, match=", ".join(KINDS)):
        obligations_in("redacted:/a")


@pytest.mark.requirement("OBL-02")
@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("log:none", "use `log:full` or `log:digest`"),
        ("notify:", "use `notify:group`"),
        ("witnessed:2", "use `witnessed` alone"),
        ("redact:", "use `redact:/pointer,…`"),
        ("redact:/email, mask:/name", "put `;` before the next obligation"),
    ],
)
def test_what_is_half_right_is_told_its_form(written, said):
    with pytest.raises(Malformed, match=re.escape(said)):
        obligations_in(written)


def test_of_several_the_strictest_holds():
    duties = duties_of(
        (
            "mask:/iban", "redact:/iban", "mask:/name", "redact:/email?", "redact:/email", "rows_max:/rows=100",
            "rows_max:/rows?=20", "rows_max:5", "notify:b", "notify:a", "witnessed", "log:full",
        )
    )  # fmt: skip
    assert duties.redact == (Place(path=("email",)), Place(path=("iban",)))
    assert duties.mask == (Place(path=("name",)),)
    assert duties.rows == ((Place(path=()), 5), (Place(path=("rows",)), 20))
    assert duties.notify == ("a", "b")
    assert duties.witnessed
    assert duties.log == "full"
    assert duties.about_answer


@pytest.mark.requirement("OBL-02")
def test_what_cannot_be_kept_together_is_a_conflict():
    with pytest.raises(Malformed) as fault:
        duties_of(("log:full", "log:digest"))
    assert fault.value.code == "obligation.conflict"
    with pytest.raises(Malformed) as fault:
        obligations_in("log:full; log:digest")
    assert fault.value.code == "obligation.conflict"


def test_the_number_of_obligations_is_bounded():
    most = tuple(f"redact:/f{number}" for number in range(OBLIGATIONS_MAX))
    assert len(duties_of(most).redact) == OBLIGATIONS_MAX
    with pytest.raises(Malformed):
        duties_of((*most, "witnessed"))


def test_narrowings_are_read_as_what_they_bound():
    found = duties_of(('modify:a in ["x",1]', "modify:b=true", "modify:c<=12.50")).narrow
    assert found == (
        Narrowing(argument="a", how="one_of", bound=["x", 1]),
        Narrowing(argument="b", how="exactly", bound=True),
        Narrowing(argument="c", how="at_most", bound="12.50"),
    )


def test_a_pointer_says_what_it_stands_for():
    assert Place(path=("a/b", "c~d", "*")).text == "/a~1b/c~0d/*"
    (place,) = duties_of(("redact:/a~1b/c~0d/*?",)).redact
    assert place == Place(path=("a/b", "c~d", "*"), optional=True)


def test_kinds_are_named_once_and_in_order():
    assert kinds_of(("witnessed", "redact:/b", "redact:/a", "log:full")) == ("log", "redact", "witnessed")
    assert duties_of(()) is NO_DUTIES
