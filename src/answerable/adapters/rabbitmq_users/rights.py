"""List the rights of a scope on RabbitMQ, and derive which of them a message used, from exchange, routing key and
queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.lease.table_rights import listed
from answerable.core.lease.use import RIGHTS_MAX, Right, Used

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope


class RabbitRights:
    """Implements ports.target_rights.TargetRights. An exchange with limited routing keys has one right for each key and
    is removed with the last: without keys it would permit all."""

    def rights(self, grants: JSONValue) -> tuple[Right, ...]:
        found = [
            Right(place, f"publish on {_member(item, 'exchange')}{_key(key)}")
            for place, item, key in _publishing(grants)
        ]
        found += [
            Right(f"get/{number}", f"get from {_member(item, 'queue')}")
            for number, item in listed(grants, "get")
        ]
        return tuple(found) if len(found) <= RIGHTS_MAX else ()

    def narrowed(self, grants: JSONValue, kept: Collection[str]) -> JSONValue:
        if not isinstance(grants, dict):
            return None
        left: dict[str, list[JSONValue]] = {"publish": [], "get": []}
        for number, item in listed(grants, "publish"):
            if not isinstance(item, dict):
                return None
            keys = [key for j, key in listed(item, "routing_keys") if f"publish/{number}/{j}" in kept]
            if keys:
                left["publish"].append({**item, "routing_keys": keys})
            elif "routing_keys" not in item and f"publish/{number}" in kept:
                left["publish"].append(item)
        left["get"] = [item for number, item in listed(grants, "get") if f"get/{number}" in kept]
        others = {name: value for name, value in grants.items() if name not in left}
        made: dict[str, JSONValue] = {**others, **{name: [*items] for name, items in left.items() if items}}
        return made if any(left.values()) else None

    def used(
        self, scope: Scope, tool: str, arguments: Mapping[str, JSONValue], told: JSONValue
    ) -> Used | None:
        grants = scope.thaw()
        if tool == "get":
            queue = arguments.get("queue")
            found = {
                f"get/{number}" for number, item in listed(grants, "get") if _member(item, "queue") == queue
            }
        else:
            exchange, routing_key = arguments.get("exchange"), arguments.get("routing_key")
            found = {
                place
                for place, item, key in _publishing(grants)
                if _member(item, "exchange") == exchange and _lets(key, routing_key)
            }
        return Used(frozenset(found)) if found else None


def _publishing(grants: JSONValue) -> Iterator[tuple[str, JSONValue, JSONValue]]:
    """Yield place, item and routing key of each right to publish; the key is None if any key is permitted."""
    for number, item in listed(grants, "publish"):
        if isinstance(item, dict) and "routing_keys" in item:
            for place, key in listed(item, "routing_keys"):
                yield f"publish/{number}/{place}", item, key
        else:
            yield f"publish/{number}", item, None


def _lets(key: JSONValue, routing_key: JSONValue) -> bool:
    if key is None:
        return True
    if not isinstance(key, dict) or not isinstance(routing_key, str):
        return False
    return key["key"] == routing_key if "key" in key else routing_key.startswith(str(key.get("prefix")))


def _key(key: JSONValue) -> str:
    if not isinstance(key, dict):
        return ""
    return f" with key {key['key']}" if "key" in key else f" with keys {key.get('prefix')}*"


def _member(item: JSONValue, name: str) -> str:
    return str(item.get(name)) if isinstance(item, dict) else ""
