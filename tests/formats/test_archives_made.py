"""The archives that `benchmarks.make_archive` makes: what is bad in them is what readers report, or leave to others."""

import io

import pytest

from application.ports.formats import PostRow, ReadLimits, RowProblem
from benchmarks.make_archive import FORMATS, Plan, archive
from domain.import_options import ImportFormat, ImportKind
from infrastructure.formats.readers import FormatReaders
from tests.formats.reading import read, rows

# Of a well-formed row: for the domain, or for the database, to find.
OF_THE_VALUE = {
    "bad_character",
    "bad_email",
    "bad_slug",
    "bad_url",
    "bad_username",
    "duplicate",
    "out_of_range",
    "too_long",
    "too_short",
    "unknown_author",
}


@pytest.mark.parametrize("kind", ImportKind)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("truncated", [False, True])
def test_exactly_the_bad_records_of_an_archive_are_problems(
    kind: ImportKind, form: ImportFormat, truncated: bool
) -> None:
    pieces = list(archive(Plan(rows=300, bad=60, kind=kind, format=form, row_bytes=300, truncated=truncated)))
    file = b"".join(piece for piece, _ in pieces)
    expected = [
        (bad.line, bad.field, bad.code)
        for _, bad in pieces
        if bad and bad.code not in OF_THE_VALUE and bad.field != "role"
    ]
    formats = FormatReaders()
    assert formats.recognise(io.BytesIO(file), file_name=None, limits=ReadLimits(1_000)) is form
    records = read(formats.reader(form), file, kind)
    assert len(records) == 300 + truncated
    found = [
        (each.line, each.parsed.field, each.parsed.code) for each in records if isinstance(each.parsed, RowProblem)
    ]
    assert found == expected
    assert len(found) > 10


@pytest.mark.parametrize("form", FORMATS)
def test_posts_have_views_unless_told_otherwise(form: ImportFormat) -> None:
    for views in (True, False):
        file = b"".join(piece for piece, _ in archive(Plan(rows=20, format=form, views=views)))
        found = rows(read(FormatReaders().reader(form), file))
        assert {isinstance(row, PostRow) and row.views is not None for row in found} == {views}
