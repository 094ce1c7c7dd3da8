"""What every text must hold to: a length in characters, and nothing that a database or an encoder cannot keep."""

from unicodedata import category

from domain.errors import InvalidValue

# Control characters, line and paragraph separators (Unicode's general categories).
_BREAKING = frozenset({"Cc", "Zl", "Zp"})


def checked(value: str, field: str, *, longest: int, shortest: int = 0) -> str:
    """`value` itself, `shortest` to `longest` characters, without NUL and lone surrogates. Raises InvalidValue."""
    if len(value) > longest:
        raise InvalidValue(field, f"It has {len(value)} characters; at most {longest} are allowed.", code="too_long")
    if len(value) < shortest:
        needed = "It must not be empty." if shortest == 1 else f"It needs at least {shortest} characters."
        raise InvalidValue(field, needed, code="too_short")
    if "\x00" in value:
        raise InvalidValue(field, "It holds a NUL character.", code="bad_character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidValue(field, "It holds half of a surrogate pair.", code="bad_character") from None
    return value


def checked_line(value: str, field: str, *, longest: int, shortest: int = 0) -> str:
    """As `checked`, trimmed, without line breaks and control characters. Raises InvalidValue."""
    value = value.strip()
    if value.isprintable() and shortest <= len(value) <= longest:
        return value  # nothing that cannot be kept is printable
    if not value.isprintable() and any(category(character) in _BREAKING for character in value):
        raise InvalidValue(field, "It must be a single line without control characters.", code="bad_character")
    return checked(value, field, longest=longest, shortest=shortest)
