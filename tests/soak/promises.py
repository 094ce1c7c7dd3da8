"""How long an answer may be older than what was acknowledged, and when."""

from typing import NamedTuple

from tests.soak.readers import Stale

REPAIRED_S = 2.0
"""Of the relay, which looks every half second for what is a second old, and of trust in what other hosts forget."""


class Outage(NamedTuple):
    """Redis was away, or all who used it were cut off, from `began` to `ended`."""

    began: float
    ended: float


def unforgiven(stale: list[Stale], outages: list[Outage]) -> list[Stale]:
    """Those that no outage explains: what was acknowledged since it began, read until it was repaired."""

    def is_forgiven(read: Stale) -> bool:
        return not read.is_of_its_own and any(
            read.missed[-1].at >= outage.began and read.sent_at <= outage.ended + REPAIRED_S for outage in outages
        )

    return [read for read in stale if not is_forgiven(read)]
