"""Parse the spec of a MandateTemplate document."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.core.identity.names.principal import AgentId
from answerable.core.registry.documents.budget_name import CALLS, checked_budget, is_amount
from answerable.core.registry.documents.documents import GrantTemplate, MandateTemplate, TemplateParameter
from answerable.core.registry.documents.fields import checked_pattern, matching, nearest, type_name
from answerable.core.registry.documents.placeholders import placeholders_in
from answerable.core.registry.parsing.spec_destination import allowed_in
from answerable.core.registry.parsing.spec_limits import ceiling_in, delegation_in, kinds_in
from answerable.core.registry.parsing.spec_shared import ARGUMENT_NAME, INTEGER_MAX, name_of, on_one_line
from answerable.errors import Malformed, shown
from answerable.errors.codes.documents import (
    DOCUMENT_DUPLICATE,
    DOCUMENT_PATTERN,
    DOCUMENT_RANGE,
    DOCUMENT_TYPE,
)
from answerable.errors.codes.mandate import BUDGET_AMOUNT, BUDGET_NAME
from answerable.errors.codes.registry import TEMPLATE_GRANTS, TEMPLATE_PARAMETER_UNUSED, TEMPLATE_PLACEHOLDER

if TYPE_CHECKING:
    from answerable.core.registry.documents.capability import ArgumentType
    from answerable.core.registry.documents.fields import Fields

TEMPLATE_KEYS: Final = (
    "useCase", "agent", "purpose", "grants", "parameters", "environment", "callsMax", "ttlSeconds", "budgets",
    "ceiling", "kinds", "systems", "delegation",
)  # fmt: skip
GRANT_KEYS: Final = ("capability", "resources", "arguments", "maxima", "destinations")
PARAMETER_KEYS: Final = ("name", "pattern", "type", "title")
TTL_SECONDS_MAX: Final = 90 * 24 * 3600
CALLS_MAX: Final = 1_000_000
TITLE_CHARS_MAX: Final = 100

_PARAMETER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def template_in(spec: Fields, name: str) -> MandateTemplate:
    """Read the spec. Records faults, and never raises."""
    parameters = _parameters(spec)
    purpose = spec.text("purpose", check=placeholders_in)
    grants = tuple(_grant(item) for item in spec.sections("grants", GRANT_KEYS))
    if not grants:
        spec.fault("a template must have at least one grant", "grants", code=TEMPLATE_GRANTS.id)
    template = MandateTemplate(
        name=name,
        use_case=spec.text("useCase", check=name_of("use case")),
        agent=AgentId(spec.text("agent", check=name_of("agent"))),
        purpose=purpose,
        grants=grants,
        parameters=parameters,
        environment=spec.text("environment", default="", check=name_of("environment")),
        calls_max=spec.integer("callsMax", minimum=1, maximum=CALLS_MAX, default=100),
        ttl_seconds=spec.integer("ttlSeconds", minimum=1, maximum=TTL_SECONDS_MAX, default=3600),
        budgets=_budgets(spec, parameters),
        ceiling=ceiling_in(spec),
        kinds=kinds_in(spec),
        systems=spec.texts("systems", check=name_of("server")),
        delegation=delegation_in(spec),
    )
    _check_placeholders(spec, template)
    return template


def _grant(item: Fields) -> GrantTemplate:
    arguments: list[tuple[str, str | int | bool]] = []
    for name, value in item.pairs("arguments"):
        if not ARGUMENT_NAME.fullmatch(name):
            item.fault(f"{shown(name)} is not an argument name", "arguments", name, code=DOCUMENT_PATTERN.id)
        elif not isinstance(value, str | int):
            message = f"expected text, an integer or true or false, got {type_name(value)}"
            item.fault(message, "arguments", name, code=DOCUMENT_TYPE.id)
        elif type(value) is int and abs(value) > INTEGER_MAX:
            item.fault("integer beyond 2^53 - 1", "arguments", name, code=DOCUMENT_RANGE.id)
        elif isinstance(value, str) and (why := _placeholder_fault(value)):
            item.fault(why, "arguments", name, code=TEMPLATE_PLACEHOLDER.id)
        else:
            arguments.append((name, value))
    maxima: list[tuple[str, int]] = []
    for name, value in item.pairs("maxima"):
        if not ARGUMENT_NAME.fullmatch(name):
            item.fault(f"{shown(name)} is not an argument name", "maxima", name, code=DOCUMENT_PATTERN.id)
        elif type(value) is not int or abs(value) > INTEGER_MAX:
            item.fault("expected an integer within 2^53 - 1", "maxima", name, code=DOCUMENT_TYPE.id)
        else:
            maxima.append((name, value))
    return GrantTemplate(
        capability=item.text("capability", check=name_of("capability")),
        resources=item.texts("resources", check=placeholders_in),
        arguments=tuple(arguments),
        maxima=tuple(maxima),
        destinations=allowed_in(item),
    )


def _budgets(spec: Fields, parameters: tuple[TemplateParameter, ...]) -> tuple[tuple[str, int | str], ...]:
    """Read limits by name: whole numbers, or one placeholder of a whole-number parameter."""
    whole = {f"{{{one.name}}}" for one in parameters if one.type in ("integer", "minor_units")}
    found: list[tuple[str, int | str]] = []
    for name, value in spec.pairs("budgets"):
        try:
            checked_budget(name)
        except Malformed as error:
            spec.fault(error.message, "budgets", name, code=error.code)
            continue
        if name == CALLS:
            spec.fault("the number of calls is limited by `callsMax`", "budgets", name, code=BUDGET_NAME.id)
        elif (isinstance(value, str) and value in whole) or (type(value) is int and is_amount(value)):
            found.append((name, value))
        else:
            spec.fault(
                "expected a whole number from 0 to 2^53 - 1, or one `{parameter}` of type integer or minor_units",
                "budgets",
                name,
                code=BUDGET_AMOUNT.id,
            )
    return tuple(found)


def _parameters(spec: Fields) -> tuple[TemplateParameter, ...]:
    types: tuple[ArgumentType, ...] = ("string", "boolean", "integer", "minor_units", "decimal")
    found: list[TemplateParameter] = []
    for item in spec.sections("parameters", PARAMETER_KEYS):
        name = item.text("name", check=matching(_PARAMETER, "a parameter name: letters, digits and _"))
        if name and any(name == earlier.name for earlier in found):
            item.fault(f"parameter {shown(name)} is declared twice", "name", code=DOCUMENT_DUPLICATE.id)
        pattern = item.text("pattern", check=checked_pattern)
        found.append(
            TemplateParameter(
                name=name,
                pattern=pattern,
                type=item.choice("type", types, default="string"),
                title=item.text("title", default="", chars_max=TITLE_CHARS_MAX, check=on_one_line),
            )
        )
    return tuple(found)


def _check_placeholders(spec: Fields, template: MandateTemplate) -> None:
    """Check that every placeholder is declared, and every declared parameter is used."""
    texts: list[tuple[str, tuple[str | int, ...]]] = [(template.purpose, ("purpose",))]
    for number, grant in enumerate(template.grants):
        at = ("grants", number)
        texts += [(text, (*at, "resources", i)) for i, text in enumerate(grant.resources)]
        texts += [
            (value, (*at, "arguments", name)) for name, value in grant.arguments if isinstance(value, str)
        ]
        allowed = grant.destinations[1] if grant.destinations is not None else ()
        texts += [(text, (*at, "destinations", "oneOf", i)) for i, text in enumerate(allowed)]
    texts += [(value, ("budgets", name)) for name, value in template.budgets if isinstance(value, str)]
    declared = tuple(parameter.name for parameter in template.parameters)
    used: set[str] = set()
    for text, where in texts:
        for name in placeholders_in(text):
            used.add(name)
            if name not in declared:
                message = f"placeholder {shown(name)} is not a declared parameter{nearest(name, declared)}"
                spec.fault(message, *where, code=TEMPLATE_PLACEHOLDER.id)
    for index, name in enumerate(declared):
        if name and name not in used:
            spec.fault(
                f"parameter {shown(name)} is used nowhere",
                "parameters",
                index,
                code=TEMPLATE_PARAMETER_UNUSED.id,
            )


def _placeholder_fault(text: str) -> str:
    try:
        placeholders_in(text)
    except Malformed as error:
        return error.message
    return ""
