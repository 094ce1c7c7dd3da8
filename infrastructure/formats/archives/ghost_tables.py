"""Rows of the tables in Ghost's export, as its JSON streams by."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import ijson  # type: ignore[import-untyped]
from ijson.common import JSONError, ObjectBuilder  # type: ignore[import-untyped]

from application.ports.formats import RowProblem
from domain.errors import InvalidValue, TooLarge
from infrastructure.formats.archives.records import Source

_PIECE = 64 * 1024
# A text that is longer than a row may be costs its row; past so many times as much memory is at stake.
_TEXT_MAX = 4
_DATA = ("db.item.data.", "data.")
# No row is so deep, or has so long a path.
_DEPTH_MAX = 100
_PATH_MAX = 40

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TableRow:
    """Of a table. `values` is empty where it is a problem."""

    table: str
    line: int
    end_line: int
    values: Row
    problem: RowProblem | None = None


def table_rows(source: Source, tables: set[str], longest: int) -> Iterator[TableRow]:
    """Those of `tables`, in file order, at most `longest` bytes in memory. Raises InvalidValue, TooLarge."""
    events: Sequence[tuple[str, object]] = ijson.sendable_list()
    parser = ijson.basic_parse_coro(events, use_float=True)
    path = _Path()
    wanted = {f"{data}{table}.item": table for data in _DATA for table in tables}
    building = _Building(wanted, longest)
    line, waiting, has_data = 1, 0, False
    while piece := source.readline(_PIECE):
        try:
            parser.send(piece)
        except (JSONError, UnicodeDecodeError) as error:
            what = (str(error).splitlines() or ["not JSON"])[0][:200]
            raise InvalidValue("file", f"The JSON is broken in line {line}: {what}", code="bad_json") from None
        waiting = 0 if events else waiting + len(piece)
        if waiting > _TEXT_MAX * longest:
            raise TooLarge("A text in the file", limit_bytes=_TEXT_MAX * longest)
        for event, value in events:
            prefix = path.of(event, value)
            has_data = has_data or (event == "start_map" and prefix in ("data", "db.item.data"))
            if (row := building.take(prefix, event, value, line)) is not None:
                yield row
        del events[:]  # type: ignore[attr-defined]
        line += piece.endswith(b"\n")
    if source.damage is not None:
        raise InvalidValue("file", source.damage.message, code=source.damage.code)
    try:
        parser.close()
    except JSONError:
        message = f"The file breaks off in line {line}: a Ghost export is imported as a whole or not at all."
        raise InvalidValue("file", message, code="truncated") from None
    if not has_data:
        raise InvalidValue("file", "It is no Ghost export: it has no data.", code="wrong_format")


class _Path:
    """Where in the JSON each event is, as `ijson.parse` tells it (`data.posts.item`), but cut off past where rows are:
    whole, in JSON that is nested deep, it would take memory by the square of the depth."""

    def __init__(self) -> None:
        self._above: list[str] = []
        self._here = ""

    def of(self, event: str, value: object) -> str:
        """Raises InvalidValue."""
        match event:
            case "map_key":
                self._here = _below(self._above[-1], str(value))
                return self._above[-1]
            case "start_map" | "start_array":
                if len(self._above) == _DEPTH_MAX:
                    raise InvalidValue("file", f"Its JSON is nested deeper than {_DEPTH_MAX}.", code="too_deep")
                here = self._here
                self._above.append(here)
                if event == "start_array":
                    self._here = _below(here, "item")
                return here
            case "end_map" | "end_array":
                # What comes next is below the same array, and so has the same path, or else a key comes first.
                self._here = self._above.pop()
        return self._here


def _below(prefix: str, name: str) -> str:
    return f"{prefix}.{name}"[:_PATH_MAX] if prefix else name[:_PATH_MAX]


class _Building:
    """One row at a time, from the events of its JSON."""

    def __init__(self, wanted: Mapping[str, str], longest: int) -> None:
        self._wanted = wanted
        self._longest = longest
        self._builder: ObjectBuilder | None = None
        self._prefix = ""
        self._line = 1
        self._size = 0

    def take(self, prefix: str, event: str, value: object, line: int) -> TableRow | None:
        """The row that ends with this event."""
        if self._builder is None:
            if event != "start_map" or prefix not in self._wanted:
                return None
            self._builder = ObjectBuilder()
            self._prefix, self._line = prefix, line
            self._size = 0
        self._size += len(value) + 10 if isinstance(value, str) else 10
        is_too_long = self._size > self._longest
        if not is_too_long:
            self._builder.event(event, value)
        if event != "end_map" or prefix != self._prefix:
            return None
        built, self._builder = self._builder, None
        table = self._wanted[prefix]
        if is_too_long:
            problem = RowProblem(None, "too_long", f"It is longer than {self._longest} bytes.")
            return TableRow(table, self._line, line, {}, problem)
        return TableRow(table, self._line, line, built.value)
