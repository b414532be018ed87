"""Records the parts of the published OCSF schema that `test_ocsf_schema.py` holds events to.

Run by hand on a clone of https://github.com/ocsf/ocsf-schema (Apache-2.0):

    python tests/vectors/record_ocsf_schema.py CLONE > tests/vectors/answerable/ocsf-schema.json
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

SOURCE = "ocsf/ocsf-schema, Apache-2.0"
CLASSES = {
    "incident_finding": "findings",
    "api_activity": "application",
    "datastore_activity": "application",
}
OBJECTS = (
    "actor ai_agent api database finding_info metadata network_endpoint note policy product resource_details "
    "service user"
).split()


Read = Callable[[str], Any]


def attributes(read: Read, one: Any, profile: str = "") -> dict[str, Any]:
    """The attributes of a file, with those that it includes. profile: which they are of."""
    found: dict[str, Any] = {}
    for path in one["attributes"].get("$include", ()):
        named = read(path)
        found |= attributes(read, named, named["name"])
    for name, said in one["attributes"].items():
        if name != "$include":
            found[name] = {**said, "profile": said.get("profile", profile) or ""}
    return found


def whole(read: Read, path: str, folder: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The attributes and constraints of a class or object, with those of what it extends."""
    one = read(path)
    above: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    if "extends" in one:
        is_event = one["extends"] == "base_event"
        above, limits = whole(read, f"{'events' if is_event else folder}/{one['extends']}.json", folder)
    for name, said in attributes(read, one).items():
        before = above.get(name, {})
        enum = {**before.get("enum", {}), **said.get("enum", {})}
        above[name] = before | said | ({"enum": enum} if enum else {})
    return above, limits | one.get("constraints", {})


def recorded(read: Read, path: str, folder: str) -> dict[str, Any]:
    """What is held to, of a class or object."""
    dictionary = read("dictionary.json")["attributes"]
    found, limits = whole(read, path, folder)
    members = {}
    for name, said in sorted(found.items()):
        known = dictionary[name]
        enum = sorted({*known.get("enum", {}), *said.get("enum", {})}, key=lambda one: (len(one), one))
        members[name] = {
            "type": known["type"],
            **({"is_array": True} if known.get("is_array") else {}),
            **({"required": True} if said.get("requirement") == "required" else {}),
            **({"deprecated": True} if "@deprecated" in said or "@deprecated" in known else {}),
            **({"profile": said["profile"]} if said.get("profile") else {}),
            **({"enum": enum} if enum else {}),
        }
    return {"attributes": members, "constraints": limits}


def main(clone: str) -> None:
    """Write them to standard output."""

    def told(*command: str) -> str:
        return subprocess.run(("git", "-C", clone, *command), check=True, capture_output=True, text=True).stdout

    @cache
    def read(path: str) -> Any:
        return json.loads(told("show", f"HEAD:{path}"))

    classes = {}
    for name, folder in CLASSES.items():
        path = f"events/{folder}/{name}.json"
        uid = read("categories.json")["attributes"][folder]["uid"] * 1000 + read(path)["uid"]
        classes[uid] = recorded(read, path, f"events/{folder}")
    found = {
        "source": SOURCE,
        "commit": told("rev-parse", "HEAD").strip(),
        "version": read("version.json")["version"],
        "classes": classes,
        "objects": {name: recorded(read, f"objects/{name}.json", "objects") for name in OBJECTS},
    }
    json.dump(found, sys.stdout, sort_keys=True, separators=(",", ":"))
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
