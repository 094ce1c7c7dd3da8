"""The sample archive that `byline up` imports into an empty database."""

import json
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.import_options import ImportKind
from domain.imports import ImportJob, ImportState, Tally
from domain.posts import PostStatus, PostType
from infrastructure.slugs import slug_words
from tests.imports.places import MemoryPlace, StoredPost, StoredUser

ROOT = Path(__file__).parents[2]
ARCHIVE = ROOT / "interfaces" / "cli" / "sample"


def rows(kind: ImportKind) -> list[dict[str, object]]:
    return [json.loads(line) for line in (ARCHIVE / f"{kind}.ndjson").read_text().splitlines()]


async def imported(place: MemoryPlace, kind: ImportKind) -> ImportJob:
    return await place.imported((ARCHIVE / f"{kind}.ndjson").read_bytes(), kind=kind)


@pytest.fixture(scope="module")
async def place() -> MemoryPlace:
    """With the archive in it, every row of it."""
    place = MemoryPlace()
    for kind in (ImportKind.USERS, ImportKind.POSTS):
        job = await imported(place, kind)
        assert (job.state, job.tally) == (ImportState.SUCCEEDED, Tally(created=len(rows(kind))))
    return place


@pytest.fixture(scope="module")
async def posts(place: MemoryPlace) -> list[StoredPost]:
    return await place.posts()


@pytest.fixture(scope="module")
async def users(place: MemoryPlace) -> list[StoredUser]:
    return await place.users()


def test_its_authors_are_invented_and_cannot_sign_in(users: list[StoredUser]) -> None:
    assert len(users) == 12
    assert {(user.email or "").partition("@")[2] for user in users} == {"example.com", "example.org"}
    assert {(user.role, user.has_password) for user in users} == {("author", False)}
    assert all(user.display_name and user.bio for user in users)


def test_every_author_has_written(users: list[StoredUser], posts: list[StoredPost]) -> None:
    assert {user.username for user in users} == {post.author for post in posts}


def test_every_title_makes_a_slug_of_its_own(posts: list[StoredPost]) -> None:
    """So that its URLs are the same in every database, whatever the order of the rows."""
    named = {str(row["external_id"]): row.get("slug") for row in rows(ImportKind.POSTS)}
    assert {post.external_id: post.slug for post in posts} == {
        post.external_id: named[post.external_id or ""] or slug_words(post.title) for post in posts
    }


def test_titles_that_are_not_in_latin_letters_name_their_slugs(posts: list[StoredPost]) -> None:
    names_slug = {row["title"] for row in rows(ImportKind.POSTS) if "slug" in row}
    assert names_slug == {
        post.title for post in posts if not all(letter < "\u0250" or letter == "’" for letter in post.title)
    }


async def test_a_second_import_of_it_changes_nothing(place: MemoryPlace, posts: list[StoredPost]) -> None:
    for kind in (ImportKind.USERS, ImportKind.POSTS):
        assert (await imported(place, kind)).tally == Tally(skipped=len(rows(kind)))
    assert await place.posts() == posts


def test_its_rows_are_known_by_names_of_their_own(posts: list[StoredPost]) -> None:
    assert {post.source for post in posts} == {"sample"}
    assert len({post.external_id for post in posts}) == len(posts)


def test_it_shows_what_a_site_holds(posts: list[StoredPost]) -> None:
    assert len(posts) > 280
    assert [post.type for post in posts].count(PostType.PAGE) == 4
    assert {post.content_format for post in posts} == {"markdown", "html"}
    assert 25 <= len({tag for post in posts for tag in post.tags}) <= 40
    assert all(post.content and post.tags for post in posts)


def test_its_drafts_were_never_published(posts: list[StoredPost]) -> None:
    drafts = [post for post in posts if post.status == PostStatus.DRAFT]
    assert len(drafts) == 10
    assert {(draft.published_at, draft.views) for draft in drafts} == {(None, 0)}


def test_the_others_were_published_before_it_shipped(posts: list[StoredPost]) -> None:
    instants = [post.published_at for post in posts if post.published_at]
    assert len(instants) == len(posts) - 10
    assert {instant.year for instant in instants} == set(range(2016, 2027))
    assert max(instants) < datetime(2026, 11, 1, tzinfo=UTC)


def test_a_tenth_of_the_posts_have_most_of_the_views(posts: list[StoredPost]) -> None:
    views = sorted((post.views for post in posts), reverse=True)
    assert sum(views[: len(views) // 10]) > sum(views) / 2


def test_it_is_what_its_texts_make(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "docs" / "sample" / "generate.py", tmp_path], check=True)
    for kind in ImportKind:
        assert (tmp_path / f"{kind}.ndjson").read_bytes() == (ARCHIVE / f"{kind}.ndjson").read_bytes()


def test_the_wheel_holds_it(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for kind in ImportKind:
            name = f"{kind}.ndjson"
            assert archive.read(f"interfaces/cli/sample/{name}") == (ARCHIVE / name).read_bytes()
