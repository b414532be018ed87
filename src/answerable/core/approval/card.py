"""The card: the rendering of an action object for people, drawn only by our own templates.

A card is canonical JSON, so that terminal, page, mail and chat draw the same and an outside verifier can redraw it; its
SHA-256 is the **rendering hash**. It contains everything in the object: what no line states is in `all`, raw.

| member     | is                                                                                 |
|------------|------------------------------------------------------------------------------------|
| `template` | name and version of the template; `locale` its language                            |
| `action`   | the action hash, hex                                                               |
| `sentence` | verb, object and size, in one line                                                 |
| `badges`   | environment, what cannot be undone, tier                                           |
| `lines`    | pairs of label and text: who, for what, by which rules                             |
| `arguments`| pairs of name and text, as they will be sent; separate, because anybody may choose their names |
| `effect`   | pairs of label and text, of a dry run that had no effect; empty where there is none |
| `prepared` | pairs of label and text, of the prepared object; only where one is executed         |
| `all`      | pairs of JSON pointer (RFC 6901) and text, each leaf of the object                 |

Laws: a pure function of envelope and preview; each text is `visible`, on one line; no text is cut; of a credential the
card has only kind and fingerprint, while the action hash covers the credential itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from answerable.core.approval.action_object import object_in
from answerable.core.approval.credentials import text_without_credentials, without_credentials
from answerable.core.approval.money import money
from answerable.core.approval.prepared_lines import prepared_lines
from answerable.core.approval.visible import visible
from answerable.core.canonical import FrozenJSON, encode, freeze, parse
from answerable.core.registry.documents.capability import KIND_VERBS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from answerable.core.canonical import JSONValue

TEMPLATE: Final = "action/2"
WITH_CREDENTIALS: Final = "action/1"
"""The older template, with credentials in clear. No new card uses it; stored ones are still read."""
LOCALE: Final = "en"
TIERS: Final = ("no risk", "low risk", "high risk", "critical")
_VERBS: Final[dict[str, str]] = {str(kind): verb for kind, verb in KIND_VERBS.items()}


def card_of(
    shown: FrozenJSON, *, preview: Sequence[tuple[str, str]] = (), template: str = TEMPLATE
) -> FrozenJSON:
    """Draw the card of an envelope. preview: result of a dry run, label and text. Raises Malformed
    (`approval.object`)."""
    value = object_in(shown)
    if template != WITH_CREDENTIALS:
        value = _object(without_credentials(value, question=str(value["txn"])))
        preview = [(label, text_without_credentials(text)) for label, text in preview]
    card: dict[str, JSONValue] = {
        "action": shown.hex,
        "arguments": [
            [visible(name), visible(argument if isinstance(argument, str) else encode(argument).decode())]
            for name, argument in _object(value["arguments"]).items()
        ],
        "all": [[visible(where), visible(text)] for where, text in _leaves(value)],
        "badges": [visible(one) for one in _badges(value)],
        "effect": [[visible(label), visible(text)] for label, text in preview],
        "lines": [[label, visible(text)] for label, text in _lines(value) if text],
        "locale": LOCALE,
        "sentence": visible(_sentence(value)),
        "template": template,
    }
    prepared: list[JSONValue] = [[visible(label), visible(text)] for label, text in prepared_lines(value)]
    if prepared:
        card["prepared"] = prepared
    return freeze(card)


def is_card_of(card: FrozenJSON, shown: FrozenJSON) -> bool:
    """Whether the card is what `card_of` draws of this envelope with some effect preview of printable texts.

    Raises Malformed (`approval.object`, `json.*`).
    """
    value = parse(card.bytes)
    if not isinstance(value, dict):
        return False
    effect = value.get("effect")
    texts = (
        [text for pair in effect if isinstance(pair, list) for text in pair]
        if isinstance(effect, list)
        else [0]
    )
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        return False
    template = value.get("template")
    if template not in (TEMPLATE, WITH_CREDENTIALS):
        return False
    return card_of(shown, template=str(template)) == freeze({**value, "effect": []})


def _sentence(value: Mapping[str, JSONValue]) -> str:
    effects, resource = _object(value["effects"]), _object(value["resource"])
    verb = str(value["title"]) or _VERBS.get(str(effects["kind"]), str(effects["kind"]))
    named = f": {resource['type']} {_quoted(resource['id'])}" if resource["id"] else ""
    amounts = [money(name, int(cast("int", minor))) for name, minor in _object(value["amounts"]).items()]
    sums = f", {' and '.join(amounts)}" if amounts else ""
    goes = [_quoted(one) for one in cast("list[JSONValue]", value["destinations"])]
    to = f", to {', '.join(goes)}" if goes else ""
    return f"{verb[:1].upper()}{verb[1:]}{named}{sums}{to} ({value['target']} on {value['server']})"


def _quoted(text: JSONValue) -> str:
    """Quote text chosen by others, so that it cannot continue as if it were part of our sentence."""
    return encode(str(text)).decode()


def _badges(value: Mapping[str, JSONValue]) -> Iterator[str]:
    effects = _object(value["effects"])
    yield str(effects["environment"])
    yield TIERS[int(cast("int", effects["tier"]))]
    yield "can be undone" if effects["reversible"] else "cannot be undone"
    if effects["sensitivity"] in ("confidential", "restricted"):
        yield f"{effects['sensitivity']} data"
    if "prepared" in value:
        yield "prepared before"
    if value["narrowed_from"] is not None:
        yield "narrowed by policy"


def _lines(value: Mapping[str, JSONValue]) -> Iterator[tuple[str, str]]:
    yield "for", " → ".join(_texts(value["principals"]))
    yield "task", str(value["purpose"])
    yield "by", " → ".join([*_texts(value["chain"]), str(value["agent"])])
    yield "made of", f"manifest {str(value['manifest'])[:16]}…" if value["manifest"] else "no signed manifest"
    yield "unlike before", "; ".join(_texts(value["noted"]))
    yield "asked by", ", ".join(_texts(value["rules"]))
    needed = [cast("list[JSONValue]", one) for one in cast("list[JSONValue]", value["requirements"])]
    yield "asks", " and ".join(f"{count} of {group}" for group, count in needed)
    yield "may run without", "; ".join(f"by one of {group}" for group in _texts(value.get("break_glass", [])))


def _leaves(value: JSONValue, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield each leaf with its pointer; an empty container is a leaf. Depth is bounded by what `parse` accepts."""
    inside: Iterable[tuple[str, JSONValue]]
    if isinstance(value, dict) and value:
        inside = ((name.replace("~", "~0").replace("/", "~1"), one) for name, one in value.items())
    elif isinstance(value, list) and value:
        inside = ((str(index), one) for index, one in enumerate(value))
    else:
        yield where, encode(value).decode()
        return
    for name, one in inside:
        yield from _leaves(one, f"{where}/{name}")


def _texts(value: JSONValue) -> list[str]:
    return [str(one) for one in cast("list[JSONValue]", value)]


def _object(value: JSONValue) -> dict[str, JSONValue]:
    return cast("dict[str, JSONValue]", value)
