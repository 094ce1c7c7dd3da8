"""XML as a stream, through expat: in bounded memory, with true line numbers, and hardened: a document type declaration,
and with it every entity, refuses the file, and nothing outside it is ever looked at.

Not through lxml, whose `sourceline` is wrong beyond line 65,535 and whose text has no bound of ours.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from xml.parsers.expat import ExpatError, ParserCreate, errors

from application.ports.formats import RowProblem
from domain.errors import InvalidValue
from infrastructure.formats.archives.records import Source
from infrastructure.formats.archives.xml_text import PIECE_BYTES, XmlText

# What an element takes in memory besides its texts, about: so that a record of a million empty ones is too large too.
_WEIGHT = 100
_SHOWN = 1_000


@dataclass(slots=True)
class Element:
    """`counted` has the line of each element below it that is only counted. What is `too_long` has lost content, what
    is `misspelt` holds bytes that are not of the file's encoding, as U+FFFD."""

    name: str
    line: int
    attributes: dict[str, str]
    text: str = ""
    children: list["Element"] = field(default_factory=list)
    counted: "array[int] | None" = None
    end_line: int = 0
    too_long: bool = False
    misspelt: bool = False

    def child(self, name: str) -> str:
        """The text of the first child of that name; empty where there is none."""
        for child in self.children:
            if child.name == name:
                return child.text
        return ""

    def problem(self, limit: int) -> RowProblem | None:
        if self.too_long:
            return RowProblem(None, "too_long", f"It is longer than {limit} bytes.")
        if self.misspelt:
            return RowProblem(None, "bad_encoding", "It holds bytes that are not of the file's encoding.")
        return None


@dataclass(frozen=True, slots=True)
class Damage:
    """Where the XML breaks, and with it reading: `line` is where the element that it is in begins."""

    line: int
    end_line: int
    problem: RowProblem


@dataclass(frozen=True, slots=True)
class Wanted:
    """The elements right below `path`, whatever their name. Those named `counted`, at any depth below, are counted
    alone, and of those named `dropped` nothing is kept. `name` makes a name of expat's `uri local`."""

    path: Sequence[str]
    what: str
    counted: str = ""
    dropped: frozenset[str] = frozenset()
    name: Callable[[str], str] = str


def read_elements(source: Source, wanted: Wanted, *, limit: int) -> Iterator[Element | Damage]:
    """In file order, at most `limit` bytes of text each. Damage, if any, comes last.

    Raises InvalidValue where the file is no XML, declares a document type, or has another root.
    """
    text = XmlText(source)
    elements = _Elements(wanted, limit, text)
    chunk = b"-"
    while chunk:
        chunk = text.next()
        problem = None
        try:
            elements.feed(chunk)
        except ExpatError as error:
            problem = _broken(error, text.line(error.lineno), ended=not chunk)
        else:
            if elements.waiting > limit + PIECE_BYTES:
                message = f"It is longer than {limit} bytes. Nothing after it was read."
                problem = RowProblem(None, "too_long", message)
        yield from elements.taken()
        if not chunk and source.damage is not None:
            problem = source.damage
        if problem is not None:
            yield elements.damage(problem)
            return


class _Elements:
    def __init__(self, wanted: Wanted, limit: int, text: XmlText) -> None:
        self._wanted = wanted
        self._limit = limit
        self._text = text
        self._name = lru_cache(1_000)(wanted.name)
        self._at = 0
        self._finished = False
        self._ignored = 0
        self._stack: list[Element] = []
        self._parts: list[list[str]] = []
        self._size = 0
        self._began_at = 0
        self._fed = 0
        self._done: list[Element] = []
        self._parser = parser = ParserCreate("utf-8", namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._doctype

    def feed(self, chunk: bytes) -> None:
        """Raises ExpatError, InvalidValue."""
        self._fed += len(chunk)
        self._parser.Parse(chunk, not chunk)
        if len(self._text.bad) > 1:
            here = self._parser.CurrentByteIndex
            within = [place for place in self._text.bad if self._began_at <= place <= here]
            self._text.bad = within[:1] + [place for place in self._text.bad if place > here]

    def taken(self) -> list[Element]:
        done, self._done = self._done, []
        return done

    @property
    def waiting(self) -> int:
        """Bytes that expat holds, of a tag, an attribute or a comment whose end it has not seen."""
        return self._fed - max(self._parser.CurrentByteIndex, 0)

    def damage(self, problem: RowProblem) -> Damage:
        """Raises InvalidValue where not even the beginning is what it should be."""
        if self._at == 0 and not self._finished:
            raise InvalidValue("file", f"It is no {self._wanted.what}: {problem.message}", code=problem.code)
        line = self._text.line(self._parser.CurrentLineNumber)
        return Damage(self._stack[0].line if self._stack else line, line, problem)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._ignored:
            self._ignored += 1
            return
        name = self._name(name)
        path = self._wanted.path
        if self._at < len(path):
            if name == path[self._at]:
                self._at += 1
            elif self._at == 0:
                message = f"It is no {self._wanted.what}: it begins with <{name[:100]}>, and not with <{path[0]}>."
                raise InvalidValue("file", message, code="wrong_format")
            else:
                self._ignored = 1
            return
        line = self._text.line(self._parser.CurrentLineNumber)
        if not self._stack:
            self._size = 0
            self._began_at = self._parser.CurrentByteIndex
        elif name == self._wanted.counted:
            root = self._stack[0]
            root.counted = root.counted or array("Q")
            root.counted.append(line)
            self._ignored = 1
            return
        elif name in self._wanted.dropped or self._stack[0].too_long:
            self._ignored = 1
            return
        element = Element(name, line, attributes)
        if self._stack:
            self._stack[-1].children.append(element)
        self._stack.append(element)
        self._parts.append([])
        self._grow(_WEIGHT + sum(map(_size, attributes.values())))

    def _characters(self, text: str) -> None:
        if self._ignored or not self._stack or self._stack[0].too_long:
            return
        self._parts[-1].append(text)
        self._grow(_size(text))

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size - _WEIGHT <= self._limit:
            return
        root = self._stack[0]
        root.too_long = True
        root.attributes = {name: value[:_SHOWN] for name, value in root.attributes.items()}
        root.children = [
            Element(child.name, child.line, {}, child.text[:_SHOWN])
            for child in root.children[:_SHOWN]
            if not child.children
        ]
        # The ends of those that were begun are still to come.
        self._ignored = len(self._stack) - 1
        del self._stack[1:], self._parts[1:]
        self._parts[0].clear()

    def _end(self, _name: str) -> None:
        if self._ignored:
            self._ignored -= 1
        elif self._stack:
            element = self._stack.pop()
            element.text = "".join(self._parts.pop())
            if not self._stack:
                element.end_line = self._text.line(self._parser.CurrentLineNumber)
                if self._text.bad:
                    element.misspelt = self._has_bad()
                self._done.append(element)
        else:
            self._at -= 1
            self._finished = self._at == 0

    def _has_bad(self) -> bool:
        """Whether any byte of the element that has just ended was no UTF-8; of earlier ones nobody asks any more."""
        here = self._parser.CurrentByteIndex
        within = [place for place in self._text.bad if self._began_at <= place <= here]
        self._text.bad = [place for place in self._text.bad if place > here]
        return bool(within)

    def _doctype(self, *_declared: object) -> None:
        raise InvalidValue(
            "file", "It declares a document type, which may hold entities: that is refused.", code="doctype"
        )


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


_BREAKS_OFF = frozenset(
    {
        errors.codes[errors.XML_ERROR_NO_ELEMENTS],
        errors.codes[errors.XML_ERROR_UNCLOSED_TOKEN],
        errors.codes[errors.XML_ERROR_UNCLOSED_CDATA_SECTION],
        errors.codes[errors.XML_ERROR_PARTIAL_CHAR],
    }
)


def _broken(error: ExpatError, line: int, *, ended: bool) -> RowProblem:
    if ended and error.code in _BREAKS_OFF:
        return RowProblem(None, "truncated", f"The file breaks off in line {line}.")
    what = errors.messages.get(error.code, "not well-formed")
    return RowProblem(None, "bad_xml", f"The XML is broken in line {line} ({what}). Nothing after it was read.")
