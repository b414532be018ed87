"""A bench whose policies oblige, and looking through all that it wrote down."""

from __future__ import annotations

from answerable.core.action.outcome import Outcome
from answerable.testing.builders import Bench, bench_documents
from tests.worlds.stories import texts, told_of

PERMIT = '@id("all") @reason("for the task") permit(principal, action, resource);\n'
SECRET = "maria@example.com"


def obliging(obligations: str, *, when: str = "", name: str = "lift", more: str = "") -> str:
    escaped = obligations.replace('"', '\\"')
    action = "" if not when else ' == Action::"crm.refund"'
    condition = f" when {{ {when} }}" if when else ""
    return (
        f'@id("{name}") @reason("the reason of {name}") @oblige("{escaped}") {more}\n'
        f"forbid(principal, action{action}, resource){condition};\n"
    )


NARROW = obliging("modify:amount<=5000", when="context.arguments.amount > 5000", name="narrow")


async def bench_with(*policies: str, documents=None, **mandate) -> Bench:
    made = bench_documents("".join((PERMIT, *policies)))
    for one in made:
        (documents or (lambda document: document))(one)
    bench = await Bench().registered(made)
    await bench.issue(**mandate)
    return bench


def everything(bench: Bench) -> str:
    """Every leaf and every opened field of the log."""
    parts = []
    for stored in bench.recorder.ledger.replay():
        parts += [stored.leaf.decode(), repr(bench.opened(stored.index)[1])]
    return "\n".join(parts)


def story(bench: Bench, name: str) -> str:
    with told_of(bench.recorder) as told:
        return texts(told(name))


def answers(bench: Bench, result=None, **outcome) -> None:
    bench.upstream.answer = lambda _: Outcome(**{"status": "succeeded", "result": result, **outcome})
