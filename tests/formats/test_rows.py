from infrastructure.formats.rows import alike


def test_long_names_are_not_compared() -> None:
    assert alike("titel", ["title"]) == " It may be meant for 'title': --map titel=title says so."
    name = "title" * 21
    assert alike(name, [name]) == ""
