"""Claims about what is said of policies that people new to Cedar write."""

from __future__ import annotations

import pytest

from answerable.adapters.cedar.rules import PolicySource, rules_of
from tests.worlds.policy import REGISTRY

pytestmark = pytest.mark.requirement("SET-01")

HEAD = '@id("a")\n@reason("the pay agent pays at most 20,000.00 @ once, and not more")\n'
PAYS = f'{HEAD}permit(principal,\n  action in Action::"pay", resource)\n'


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (f"{PAYS}when {{ context.now > 2 and true }};", 5, "did you mean `&&`?"),
        (f"{PAYS}when {{ not context.agent.drifted }};", 5, "did you mean `!` instead of `not`?"),
        # The same token stands in the reason above, where it is no fault.
        (f"{PAYS}when {{ context.now > 2.00 }};", 5, "unexpected token `00`"),
        (f'{PAYS}when {{ true }} // so far\n@id("b")\npermit(principal, action, resource);', 6, "before it with `;`"),
        (f"{PAYS}when {{ context.agent.owner == \u201cada\u201d }};", 5, "use straight quotes"),
        (f'{HEAD}permti(principal, action == Action::"pay", resource);', 3, "did you mean `permit`?"),
        (f'{HEAD}permit(principal,\n  action == Action::"pay", resource);', 4, 'write `action in Action::"pay"`'),
        (f'{HEAD}permit(principal,\n  action in Action::"payment", resource);', 4, "kinds of actions are read, write"),
        (f'{HEAD}permit(principal == agent::"x", action, resource);', 3, "did you mean `Agent`?"),
        (f'{HEAD}permit(principal == User::"x", action, resource);', 3, "is `context.task.principal`"),
        (f'{HEAD}permit(principal == Principal::"x", action, resource);', 3, "`context.task.principal`"),
        (f"{HEAD}permit(principal, action, resource is Invoice);", 3, "known here: Batch, Customer"),
        (f"{PAYS}when {{ context.arguments.cents > 3 }};", 5, "`payments.batch.submit` declares batch, amount"),
        (f"{HEAD}permit(principal, action, resource)\nwhen {{ context.arguments.batch == \"3\" }};", 4, "or ask `"),
        ("\n// who?\n" + PAYS.removeprefix('@id("a")\n') + ";", 3, "this policy has no `@id`"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_on_its_line_with_what_was_meant(text: str, line: int, said: str):
    rules, faults = rules_of([PolicySource(file="rules.cedar", text=text)], REGISTRY)
    assert not rules
    assert len(faults) == 1
    assert said in faults[0].message
    assert (faults[0].file, faults[0].line) == ("rules.cedar", line)


def test_what_is_advised_is_sound():
    text = (
        f'{HEAD}permit(principal in UseCase::"supplier-payments", action, resource)\n'
        "when { context.arguments has amount && context.arguments.amount > 3 };"
    )
    rules, faults = rules_of([PolicySource(file="rules.cedar", text=text)], REGISTRY)
    assert not faults
    assert len(rules) == 1


def test_a_token_that_stands_there_too_often_is_told_without_its_place():
    text = HEAD + "permit(principal, action, resource) when { " + '"00" == "00" && ' * 60 + "2.00 > 1 };"
    (fault,) = rules_of([PolicySource(file="rules.cedar", text=text)], REGISTRY)[1]
    assert "unexpected token `00`" in fault.message
