"""Archives of good posts by the million, a few microseconds each: their texts are drawn from a pool of ready ones.

As `benchmarks.make_archive` has them, without views: about 600 bytes a row, a tenth of the titles and all of the texts
with words of other scripts, instants and tags at random, no two titles alike.
"""

import csv
import io
import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.make_archive import WORDS
from domain.import_options import ImportFormat

AUTHORS: Final = 100
"""`author-0` and its fellows."""

_POOL: Final = 4096
_CONTENT_BYTES: Final = 395
_TAGS: Final = ("news", "travel", "food", "code", "music", "books", "film", "garden", "history", "law", "maps", "rain")
_ASCII_WORDS: Final = [word for word in WORDS if word.isascii()]
_COLUMNS: Final = ("title", "author", "content", "tags", "published_at", "source", "external_id")
_BATCH: Final = 2_000


@dataclass(frozen=True, slots=True)
class _Pool:
    """Pieces as the format writes them."""

    titles: list[str]
    contents: list[str]
    tags: list[str]


def write_archive(path: Path, rows: int, form: ImportFormat = ImportFormat.NDJSON, *, source: str = "archive") -> int:
    """Equal arguments make equal files. How many bytes it has."""
    size = 0
    with path.open("wb") as out:
        for piece in archive(rows, form, source=source):
            size += out.write(piece)
    return size


def archive(rows: int, form: ImportFormat = ImportFormat.NDJSON, *, source: str = "archive") -> Iterator[bytes]:
    """In pieces of many rows."""
    dice = random.Random(source)
    is_csv = form is ImportFormat.CSV
    pool = _pool(dice, _csv_cell if is_csv else _json_text, "|".join if is_csv else _json_list)
    written = _csv_row if is_csv else _json_row
    if is_csv:
        yield ",".join(_COLUMNS).encode() + b"\n"
    for first in range(0, rows, _BATCH):
        numbers = range(first, min(first + _BATCH, rows))
        yield "".join([written(number, pool, dice.random, source) for number in numbers]).encode()


def _json_row(number: int, pool: _Pool, chance: Callable[[], float], source: str) -> str:
    title, author, content, tags, instant = _drawn(pool, chance)
    return (
        f'{{"title": "{title} {number}", "author": "author-{author}", "content": {content}, "tags": {tags},'
        f' "published_at": "{instant}", "source": "{source}", "external_id": "{number}"}}\n'
    )


def _csv_row(number: int, pool: _Pool, chance: Callable[[], float], source: str) -> str:
    title, author, content, tags, instant = _drawn(pool, chance)
    return f"{title} {number},author-{author},{content},{tags},{instant},{source},{number}\n"


def _drawn(pool: _Pool, chance: Callable[[], float]) -> tuple[str, int, str, str, str]:
    day, second = divmod(int(chance() * 16 * 9 * 28 * 86_400), 86_400)
    month, day = divmod(day, 28)
    year, month = divmod(month, 9)
    instant = f"20{10 + year}-0{month + 1}-{day + 1:02}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"
    return (
        pool.titles[int(chance() * _POOL)],
        int(chance() * AUTHORS),
        pool.contents[int(chance() * _POOL)],
        pool.tags[int(chance() * len(pool.tags))],
        instant,
    )


def _pool(dice: random.Random, text: Callable[[str], str], joined: Callable[[list[str]], str]) -> _Pool:
    titles = [" ".join(dice.choices(_ASCII_WORDS if n % 10 else WORDS, k=6)) for n in range(_POOL)]
    tags = [joined([one, other]) for one in _TAGS for other in _TAGS if one != other]
    return _Pool(titles, [text(_content(dice)) for _ in range(_POOL)], tags)


def _content(dice: random.Random) -> str:
    room = _CONTENT_BYTES
    content = []
    while room > 0:
        content.append(dice.choice(WORDS) + ("\n\n" if dice.random() < 0.02 else " "))
        room -= len(content[-1].encode())
    return "".join(content)


def _json_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _json_list(texts: Iterable[str]) -> str:
    return json.dumps(list(texts))


def _csv_cell(text: str) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerow([text])
    return out.getvalue().removesuffix("\n")
