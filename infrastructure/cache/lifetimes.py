"""How long tokens live.

Any token may end at any time, also under an entry that lives: the tag then gets a fresh one, which no entry has. What
it costs is the pages of that tag. So a token need only outlive entries; one of a post, a user or a tag that a stranger
made up would else be kept for nothing. Those of whole kinds of pages are few, and live for a day.
"""

from application.caching.tags import ALL, POSTS, TOTALS, USERS

TOKEN_TTL_S = 600
"""Ten times as long as pages live by default."""

_DAY_S = 86_400
_OF_KINDS = frozenset((ALL, POSTS, USERS, TOTALS))


def token_ttl_s(page_ttl_s: float) -> int:
    """For tokens of single things, where pages live that long."""
    return max(TOKEN_TTL_S, int(10 * page_ttl_s))


def lifetime_s(tag: str, token_ttl_s: int) -> int:
    """Of its token."""
    return max(_DAY_S, token_ttl_s) if tag in _OF_KINDS else token_ttl_s
