"""NDJSON: one JSON object a line, in UTF-8 with or without a byte order mark. Types are checked by msgspec."""

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

import msgspec

from application.ports.formats import PostRow, Record, RowProblem, UserRow
from domain.errors import InvalidValue
from domain.imports import Checkpoint, ImportKind
from domain.posts import ContentFormat, PostStatus, PostType
from infrastructure.formats.lines import read_line
from infrastructure.formats.rows import BOM, CHOICES, SHOWN_OF_OVERLONG, instant, one_of

_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_PLACE = re.compile(r" - at `\$\.(\w+)[^`]*`$")
_EXPECTED = re.compile(r"Expected `(\w+)[^`]*`, got `(\w+)`")


class _PostObject(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A field that is null is absent, as other tools' exports have it."""

    title: str
    author: str
    slug: str | None = None
    content: str | None = None
    content_format: ContentFormat | None = None
    excerpt: str | None = None
    tags: list[str] | None = None
    type: PostType | None = None
    status: PostStatus | None = None
    published_at: str | None = None
    views: int | None = None
    source: str | None = None
    external_id: str | None = None


class _UserObject(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    username: str
    email: str
    display_name: str | None = None
    bio: str | None = None
    website: str | None = None
    role: str | None = None
    password: str | None = None


def read_ndjson(file: BinaryIO, kind: ImportKind, *, start: Checkpoint, max_row_bytes: int) -> Iterator[Record]:
    """A `Reader`. Blank lines are passed over."""
    parse = _parse_post if kind is ImportKind.POSTS else _parse_user
    file.seek(start.offset)
    offset, number = start.offset, start.line
    while True:
        line, taken = read_line(file, max_row_bytes)
        if not taken:
            return
        if not offset:
            line = line.removeprefix(BOM)
        offset += taken
        following = Checkpoint(offset, number + 1)
        if len(line) > max_row_bytes:
            problem = RowProblem(None, "too_long", f"It is longer than {max_row_bytes} bytes.")
            yield Record(number, following, problem, line[:SHOWN_OF_OVERLONG])
        elif line and not line.isspace():
            yield Record(number, following, _parsed(line, parse), line)
        number += 1


def _parsed(line: bytes, parse: Callable[[bytes], PostRow | UserRow]) -> PostRow | UserRow | RowProblem:
    try:
        return parse(line)
    except msgspec.ValidationError as error:
        return _wrong(str(error))
    except msgspec.DecodeError as error:
        return RowProblem(None, "bad_json", f"It is not valid JSON. {str(error).removeprefix('JSON is malformed: ')}.")
    except UnicodeDecodeError:
        return RowProblem(None, "bad_encoding", "It is not UTF-8.")
    except RecursionError:
        return RowProblem(None, "bad_json", "It is nested too deeply.")
    except InvalidValue as error:
        return RowProblem(error.field, error.code, error.message)


_decode_post = msgspec.json.Decoder(_PostObject).decode
_decode_user = msgspec.json.Decoder(_UserObject).decode


def _parse_post(line: bytes) -> PostRow:
    post = _decode_post(line)
    return PostRow(
        post.title,
        post.author,
        post.slug,
        post.content or "",
        post.content_format or ContentFormat.MARKDOWN,
        post.excerpt,
        tuple(post.tags) if post.tags else (),
        post.type or PostType.POST,
        post.status,
        instant(post.published_at, "published_at") if post.published_at else None,
        post.views or 0,
        post.source,
        post.external_id,
    )


def _parse_user(line: bytes) -> UserRow:
    user = _decode_user(line)
    return UserRow(
        user.username,
        user.email,
        user.display_name or "",
        user.bio or "",
        user.website,
        user.role or "author",
        user.password,
    )


def _wrong(said: str) -> RowProblem:
    """msgspec's own words for what is wrong, as a row's problem."""
    if unknown := _UNKNOWN.match(said):
        return RowProblem(unknown[1], "unknown_field", "There is no such field.")
    if missing := _MISSING.match(said):
        return RowProblem(missing[1], "missing", "It is required.")
    place = _PLACE.search(said)
    field = place[1] if place else None
    if field is not None and field in CHOICES:
        return RowProblem(field, "bad_value", one_of(field))
    expected = _EXPECTED.match(said)
    message = f"It must be of type {expected[1]}, and is of type {expected[2]}." if expected else said
    return RowProblem(field, "wrong_type", message)
