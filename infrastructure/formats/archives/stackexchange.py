"""Stack Exchange's data dump, `Posts.xml`: questions and answers are posts; wikis and the like are skipped by name."""

from collections.abc import Iterator
from typing import BinaryIO

from application.ports.formats import AuthorRow, FileShape, PostRow, Record, RowProblem, RowSkip
from domain.errors import InvalidValue
from domain.import_options import ImportKind
from domain.imports import Checkpoint
from domain.posts import ContentFormat, PostStatus, PostType
from infrastructure.formats.archives.records import UNTITLED, ArchiveReading, guarded, in_utc, one_line, record, shown
from infrastructure.formats.archives.xml import Damage, Element, Wanted, read_elements
from infrastructure.formats.rows import instant, whole_number
from infrastructure.formats.unpacking import Unpacked

_WANTED = Wanted(("posts",), "Stack Exchange archive of posts")

_QUESTION, _ANSWER = "1", "2"
_SKIPPED = {
    "3": "orphaned_tag_wiki",
    "4": "tag_wiki_excerpt",
    "5": "tag_wiki",
    "6": "moderator_nomination",
    "7": "wiki_placeholder",
    "8": "privilege_wiki",
}


def read_stackexchange(file: BinaryIO, shape: FileShape, *, start: Checkpoint) -> ArchiveReading:
    """A `Reader`. Raises InvalidValue for users: they are in another file of the dump."""
    if shape.kind is ImportKind.USERS:
        raise InvalidValue("kind", "A Stack Exchange archive of posts holds no users.", code="wrong_kind")
    source = Unpacked(file, shape.limits)
    limit = shape.limits.max_row_bytes
    return ArchiveReading(source, _records(read_elements(source, _WANTED, limit=limit), limit), start)


def _records(elements: Iterator[Element | Damage], limit: int) -> Iterator[Record]:
    for element in elements:
        if isinstance(element, Damage):
            yield record(element.line, element.end_line, element.problem)
        elif element.name == "row":
            yield guarded(element.line, element.end_line, _record, element, limit)


def _record(element: Element, limit: int) -> Record:
    said = element.attributes.get
    kind = said("PostTypeId", "")
    if kind not in (_QUESTION, _ANSWER) and not element.too_long:
        return record(element.line, element.end_line, RowSkip(_SKIPPED.get(kind, "other_type")))
    id_, created, views, owner = said("Id", ""), said("CreationDate", ""), said("ViewCount"), said("OwnerUserId")
    title = f"Answer {id_} to question {said('ParentId', '?')}" if kind == _ANSWER else one_line(said("Title", ""))
    author = f"user-{owner}" if owner else None
    row = PostRow(
        title or UNTITLED,
        author,
        None,
        said("Body", ""),
        ContentFormat.HTML,
        None,
        _tags(said("Tags", "")),
        PostType.POST,
        PostStatus.PUBLISHED,
        None,
        None,
        "stackexchange",
        # The dump does not name its site: that another site had this very id in this very millisecond is ruled out.
        f"{id_}@{created}",
        AuthorRow(author, None, one_line(said("OwnerDisplayName", ""))) if author else None,
    )
    no_id = None if id_ else RowProblem("external_id", "missing", "It has no Id.")
    problem = element.problem(limit) or no_id
    try:
        row.published_at = in_utc(instant(created, "published_at"))
        row.views = whole_number(views, "views") if views else 0
    except InvalidValue as error:
        problem = problem or RowProblem(error.field, error.code, error.message)
    if problem is not None:
        raw = shown(row) | {"published_at": created, "views": views or 0}
        return record(element.line, element.end_line, problem, raw)
    return record(element.line, element.end_line, row)


def _tags(text: str) -> tuple[str, ...]:
    """Of `<a><b>` or `|a|b|`."""
    if not text:
        return ()
    parts = text.strip("|").split("|") if text.startswith("|") else text.strip("<>").split("><")
    return tuple(filter(None, parts))
