"""Whose the posts of an import are: authors found, made where that is asked for, or one for all."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from application.ports.formats import AuthorRow, PostRow
from domain.import_options import OnConflict
from domain.imports import ImportJob, ImportState, Tally
from tests.builders import a_user, an_account
from tests.imports.faults import Disturbed
from tests.imports.places import Place
from tests.imports.readings import Given
from tests.imports.test_posts import lines, titled

CHUNKS = pytest.mark.parametrize("chunk_rows", [1, 2, 100])


def by(author: str | None, title: str = "T", **values: object) -> dict[str, object]:
    return titled(title, **values) | {"author": author}


async def made(place: Place, *rows: dict[str, object], chunk_rows: int = 7, **options: Any) -> ImportJob:
    return await place.imported(lines(*rows), chunk_rows=chunk_rows, create_authors=True, **options)


async def names(place: Place) -> dict[str, str | None]:
    """Those who were not here before, with their addresses."""
    return {user.username: user.email for user in await place.users() if user.username not in ("ann", "bob")}


@CHUNKS
async def test_an_author_is_made_once_with_an_account_and_without_a_password(place: Place, chunk_rows: int) -> None:
    job = await made(place, *[by("cleo")] * 5, by("ann"), by("Cleo"), chunk_rows=chunk_rows)
    assert job.tally == Tally(created=7, authors_created=1)
    (cleo,) = [user for user in await place.users() if user.username == "cleo"]
    assert (cleo.email, cleo.role, cleo.has_password, cleo.accounts) == (None, "author", False, 1)
    assert [post.author for post in await place.posts()].count("cleo") == 6


@pytest.mark.parametrize(
    ("name", "username", "email"),
    [
        ("Ada Lovelace", "ada-lovelace", None),
        ("東京", "dong-jing", None),
        ("ada_l.", "ada-l", None),
        ("A" * 60, "a" * 40, None),
        ("ada@example.org", "ada", "ada@example.org"),
        ("Ada.L+posts@Example.org", "ada-l-posts", "ada.l+posts@example.org"),
        ("ann@example.org", "ann-2", "ann@example.org"),
        ("_@example.org", "author", "_@example.org"),
        ("ada@localhost", "ada-localhost", None),
        (f"{'long' * 12}@example.org", "long" * 10, f"{'long' * 12}@example.org"),
    ],
)
@CHUNKS
async def test_any_name_that_has_words_makes_an_author(
    place: Place, name: str, username: str, email: str | None, chunk_rows: int
) -> None:
    job = await made(place, *[by(name)] * 3, chunk_rows=chunk_rows)
    assert job.tally == Tally(created=3, authors_created=1)
    assert await names(place) == {username: email}


@pytest.mark.parametrize(("name", "code"), [("?!", "bad_username"), (" ", "bad_username"), ("deleted-1", "reserved")])
async def test_a_name_without_words_fails_its_row_alone(place: Place, name: str, code: str) -> None:
    job = await made(place, by(name), by("ann"))
    assert job.tally == Tally(created=1, failed=1)
    assert await place.refusals(job.id) == [(1, "author", code)]


@CHUNKS
async def test_namesakes_of_different_addresses_are_different_people(place: Place, chunk_rows: int) -> None:
    addresses = [f"cleo@{number}.example.org" for number in range(12)]
    job = await made(place, *[by(address) for address in addresses] * 2, chunk_rows=chunk_rows)
    assert job.tally == Tally(created=24, authors_created=12)
    found = await names(place)
    assert sorted(email or "" for email in found.values()) == sorted(addresses)
    assert {"cleo", "cleo-2", "cleo-9"} <= found.keys()


@CHUNKS
async def test_who_was_made_of_an_address_is_known_by_the_username_too(place: Place, chunk_rows: int) -> None:
    job = await made(place, by("cleo@example.org"), by("cleo"), by("dora"), by("DORA"), chunk_rows=chunk_rows)
    assert job.tally == Tally(created=4, authors_created=2)
    assert await names(place) == {"cleo": "cleo@example.org", "dora": None}


@CHUNKS
async def test_authors_of_rows_that_fail_or_are_here_are_not_made(place: Place, chunk_rows: int) -> None:
    await place.imported(lines(titled("Here", slug="here")))
    job = await made(
        place,
        by("no-1", " "),
        by("no-2", slug="here"),
        by("yes", slug="new"),
        by("no-3", slug="new"),
        by("no-4", views=-1),
        chunk_rows=chunk_rows,
    )
    assert job.tally == Tally(created=1, skipped=1, failed=3, authors_created=1)
    assert await names(place) == {"yes": None}


async def test_an_author_is_made_for_an_update_too(place: Place) -> None:
    await place.imported(lines(titled("T", slug="here")))
    job = await made(place, by("cleo", slug="here"), on_conflict=OnConflict.UPDATE)
    assert job.tally == Tally(updated=1, authors_created=1)
    assert [post.author for post in await place.posts()] == ["cleo"]


async def test_details_of_an_archive_make_the_author(place: Place) -> None:
    details = [
        AuthorRow("cleo", "Cleo@Example.org", "Cleo C"),
        AuthorRow("dora", "no address", "D" * 101),
        AuthorRow("emma", None, "Line\nbreak"),
        AuthorRow("mallory", "cleo@example.org", "The same address"),
        AuthorRow("other", "ann@example.com", "Ann's address"),
    ]
    rows = [PostRow(f"T {each.username}", each.username, details=each) for each in details]
    job = await place.upload(b"x", create_authors=True)
    job = await replace(place.run_import(), formats=Given(rows))(job.id)
    assert job.tally == Tally(created=5, authors_created=3)
    found = {user.username: (user.email, user.display_name) for user in await place.users()}
    assert found["cleo"] == ("cleo@example.org", "Cleo C")
    assert found["dora"] == (None, "D" * 100)
    assert found["emma"] == (None, "")
    authors = {post.title: post.author for post in await place.posts()}
    assert (authors["T mallory"], authors["T other"]) == ("cleo", "ann")


async def test_an_author_who_comes_between_is_not_made_again(place: Place) -> None:
    job = await place.upload(lines(by("cleo"), by("dora")), create_authors=True)

    async def cleo_registers() -> None:
        await place.add_user("cleo")

    quicker = Disturbed(place.begin).before("add_many", cleo_registers)
    assert (await place.run_import(begin=quicker)(job.id)).tally == Tally(created=2, authors_created=1)
    assert sorted(post.author for post in await place.posts()) == ["cleo", "dora"]


async def test_an_author_whom_the_chunk_before_made_is_not_tried_again(place: Place) -> None:
    job = await place.upload(lines(*(by("cleo", f"T {number}") for number in range(8))), create_authors=True)
    looked = asyncio.Event()

    async def look() -> None:
        looked.set()

    async def wait() -> None:
        async with asyncio.timeout(10):
            await looked.wait()

    watched = Disturbed(place.begin).after("stored_by_login", look, number=2).before("commit", wait, number=2)
    await place.run_import(begin=watched, chunk_rows=2)(job.id)
    assert watched.calls.count("add_many") == 1 + 4


async def test_who_is_unknown_fails_unless_authors_are_made(place: Place) -> None:
    job = await place.imported(lines(by("cleo"), by(None), by("cleo@example.org")))
    assert await place.refusals(job.id) == [
        (1, "author", "unknown_author"),
        (2, "author", "missing"),
        (3, "author", "unknown_author"),
    ]


@pytest.mark.parametrize("create_authors", [False, True])
async def test_a_default_author_writes_what_nobody_else_does(place: Place, create_authors: bool) -> None:
    default = await place.user_id("bob")
    job = await place.imported(
        lines(by("ann", "A"), by(None, "B"), by("cleo", "C")), default_author=default, create_authors=create_authors
    )
    assert job.tally == Tally(created=3, authors_created=int(create_authors))
    assert [post.author for post in await place.posts()] == ["ann", "bob", "cleo" if create_authors else "bob"]


async def test_a_job_whose_default_author_is_gone_fails_as_a_whole(place: Place) -> None:
    default = await place.user_id("bob")
    job = await place.upload(lines(*[by(None)] * 20), default_author=default)
    async with place.begin() as work:
        await work.accounts.delete_of(default)
        await work.users.delete(default)
        await work.commit()
    failed = await place.run_import()(job.id)
    assert failed == await place.job(job.id)
    assert (failed.state, failed.error, failed.tally) == (
        ImportState.FAILED,
        "The default author is gone. Mend the file or its options, and import it again.",
        Tally(),
    )


async def test_authors_are_found_by_username_and_address_in_any_case_and_by_their_words(place: Place) -> None:
    user = a_user("ada-lovelace", email="ada@example.org")
    async with place.begin() as work:
        await work.users.add(user)
        await work.accounts.add(an_account(user))
        await work.commit()
    job = await place.imported(lines(*map(by, ("ADA-Lovelace", "ADA@example.ORG", " Ada Lovelace "))))
    assert job.tally == Tally(created=3)
    assert {post.author for post in await place.posts()} == {"ada-lovelace"}


async def test_two_jobs_that_make_the_same_author_at_once_make_one(place: Place) -> None:
    first, second = [await place.upload(lines(by("cleo", f"Of {number}")), create_authors=True) for number in (1, 2)]

    async def the_other_job() -> None:
        await place.run_import()(second.id)

    begin = Disturbed(place.begin).before("add_many", the_other_job)
    done = await place.run_import(begin=begin)(first.id)
    assert (done.tally, (await place.job(second.id)).tally) == (
        Tally(created=1),
        Tally(created=1, authors_created=1),
    )
    assert await names(place) == {"cleo": None}
