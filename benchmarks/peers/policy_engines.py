"""The rules of the policy benchmark as Rego and as CEL, each asked in a loop: reads one JSON object, prints another.

In an environment of its own, without the product. Thread CPU clock, best of several rounds, as for our own figures.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import regorus  # type: ignore[import-not-found]
from cel_expr_python import cel  # type: ignore[import-not-found]

RULES_PER_MODULE = 1_000
"""A module may have a mebibyte."""
MACHINE_RULES_MAX = 2_500
REGO_DECISION = "data.bench.decision"
Asking = tuple[Callable[[], str], str]
"""How to ask, and how that is done."""
REGO_MODULE = """package bench

import rego.v1
"""
REGO_HEAD = f"""{REGO_MODULE}
default permitted := false

default forbidden := false

default decision := "deny"

decision := "allow" if {{
    permitted
    not forbidden
}}
"""


def main() -> None:
    """One cell after another."""
    asked = json.load(sys.stdin)
    rows = [
        {"engine": name, **cell, **_measured(make, cell, asked)}
        for cell in asked["cells"]
        for name, make in ENGINES.items()
    ]
    json.dump(rows, sys.stdout)


def _measured(make: Callable[..., Asking], cell: dict[str, int], asked: dict[str, Any]) -> Any:
    own = [*asked["rules"][: cell["policies"] - 1], asked["allowed"]]
    entities = {f"agent-{number:05}": {"use_case": f"case-{number}"} for number in range(cell["entities"])}
    started = time.thread_time()
    ask, how = make(own, entities, asked["input"])
    ready = time.thread_time() - started
    if ask() != "allow":
        raise RuntimeError("the rules mean something else here")
    return {
        **timed(ask, asked["timed"], asked["seconds"], asked["rounds"]),
        "publish_s": round(ready, 3),
        "how": how,
    }


def timed(ask: Callable[[], object], most: int, seconds: float, rounds: int) -> dict[str, Any]:
    """As `timed` in benchmarks/policy_grid.py."""
    once = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        ask()
        once = min(once, max(time.perf_counter() - start, 1e-6))
    times = max(1, min(most, int(seconds / once / rounds)))
    best = float("inf")
    for _ in range(rounds):
        began = time.thread_time_ns()
        for _ in range(times):
            ask()
        best = min(best, (time.thread_time_ns() - began) / times / 1_000)
    took = []
    for _ in range(max(5, min(most, int(seconds / once)))):
        before = time.perf_counter_ns()
        ask()
        took.append((time.perf_counter_ns() - before) / 1_000)
    took.sort()
    return {
        "cpu_us": round(best, 2),
        "p50_us": round(took[len(took) // 2], 1),
        "p99_us": round(took[int(len(took) * 0.99)], 1),
        "timed": len(took),
    }


def _rego_rule(rule: dict[str, Any]) -> str:
    lines = [
        f'input.principal == "{rule["agent"]}"',
        'input.action == "crm.customer.read"',
        'input.resource_type == "Customer"',
    ]
    if rule["forbids"]:
        lines += [
            f"input.context.task.calls_used > {rule['calls_over']}",
            'input.context.capability.environment == "production"',
        ]
    else:
        lines += [
            f'input.context.task.use_case == "{rule["use_case"]}"',
            f"input.context.capability.tier < {rule['tier_under']}",
        ]
    body = "".join(f"    {line}\n" for line in lines)
    return f"\n{'forbidden' if rule['forbids'] else 'permitted'} if {{\n{body}}}\n"


def rego(rules: list[dict[str, Any]], entities: dict[str, Any], given: dict[str, Any]) -> Asking:
    """For the virtual machine of regorus, which is three times as fast as its interpreter, where the rules fit into it.

    The entities are loaded beforehand; the request comes as JSON text with each call.
    """
    starts = range(0, len(rules), RULES_PER_MODULE)
    modules = [("bench.rego", REGO_HEAD)]
    modules += [
        (f"rules-{at}.rego", REGO_MODULE + "".join(map(_rego_rule, rules[at : at + RULES_PER_MODULE])))
        for at in starts
    ]
    data, text = json.dumps({"agents": entities}), json.dumps(given)
    if len(rules) > MACHINE_RULES_MAX:
        return _interpreted(modules, data, text), "interpreted: its virtual machine takes 65,535 instructions"
    machine = regorus.Rvm()
    machine.load_program(regorus.Program.compile_from_modules(data, modules, [REGO_DECISION]))
    machine.set_data_json(data)

    def ask() -> str:
        machine.set_input_json(text)
        return str(json.loads(machine.execute()))

    return ask, "virtual machine"


def _interpreted(modules: list[tuple[str, str]], data: str, text: str) -> Callable[[], str]:
    engine = regorus.Engine()
    for name, module in modules:
        engine.add_policy(name, module)
    engine.add_data_json(data)

    def ask() -> str:
        engine.set_input_json(text)
        return str(engine.eval_rule(REGO_DECISION))

    return ask


def _cel_rule(rule: dict[str, Any]) -> str:
    head = (
        f'principal == "{rule["agent"]}" && action == "crm.customer.read" && resource_type == "Customer" && '
    )
    if rule["forbids"]:
        return f'{head}context.task.calls_used > {rule["calls_over"]} && context.capability.environment == "production"'
    return f'{head}context.task.use_case == "{rule["use_case"]}" && context.capability.tier < {rule["tier_under"]}'


def cel_expressions(rules: list[dict[str, Any]], _entities: dict[str, Any], given: dict[str, Any]) -> Asking:
    """CEL has expressions and no rules that combine them: a loop asks every forbid, then permits until one holds."""
    environment = cel.NewEnv(
        variables={
            "principal": cel.Type.STRING,
            "action": cel.Type.STRING,
            "resource_type": cel.Type.STRING,
            "context": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
        }
    )
    forbids = [environment.compile(_cel_rule(rule)) for rule in rules if rule["forbids"]]
    permits = [environment.compile(_cel_rule(rule)) for rule in rules if not rule["forbids"]]

    def ask() -> str:
        asked = environment.Activation(given)
        forbidden = any(one.eval(asked).value() for one in forbids)
        return "allow" if not forbidden and any(one.eval(asked).value() for one in permits) else "deny"

    return ask, "expression by expression"


ENGINES = {"regorus (Rego)": rego, "cel-expr-python": cel_expressions}


if __name__ == "__main__":
    main()
