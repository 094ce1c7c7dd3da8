"""Importing users: what becomes of each kind of row."""

import json
from dataclasses import astuple, replace
from typing import Any

import pytest

from domain.actors import Role
from domain.import_options import ImportFormat, ImportKind
from domain.imports import ImportJob, ImportState, Tally
from domain.users import User
from tests.imports.places import Place

PASSWORD = "correct horse"


def named(username: str, **values: object) -> dict[str, object]:
    return {"username": username, "email": f"{username.lower()}@example.org", **values}


async def imported(place: Place, *rows: dict[str, object], by: User | None = None) -> ImportJob:
    file = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    return await place.imported(file, kind=ImportKind.USERS, by=by.id if by else None)


def masked(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: masked(value) if isinstance(value, dict) else value for name, value in row.items()}
    return {name: "***" if "pass" in name.lower() else value for name, value in shown.items()}


async def stored(place: Place, username: str) -> User:
    async with place.begin() as work:
        found = await work.users.find_by_login(username)
    assert found is not None
    return found


async def test_a_row_brings_a_user_with_profile_account_and_password(place: Place) -> None:
    row = named("Cleo", display_name="Cleo C", bio="Writes.", website="https://example.com/", password=PASSWORD)
    job = await imported(place, row)
    assert (job.state, job.tally) == (ImportState.SUCCEEDED, Tally(created=1))
    cleo, *_ = await place.users()
    assert astuple(cleo) == (
        *("Cleo", "cleo@example.org", "author", "Cleo C", "Writes.", "https://example.com/", True, 1, 1),
    )
    assert await place.hasher.verify(PASSWORD, (await stored(place, "cleo")).password_hash)


async def test_who_has_no_password_cannot_sign_in(place: Place) -> None:
    await imported(place, named("cleo"))
    assert (await stored(place, "cleo")).password_hash is None


async def test_csv_brings_the_same(place: Place) -> None:
    file = f"username;email;role;password\ncleo;cleo@example.org;author;{PASSWORD}\n".encode()
    job = await place.imported(file, kind=ImportKind.USERS, form=ImportFormat.CSV)
    assert job.tally == Tally(created=1)
    assert (await stored(place, "cleo@example.org")).username.value == "cleo"


@pytest.mark.parametrize(
    ("values", "field", "code"),
    [
        ({"username": "no name"}, "username", "bad_username"),
        ({"email": "nowhere"}, "email", "bad_email"),
        ({"display_name": "N" * 101}, "display_name", "too_long"),
        ({"bio": "a\x00b"}, "bio", "bad_character"),
        ({"website": "ftp://example.com"}, "website", "bad_url"),
        ({"role": "king"}, "role", "bad_value"),
        ({"password": "short"}, "password", "too_short"),
        ({"password": 12345678}, "password", "wrong_type"),
        ({"Passwort": PASSWORD}, "Passwort", "unknown_field"),
        ({"bio": {"passphrases": [PASSWORD]}}, "bio", "wrong_type"),
    ],
)
async def test_a_bad_row_fails_alone_and_shows_no_secret(
    place: Place, values: dict[str, object], field: str, code: str
) -> None:
    bad = {**named("cleo", password=PASSWORD), **values}
    job = await imported(place, named("before"), bad, named("later"))
    assert job.tally == Tally(created=2, failed=1)
    (error,) = await place.errors(job.id)
    assert (error.line, error.field, error.code) == (2, field, code)
    assert PASSWORD not in repr(error)
    assert error.row == masked(bad)


@pytest.mark.parametrize(
    ("form", "file"),
    [
        (ImportFormat.NDJSON, f'{{"username":"cleo","password":"{PASSWORD}"'),
        (ImportFormat.CSV, f"username,email,password\ncleo,{PASSWORD}\n"),
        (ImportFormat.CSV, f'username,email,password\n"cleo"x,a@example.org,{PASSWORD}\n'),
    ],
)
async def test_a_broken_row_that_may_hold_a_password_is_not_shown(place: Place, form: ImportFormat, file: str) -> None:
    job = await place.imported(file.encode(), kind=ImportKind.USERS, form=form)
    (error,) = await place.errors(job.id)
    assert error.row is None
    assert PASSWORD not in repr(error)


async def test_those_who_are_here_already_are_skipped_as_they_are(place: Place) -> None:
    before = await place.users()
    rows = [named("ANN", bio="New."), named("other", email="Bob@Example.com", password=PASSWORD)]
    assert (await imported(place, *rows)).tally == Tally(skipped=2)
    assert await place.users() == before


async def test_the_same_file_twice_makes_nobody_twice(place: Place) -> None:
    rows = [named(f"user-{number}") for number in range(20)]
    assert (await imported(place, *rows)).tally == Tally(created=20)
    assert (await imported(place, *rows)).tally == Tally(skipped=20)


@pytest.mark.parametrize("between", [0, 20])
async def test_a_row_that_repeats_another_of_its_file_fails(place: Place, between: int) -> None:
    others = [named(f"other-{number}") for number in range(between)]
    repeated = [named("CLEO", email="x@example.org"), named("dora", email="Cleo@example.org", password=PASSWORD)]
    job = await imported(place, named("cleo"), *others, *repeated)
    assert job.tally == Tally(created=1 + between, failed=2)
    assert await place.refusals(job.id) == [
        (2 + between, "username", "duplicate"),
        (3 + between, "username", "duplicate"),
    ]


@pytest.mark.parametrize(("by", "created"), [(Role.ADMIN, True), (Role.OPERATOR, False), (None, False)])
async def test_roles_are_given_where_an_administrator_started_the_import(
    place: Place, by: Role | None, created: bool
) -> None:
    starter = await place.add_user("starter", role=by) if by else None
    job = await imported(place, named("cleo", role="operator"), named("dora", role="author"), by=starter)
    if created:
        assert (await stored(place, "cleo")).role is Role.OPERATOR
    else:
        assert await place.refusals(job.id) == [(1, "role", "not_allowed")]
    assert (await stored(place, "dora")).role is Role.AUTHOR


async def test_an_administrator_deactivated_since_gives_no_roles(place: Place) -> None:
    starter = await place.add_user("starter", role=Role.ADMIN)
    job = await place.upload(
        b'{"username": "cleo", "email": "cleo@example.org", "role": "admin"}', kind=ImportKind.USERS, by=starter.id
    )
    async with place.begin() as work:
        await work.users.save(replace(await work.users.lock(starter.id), is_active=False))
        await work.commit()
    assert (await place.run_import()(job.id)).tally == Tally(failed=1)
    assert await place.refusals(job.id) == [(1, "role", "not_allowed")]
