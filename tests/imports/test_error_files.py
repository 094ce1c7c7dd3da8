"""Rows that failed, exported, mended and imported again."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from application.imports import ExportImportErrors
from domain.actors import Role
from domain.import_options import ImportFormat, ImportKind
from domain.imports import ImportJob, ImportState, Tally
from infrastructure.formats.readers import FormatReaders
from tests.imports.places import Place
from tests.imports.test_posts import lines, titled
from tests.imports.test_users import PASSWORD, named

Row = dict[str, Any]
FORMS = pytest.mark.parametrize("form", [ImportFormat.CSV, ImportFormat.NDJSON])

FORMULAS = ["=1+1", "@SUM(A1)", "+1", "-1", "'quoted", '"x";=1', "a\n=b", "ünïcode 東京"]


async def exported(place: Place, job: ImportJob, form: ImportFormat) -> bytes:
    operator = await place.add_user("operator", role=Role.OPERATOR)
    export = ExportImportErrors(place.begin, FormatReaders(), batch=3)
    return b"".join([piece async for piece in export(job.id, form, actor=operator.actor)])


def mended(file: bytes, form: ImportFormat, mend: Callable[[Row], object]) -> bytes:
    """With each entry's row as `mend` makes it."""
    if form is ImportFormat.NDJSON:
        entries = [json.loads(line) for line in file.splitlines()]
        return lines(*(entry | {"row": mend(entry["row"])} for entry in entries))
    table = list(csv.DictReader(io.StringIO(file.decode(), newline="")))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, ["line", "field", "code", "message", "row"])
    writer.writeheader()
    writer.writerows(entry | {"row": json.dumps(mend(json.loads(entry["row"])))} for entry in table)
    return out.getvalue().encode()


@FORMS
async def test_mended_posts_are_imported_as_they_would_have_been(place: Place, form: ImportFormat) -> None:
    bad = [
        titled("", content="No title"),
        *(titled("T", content=text, excerpt=text, slug=f"slug-{n}", views=-1) for n, text in enumerate(FORMULAS)),
        titled("Unknown author", tags=["a", "b"]) | {"author": "nobody"},
        titled("Wrong type", views="many"),
        titled("Unknown field", colour="red"),
        titled("Bad date", published_at="yesterday"),
    ]
    job = await place.imported(lines(titled("Good"), *bad))
    assert job.tally == Tally(created=1, failed=len(bad))

    def mend(row: Row) -> Row:
        row = {name: value for name, value in row.items() if name not in ("colour", "published_at")}
        return row | {"title": row["title"] or "Mended", "author": "ann", "views": 7}

    again = await place.imported(mended(await exported(place, job, form), form, mend), form=form)
    assert (again.state, again.tally) == (ImportState.SUCCEEDED, Tally(created=len(bad)))
    posts = {post.slug: post for post in await place.posts()}
    for number, text in enumerate(FORMULAS):
        post = posts[f"slug-{number}"]
        assert (post.content, post.excerpt, post.views) == (text, text, 7)
    assert posts["unknown-author"].tags == ("a", "b")


@FORMS
async def test_mended_rows_of_a_csv_are_imported_as_they_would_have_been(place: Place, form: ImportFormat) -> None:
    file = 'title,author,tags,views,content\nA,nobody,a|b,7,"x\ny"\nB,ann,,many,=1\n'
    job = await place.imported(file.encode(), form=ImportFormat.CSV)
    assert job.tally == Tally(failed=2)
    again = await place.imported(
        mended(await exported(place, job, form), form, lambda row: row | {"author": "ann", "views": row["views"][:1]})
        .replace(b'\\"m\\"', b'\\"3\\"')
        .replace(b'""m""', b'""3""')
        .replace(b'"m"', b'"3"'),
        form=form,
    )
    assert again.tally == Tally(created=2)
    one, two = await place.posts()
    assert (one.tags, one.views, one.content) == (("a", "b"), 7, "x\ny")
    assert (two.tags, two.views, two.content) == ((), 3, "=1")


async def test_a_broken_row_is_mended_as_its_text(place: Place) -> None:
    job = await place.imported(b'{"title": "T", "author": ann}\n')
    file = await exported(place, job, ImportFormat.NDJSON)
    again = await place.imported(mended(file, ImportFormat.NDJSON, lambda _: '{"title": "T", "author": "ann"}'))
    assert again.tally == Tally(created=1)


@FORMS
async def test_a_line_of_a_csv_that_could_not_be_taken_apart_is_mended_as_an_object(
    place: Place, form: ImportFormat
) -> None:
    job = await place.imported(b'title,author\nT,ann,x\n"U"V,ann\n', form=ImportFormat.CSV)
    file = await exported(place, job, form)
    assert [(error.code, error.row) for error in await place.errors(job.id)] == [
        ("wrong_width", "T,ann,x"),
        ("bad_csv", '"U"V,ann'),
    ]

    as_line = await place.imported(mended(file, form, lambda _: "T,ann"), form=form)
    assert as_line.tally == Tally(failed=2)
    assert {error.code for error in await place.errors(as_line.id)} == {"bad_json"}

    as_object = await place.imported(mended(file, form, lambda row: {"title": str(row), "author": "ann"}), form=form)
    assert as_object.tally == Tally(created=2)
    assert {post.title for post in await place.posts()} == {"T,ann,x", '"U"V,ann'}


@FORMS
async def test_secrets_of_users_are_not_exported_and_must_be_given_again(place: Place, form: ImportFormat) -> None:
    rows = [named("cleo", password=PASSWORD, website="nowhere"), named("no name", email="x@example.org", bio="x")]
    job = await place.imported(lines(*rows), kind=ImportKind.USERS)
    assert job.tally == Tally(failed=2)
    file = await exported(place, job, form)
    assert PASSWORD.encode() not in file

    def mend(row: Row) -> Row:
        return row | {"username": row["username"].replace(" ", "-"), "website": None}

    forgotten = await place.imported(mended(file, form, mend), form=form, kind=ImportKind.USERS)
    assert forgotten.tally == Tally(created=1, failed=1)

    def given(row: Row) -> Row:
        return mend(row) | ({"password": PASSWORD} if "password" in row else {})

    again = await place.imported(mended(file, form, given), form=form, kind=ImportKind.USERS)
    assert again.tally == Tally(created=1, skipped=1)
    async with place.begin() as work:
        cleo = await work.users.find_by_login("cleo")
    assert cleo is not None
    assert await place.hasher.verify(PASSWORD, cleo.password_hash)


@FORMS
async def test_an_error_file_that_nobody_mended_fails_as_before(place: Place, form: ImportFormat) -> None:
    bad = [titled("", content="x"), titled("T") | {"author": "nobody"}, titled("T", views=-1)]
    job = await place.imported(lines(*bad))
    again = await place.imported(await exported(place, job, form), form=form)
    assert again.tally == Tally(failed=3)
    assert [(error.field, error.row) for error in await place.errors(again.id)] == [
        (error.field, error.row) for error in await place.errors(job.id)
    ]
