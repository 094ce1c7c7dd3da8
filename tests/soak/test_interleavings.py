"""Two writers and three readers in all interleavings, with FLUSHALL and the eviction of any one key at any moment."""

from collections.abc import Iterator

import pytest

from tests.caching.explorer import explore
from tests.caching.stepping import RememberedValkey
from tests.caching.world import Plan

pytestmark = pytest.mark.soak

WRITERS_APART = (0, 0, 0)
"""Three processes of one host: what two of them write has no order among the readers' commands."""


@pytest.fixture
def valkey(redis_url: str) -> Iterator[RememberedValkey]:
    valkey = RememberedValkey(redis_url)
    yield valkey
    valkey.close()


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(
            Plan(hosts=WRITERS_APART, readers=(0, 0, 0), writers=(1, 2), flushes=1, evictions=1),
            id="flushed and evicted",
        ),
        pytest.param(
            Plan(hosts=WRITERS_APART, readers=(0, 0), writers=(1, 2), at_once=True, with_refresh=True, flushes=1),
            id="at once, and loaded anew early",
        ),
        pytest.param(Plan(hosts=WRITERS_APART, readers=(0, 0), writers=(1, 2), losses=1), id="connections lost"),
        pytest.param(
            Plan(hosts=(0, 0), readers=(0, 1), writers=(1,), is_warm=True, losses=4),
            id="connections lost again and again",
        ),
        pytest.param(Plan(hosts=(0, 0, 0, 0), readers=(0, 0, 1), writers=(2, 3)), id="two processes of a host"),
        pytest.param(Plan(hosts=(0, 1, 0), readers=(0, 1), writers=(2, 2), flushes=1), id="two hosts"),
    ],
)
def test_no_read_is_older_than_a_write_acknowledged_before_it_and_nothing_stale_is_left(
    plan: Plan, valkey: RememberedValkey
) -> None:
    explored = explore(plan, valkey)

    print(explored)
    assert explored.ends > 0
