"""Records the parts of the published OCSF schema that `test_ocsf_schema.py` holds events to.

Run by hand on a clone of https://github.com/ocsf/ocsf-schema (Apache-2.0):

    python tests/vectors/record_ocsf_schema.py CLONE > tests/vectors/answerable/ocsf-schema.json
"""

from __future__ import annotations

import json
import subprocess
import sys
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


def main(clone: str) -> None:
    """Write them to standard output."""

    def shown(path: str) -> Any:
        command = ("git", "-C", clone, "show", f"HEAD:{path}")
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    commit = subprocess.run(
        ("git", "-C", clone, "rev-parse", "HEAD"), check=True, capture_output=True, text=True
    ).stdout.strip()
    dictionary = shown("dictionary.json")["attributes"]
    categories = shown("categories.json")["attributes"]

    def attributes(one: Any, profile: str = "") -> dict[str, Any]:
        found: dict[str, Any] = {}
        for path in one["attributes"].get("$include", ()):
            named = shown(path)
            found |= attributes(named, named["name"])
        for name, said in one["attributes"].items():
            if name != "$include":
                of = said.get("profile", profile)
                found[name] = dict(said) | ({"profile": of} if of else {"profile": ""})
        return found

    def whole(path: str, folder: str) -> tuple[dict[str, Any], dict[str, Any], set[str]]:
        one = shown(path)
        above: dict[str, Any] = {}
        limits: dict[str, Any] = {}
        profiles = {*one.get("profiles", ())}
        if "extends" in one:
            parent = one["extends"]
            place = (
                f"objects/{parent}.json"
                if folder == "objects"
                else "events/base_event.json"
                if parent == "base_event"
                else f"{folder}/{parent}.json"
            )
            above, limits, more = whole(place, folder)
            profiles |= more
        for name, said in attributes(one).items():
            before = above.get(name, {})
            enum = {**before.get("enum", {}), **said.get("enum", {})}
            above[name] = before | said | ({"enum": enum} if enum else {})
        return above, limits | one.get("constraints", {}), profiles

    def recorded(path: str, folder: str) -> dict[str, Any]:
        found, limits, _ = whole(path, folder)
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

    classes = {}
    for name, folder in CLASSES.items():
        path = f"events/{folder}/{name}.json"
        uid = categories[folder]["uid"]
        classes[uid * 1000 + shown(path)["uid"]] = recorded(path, f"events/{folder}")
    found = {
        "source": SOURCE,
        "commit": commit,
        "version": shown("version.json")["version"],
        "classes": classes,
        "objects": {name: recorded(f"objects/{name}.json", "objects") for name in OBJECTS},
    }
    json.dump(found, sys.stdout, sort_keys=True, separators=(",", ":"))
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
