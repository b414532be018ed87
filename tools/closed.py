"""What leads to what, all the way."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def closed(direct: Mapping[str, Collection[str]], bits: Mapping[str, int]) -> dict[str, int]:
    """By name, the bits of all names that it leads to, its own among them. direct: where each leads at once."""
    found, left = dict(bits), set(bits)
    readers: dict[str, list[str]] = {name: [] for name in bits}
    for name, others in direct.items():
        for other in others:
            readers[other].append(name)
    while left:
        one = left.pop()
        for name in readers[one]:
            more = found[name] | found[one]
            if more != found[name]:
                found[name] = more
                left.add(name)
    return found
