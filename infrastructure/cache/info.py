"""What Redis says of itself."""

from collections.abc import Mapping

_FIGURES = {
    "memory_bytes": "used_memory",
    "memory_limit_bytes": "maxmemory",
    "hits": "keyspace_hits",
    "misses": "keyspace_misses",
    "evicted_keys": "evicted_keys",
    "expired_keys": "expired_keys",
}


def parsed(info: bytes) -> dict[str, str]:
    """Of INFO's reply, by its own names."""
    lines = info.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def is_primary(said: Mapping[str, str]) -> bool:
    """And has read all that it keeps. A replica lags behind what others forget on its primary, and takes no writes."""
    return said.get("role", "master") == "master" and said.get("loading", "0") == "0"


def figures(said: Mapping[str, str]) -> dict[str, int | float | str]:
    """By the names of the cache's stats."""
    counted = {ours: int(said.get(theirs, 0)) for ours, theirs in _FIGURES.items()}
    return {**counted, "memory_policy": said.get("maxmemory_policy", "")}
