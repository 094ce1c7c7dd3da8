"""Texts: their length, and nothing that a database or an encoder cannot keep."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidValue
from domain.text import checked, checked_line

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)


@given(ANY_TEXT)
def test_an_accepted_text_is_itself_and_can_be_encoded_and_kept(text: str) -> None:
    try:
        accepted = checked(text, "bio", longest=20)
    except InvalidValue:
        return
    assert accepted == text
    assert len(text) <= 20
    assert b"\x00" not in text.encode()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20))
def test_every_text_of_whole_characters_within_its_length_is_accepted(text: str) -> None:
    assert checked(text, "bio", longest=20) == text


@given(ANY_TEXT)
def test_an_accepted_line_is_one_trimmed_line(text: str) -> None:
    try:
        line = checked_line(text, "title", longest=20)
    except InvalidValue:
        return
    assert line == text.strip()
    assert len(line.splitlines()) <= 1
    assert checked_line(line, "title", longest=20) == line


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a\x00b", "bad_character"),
        ("half a pair \ud800", "bad_character"),
        ("the other half \udfff", "bad_character"),
        ("six characters", "too_long"),
        ("", "too_short"),
    ],
)
def test_a_refused_text_names_its_field_and_why(text: str, code: str) -> None:
    longest = 5 if code == "too_long" else 40
    with pytest.raises(InvalidValue) as refused:
        checked(text, "bio", longest=longest, shortest=1)
    assert (refused.value.field, refused.value.code) == ("bio", code)


@pytest.mark.parametrize("breaking", ["\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\x9f", "\u2028", "\u2029"])
def test_a_line_holds_no_control_character_and_no_line_break(breaking: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        checked_line(f"one{breaking}two", "title", longest=20)
    assert refused.value.code == "bad_character"


@pytest.mark.parametrize("text", ["naïve café", "日本語", "👩‍👩‍👧 family", "non\u00a0breaking", "שלום"])
def test_a_line_may_be_in_any_script(text: str) -> None:
    assert checked_line(text, "title", longest=20) == text


def test_length_is_counted_in_characters_after_trimming() -> None:
    assert checked_line(f"  {'é' * 5}  ", "title", longest=5) == "é" * 5
    with pytest.raises(InvalidValue):
        checked_line("é" * 6, "title", longest=5)


def test_what_is_too_short_is_told_what_it_needs() -> None:
    for shortest, told in ((1, "It must not be empty."), (8, "It needs at least 8 characters.")):
        with pytest.raises(InvalidValue, match=told):
            checked("", "password", shortest=shortest, longest=20)
