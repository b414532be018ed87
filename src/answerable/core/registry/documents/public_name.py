"""Check the names that upstream servers give to their tools, prompts and resources, before they are registered.

Laws: names compare exactly and case-sensitively; a name that could be mistaken for another is refused.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from answerable.errors import shown
from answerable.errors.codes.documents import NAME_INVALID

PUBLIC_NAME_CHARS_MAX: Final = 512

_VARIABLE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%{}-]+")
_LATIN_LOOK_ALIKES: Final = frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"})


def checked_public_name(name: str, *, what: str) -> str:
    """Check a tool, prompt or server name: NFC, no control, format, private or confusable character.

    Only characters that cannot be mistaken for others are allowed: ASCII, or letters and digits of one script (a name
    that mixes ASCII letters with non-ASCII letters is refused). Raises Malformed (`name.invalid`).
    """
    if not name or len(name) > PUBLIC_NAME_CHARS_MAX or unicodedata.normalize("NFC", name) != name:
        raise NAME_INVALID(f"{what} {shown(name)} is empty, too long or not in NFC")
    if name.isascii():
        if not name.isprintable() or name != name.strip():
            raise NAME_INVALID(f"{what} {shown(name)} has control characters or outer spaces")
        return name
    if unicodedata.normalize("NFKC", name) != name:
        raise NAME_INVALID(f"{what} {shown(name)} has characters that look like others")
    scripts: set[str] = set()
    for character in name:
        category = unicodedata.category(character)
        if category[0] not in "LN" and character not in "-_./:":
            raise NAME_INVALID(f"{what} {shown(name)} has a character of class {category}")
        if category[0] == "L":
            scripts.add(unicodedata.name(character, "UNKNOWN").split(" ")[0])
    if len(scripts) > 1:
        raise NAME_INVALID(f"{what} {shown(name)} mixes scripts, so it can be mistaken")
    if scripts & _LATIN_LOOK_ALIKES:
        raise NAME_INVALID(f"{what} {shown(name)} uses a script with Latin look-alikes")
    return name


def checked_plain_target(name: str, *, what: str) -> str:
    """Check a tool or prompt name: as `checked_public_name`, without braces. Raises Malformed (`name.invalid`).

    Braces are reserved for URI templates, so that no tool name can be taken for one.
    """
    if "{" in name or "}" in name:
        raise NAME_INVALID(f"{what} {shown(name)} has braces; only resource URIs take variables")
    return checked_public_name(name, what=what)


def checked_uri_template(text: str, *, what: str) -> tuple[str, ...]:
    """Return the variable names of a resource URI or level-1 URI template (RFC 6570), in order.

    Raises Malformed (`name.invalid`) for text that is not an ASCII URI with a scheme, braces without a variable, or a
    repeated variable.
    """
    if len(text) > PUBLIC_NAME_CHARS_MAX or not _URI.fullmatch(text):
        raise NAME_INVALID(f"{what} {shown(text)} is not a URI of printable ASCII with a scheme")
    variables = tuple(_VARIABLE.findall(text))
    without = _VARIABLE.sub("", text)
    if "{" in without or "}" in without:
        raise NAME_INVALID(f"{what} {shown(text)} has braces that are not a variable like `{{name}}`")
    if len(set(variables)) != len(variables):
        raise NAME_INVALID(f"{what} {shown(text)} names a variable twice")
    return variables
