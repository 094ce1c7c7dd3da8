"""Archives in which rows depend on others before them, so that it shows where an import forgot, or did twice."""

import json
from collections.abc import Iterator
from itertools import cycle

from benchmarks.make_archive import Plan, archive
from domain.import_options import ImportFormat, ImportKind
from tests.workers.processes import AUTHORS

_EVERY = 5
_BAD_ONE_IN = 25


def posts(rows: int, *, edition: int = 1) -> bytes:
    """About `rows` rows of NDJSON: bad ones of every kind among them, titles that want the same slug, slugs that are
    named, and authors that nobody knows. In the second edition every third post has another title."""
    plan = Plan(rows=rows, bad=rows // _BAD_ONE_IN, authors=AUTHORS, row_bytes=400)
    between = cycle(_entangled(rows))
    pieces = []
    for number, (record, refusal) in enumerate(archive(plan)):
        if edition == 2 and number % 3 == 0 and refusal is None:
            record = record.replace(b'{"title": "', b'{"title": "Mended ', 1)
        pieces.append(record)
        if number % _EVERY == 0:
            pieces.append(next(between))
    return b"".join(pieces)


def users(rows: int) -> bytes:
    records = archive(Plan(rows=rows, bad=rows // _BAD_ONE_IN, kind=ImportKind.USERS, format=ImportFormat.CSV))
    return b"".join(record for record, _ in records).replace(b"author-", b"reader-")


def _entangled(rows: int) -> Iterator[bytes]:
    for number in range(rows):
        author = f"author-{number % AUTHORS}"
        yield _line(title="The same title", author=author)
        yield _line(title="The same title 2", author=author)
        yield _line(title="The same title", author=f"Somebody New {number % 7}")
        yield _line(title=f"Named {number}", author=author, slug=f"the-same-title-{3 + number}")
        yield _line(title="<b>Bold</b>", author=author, content="<p>a<script>b</script></p>", content_format="html")


def _line(**row: str) -> bytes:
    return json.dumps(row).encode() + b"\n"
