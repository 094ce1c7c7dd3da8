"""JSON objects as rows. Types are checked by msgspec; a field that is null is absent, as other tools' exports have it.

An entry of an import's error file is an object of its own kind, known by its keys: the row is in it.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from application.importing.row_errors import CUT
from application.ports.formats import FileShape, PostRow, RowProblem, UserRow
from domain.errors import InvalidValue
from domain.import_options import ImportKind
from domain.posts import ContentFormat, PostStatus, PostType
from infrastructure.formats.rows import (
    CHOICES,
    NOT_UTF_8,
    Row,
    alike,
    compared,
    field_names,
    instant,
    one_of,
    renamings,
    require_secrets,
)
from infrastructure.formats.text.cells import Cells

Raw: TypeAlias = Mapping[str, object] | bytes
Read: TypeAlias = tuple[Row | RowProblem, Raw]
"""What a record is, and as what a row error shows it."""

ENTRY_KEYS = ("line", "field", "code", "message", "row")

_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_PLACE = re.compile(r" - at `\$\.(\w+)[^`]*`$")
_EXPECTED = re.compile(r"Expected `(\w+)[^`]*`, got `(\w+)`")
_NOT_JSON = "JSON is malformed: "

REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidValue)


class _PostObject(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    title: str
    author: str | None = None
    slug: str | None = None
    content: str | None = None
    content_format: ContentFormat | None = None
    excerpt: str | None = None
    tags: tuple[str, ...] | None = None
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
    password_hash: str | None = None


class _Entry(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    line: Any
    field: Any
    code: Any
    message: Any
    row: Any


_decode_post = msgspec.json.Decoder(_PostObject).decode
_decode_user = msgspec.json.Decoder(_UserObject).decode
_decode_entry = msgspec.json.Decoder(_Entry).decode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


class Objects:
    """Of one shape. Raises InvalidValue where its columns name no field."""

    def __init__(self, shape: FileShape) -> None:
        self._kind = shape.kind
        self._renamings = renamings(shape)
        self.read: Callable[[bytes], Read]
        """Never raises."""
        if self._renamings:
            self.read = self._read_renamed
        elif shape.kind is ImportKind.POSTS:
            self.read = self._read_post
        else:
            self.read = self._read_user

    def _read_post(self, raw: bytes) -> Read:
        try:
            post = _decode_post(raw)
            published_at = post.published_at
            return PostRow(
                post.title,
                post.author,
                post.slug,
                post.content,
                post.content_format,
                post.excerpt,
                post.tags,
                post.type,
                post.status,
                instant(published_at, "published_at") if published_at else None,
                post.views,
                post.source,
                post.external_id,
            ), raw
        except REFUSALS as error:
            return self._looked_at_again(raw, error)

    def _read_user(self, raw: bytes) -> Read:
        try:
            return _user(_decode_user(raw)), raw
        except REFUSALS as error:
            return self._looked_at_again(raw, error)

    def _looked_at_again(self, raw: bytes, error: Exception) -> Read:
        if isinstance(error, msgspec.ValidationError):
            try:
                entry = _decode_entry(raw)
            except REFUSALS:
                pass
            else:
                return self.read_entry(entry.row)
        return self._problem(error), raw.rstrip(b"\r")

    def _read_renamed(self, raw: bytes) -> Read:
        try:
            values = _decode_object(raw)
        except REFUSALS as error:
            return self._problem(error), raw.rstrip(b"\r")
        return self.read_entry(values["row"]) if values.keys() == set(ENTRY_KEYS) else self._read_values(values)

    def read_entry(self, row: object) -> Read:
        """The row of an error file's entry: an object, or the text of what could not be taken apart."""
        if isinstance(row, str):
            if row.endswith(CUT):
                return _CUT_OFF, row.encode(errors="backslashreplace")
            raw = row.encode(errors="backslashreplace")
            try:
                row = _decode_object(raw)
            except REFUSALS as error:
                return self._problem(error), raw
        if not isinstance(row, dict):
            return (_NOT_SHOWN if row is None else _NO_OBJECT), b""
        for name, value in row.items():
            if isinstance(value, str) and value.endswith(CUT):
                return RowProblem(name, _CUT_OFF.code, _CUT_OFF.message), row
        if row and all(value is None or isinstance(value, str) for value in row.values()):
            return self._read_cells(row)
        return self._read_values(row)

    def _read_cells(self, row: Mapping[str, str | None]) -> Read:
        """A row that has texts alone came of a CSV, or may have: an empty one is absent."""
        try:
            values = self._renamed(row)
        except InvalidValue as error:
            return _of_invalid(error), row
        for name in values:
            if name not in field_names(self._kind):
                return self._unknown(name), values
        return Cells(self._kind, list(values)).row([value or "" for value in values.values()]), values

    def _read_values(self, values: dict[str, Any]) -> Read:
        try:
            values = self._renamed(values)
            if self._kind is ImportKind.POSTS:
                post = msgspec.convert(values, _PostObject)
                at = instant(post.published_at, "published_at") if post.published_at else None
                return PostRow(**msgspec.structs.asdict(post) | {"published_at": at}), values
            return _user(msgspec.convert(values, _UserObject)), values
        except REFUSALS as error:
            return self._problem(error), values

    def _renamed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Raises InvalidValue where two of its names stand for one field."""
        if not self._renamings:
            return dict(values)
        renamed: dict[str, Any] = {}
        for name, value in values.items():
            field = self._renamings.get(compared(name), name)
            if field in renamed:
                raise InvalidValue(field, "Two names of the row stand for it.", code="repeated")
            if field:
                renamed[field] = value
        return renamed

    def _problem(self, error: Exception) -> RowProblem:
        """msgspec's own words for what is wrong, as a row's problem."""
        if isinstance(error, msgspec.ValidationError):
            return self._wrong(str(error))
        if isinstance(error, msgspec.DecodeError):
            return RowProblem(None, "bad_json", f"It is not valid JSON. {str(error).removeprefix(_NOT_JSON)}.")
        if isinstance(error, InvalidValue):
            return _of_invalid(error)
        if isinstance(error, RecursionError):
            return RowProblem(None, "bad_json", "It is nested too deeply.")
        return NOT_UTF_8

    def _wrong(self, said: str) -> RowProblem:
        if unknown := _UNKNOWN.match(said):
            return self._unknown(unknown[1])
        if missing := _MISSING.match(said):
            return RowProblem(missing[1], "missing", "It is required.")
        place = _PLACE.search(said)
        field = place[1] if place else None
        if field is not None and field in CHOICES:
            return RowProblem(field, "bad_value", one_of(field))
        expected = _EXPECTED.match(said)
        message = f"It must be of type {expected[1]}, and is of type {expected[2]}." if expected else said
        return RowProblem(field, "wrong_type", message)

    def _unknown(self, name: str) -> RowProblem:
        return RowProblem(name, "unknown_field", f"There is no such field.{alike(name, field_names(self._kind))}")


_CUT_OFF = RowProblem(
    None, "cut", "It was too long to be shown whole, and was cut: take it from the file that it came from."
)
_NOT_SHOWN = RowProblem(None, "no_row", "The row is not shown here: take it from the file that it came from.")
_NO_OBJECT = RowProblem(None, "wrong_type", "The row of an error must be an object, or its text.")


def _of_invalid(error: InvalidValue) -> RowProblem:
    return RowProblem(error.field, error.code, error.message)


def _user(user: _UserObject) -> UserRow:
    """Raises InvalidValue."""
    return require_secrets(
        UserRow(
            user.username,
            user.email,
            user.display_name,
            user.bio,
            user.website,
            user.role,
            user.password,
            user.password_hash,
        )
    )
