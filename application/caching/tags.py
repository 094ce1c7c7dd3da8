"""What pages depend on, by name, and which of these a change forgets.

Only what strangers see is cached, so that drafts concern no page. A tag is forgotten after the commit and before the
answer (`work.forget`). Tags of a page are functions of its key: they must be known before it is loaded.

| page                | shows                                | tags (and ALL) | forgotten by        |
| ------------------- | ------------------------------------ | -------------- | ------------------- |
| post by id, by slug | the post, its author's names         | post, or slug  | of_post_change, ALL |
| posts               | published ones, their authors' names | posts          | of_post_change, ALL |
| posts with a tag    | the same                             | posts:tagged   | of_post_change, ALL |
| posts of an author  | the same, with a tag or without      | posts:by, user | of_post_change, ALL |
| user                | the user, and their version          | user           | of_user_change      |
| user with posts     | also their newest posts              | user, posts:by | both                |
| users               | active ones                          | users          | of_user_change      |
| users with posts    | also their newest posts              | users, posts   | both                |
| total of posts      | how many a list has                  | totals         | of_post_change, ALL |
| total of users      | how many a list has                  | users          | of_user_change      |

ALL is forgotten where an author's username or display name changes that may have posts, and where a user is deleted
with posts. Whatever saves a user forgets `of_user_change`, a sign-in that renews a password's hash too: it raises the
version. Imports forget the same of each chunk's rows. tests/caching/test_tags.py and test_imports.py compare every page
before and after every use case.
"""

from collections.abc import Iterable
from uuid import UUID

from domain.ids import UserId
from domain.posts import Post

ALL = "all"
"""Every page and every total. For changes of unknown or of many pages: an author's name, a great import."""
POSTS = "posts"
"""Every list of published posts that is of no one author and no one tag."""
USERS = "users"
"""Every list of users, and how many there are."""
TOTALS = "totals"
"""How many posts a list has."""

MANY = 500
"""More tags than these are forgotten as ALL."""


def post_tag(post_id: UUID) -> str:
    return f"post:{post_id}"


def slug_tag(slug: str) -> str:
    return f"slug:{slug}"


def user_tag(user_id: UUID) -> str:
    return f"user:{user_id}"


def by_author_tag(author_id: UUID) -> str:
    return f"posts:by:{author_id}"


def tagged_tag(tag: str) -> str:
    return f"posts:tagged:{tag}"


def of_post_change(before: Post | None, after: Post | None) -> frozenset[str]:
    """What is to be forgotten once a post is made (`before` None), changed, or deleted (`after` None)."""
    shown = [post for post in (before, after) if post is not None and post.is_published]
    if not shown or before == after:
        return frozenset()
    tags = {POSTS}
    for post in shown:
        tags |= {post_tag(post.id), slug_tag(post.slug.value), by_author_tag(post.author_id)}
        tags.update(map(tagged_tag, post.writing.tags))
    if len(shown) == 1 or _listed_in(shown[0]) != _listed_in(shown[1]):
        tags.add(TOTALS)
    return frozenset(tags)


def of_user_change(user_id: UserId) -> frozenset[str]:
    """What is to be forgotten once a user is made, changed or deleted, apart from posts that show their name."""
    return frozenset((user_tag(user_id), USERS))


def at_most_many(tags: Iterable[str]) -> frozenset[str]:
    """ALL instead of more than MANY."""
    collected = frozenset(tags)
    return collected if len(collected) <= MANY else frozenset((ALL,))


def _listed_in(post: Post) -> object:
    """What decides which lists a published post is counted in."""
    return post.author_id, post.writing.type, frozenset(post.writing.tags)
