"""How long tokens live."""

import pytest

from infrastructure.cache.lifetimes import lifetime_s, token_ttl_s


@pytest.mark.parametrize(("page_ttl_s", "expected"), [(0.5, 600), (60.0, 600), (300.0, 3_000), (86_400.0, 864_000)])
def test_a_token_outlives_entries_many_times(page_ttl_s: float, expected: int) -> None:
    assert token_ttl_s(page_ttl_s) == expected
    assert lifetime_s("post:1", expected) == expected
    assert lifetime_s("all", expected) == max(86_400, expected)
