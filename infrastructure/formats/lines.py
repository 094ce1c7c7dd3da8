"""Lines of a file, none of them longer in memory than a limit."""

from typing import BinaryIO


def read_line(file: BinaryIO, longest: int) -> tuple[bytes, int]:
    """The next line without its line break, and how many bytes it took of the file: 0 at its end.

    Of a line with more than `longest` bytes the first `longest + 1` are returned; the rest is passed over.
    """
    raw = file.readline(longest + 2)
    taken = len(raw)
    if not raw.endswith(b"\n"):
        piece = raw
        while len(piece) == longest + 2 and not piece.endswith(b"\n"):
            piece = file.readline(longest + 2)
            taken += len(piece)
        return raw[: longest + 1], taken
    return raw[:-2] if raw.endswith(b"\r\n") else raw[:-1], taken
