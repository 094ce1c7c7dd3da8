from application.importing.rows import Places


def test_places_are_those_that_were_added() -> None:
    places = Places()
    assert (places.last, 0 in places, 1 in places) == (0, False, False)
    places.add([2, 5])
    places.add([])
    places.add([9, 2**40])
    assert [place for place in (*range(12), 2**40 - 1, 2**40, 2**63) if place in places] == [2, 5, 9, 2**40]
    assert places.last == 2**40
