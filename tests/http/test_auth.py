"""Signing in, refreshing, signing out, and what a token is good for."""

from datetime import timedelta
from functools import partial

import pytest
from dependency_injector import providers

from infrastructure.container import Container
from tests.builders import FixedClock
from tests.http.byline import PASSWORD, Byline, Member, refused
from tests.http.conftest import StartByline


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
async def byline(start: StartByline, clock: FixedClock) -> Byline:
    def prepare(container: Container) -> None:
        container.clock.override(providers.Object(clock))

    return await start(prepare=prepare)


async def test_a_username_or_an_email_address_in_any_case_signs_in(byline: Byline) -> None:
    await byline.member("ada")

    for login in ("ada", "ADA", "ada@example.com", "Ada@Example.COM"):
        answer = await byline.http.post("/v1/auth/token", data={"username": login, "password": PASSWORD})
        assert answer.status_code == 200
        assert set(answer.json()) == {"access_token", "token_type", "expires_in", "refresh_token"}
        assert answer.headers["cache-control"] == "no-store"


async def test_an_unknown_user_a_wrong_password_and_a_deactivated_user_are_answered_alike(byline: Byline) -> None:
    await byline.member("ada")
    gone = await byline.member("gone")
    left = await byline.http.patch("/v1/users/me", json={"is_active": False}, headers=gone.auth)
    assert left.status_code == 200

    answers = []
    for form in (
        {"username": "nobody", "password": PASSWORD},
        {"username": "ada", "password": "wrong"},
        {"username": "gone", "password": PASSWORD},
    ):
        answer = await byline.http.post("/v1/auth/token", data=form)
        problem = refused(answer, 401, "bad-credentials")
        assert answer.headers["www-authenticate"] == "Bearer"
        answers.append({name: value for name, value in problem.items() if name != "request_id"})
    assert answers[0] == answers[1] == answers[2]


async def test_a_wrong_form_is_told_field_by_field(byline: Byline) -> None:
    forms: list[tuple[dict[str, str], str]] = [
        ({"password": "x"}, "#/username"),
        ({"username": "x"}, "#/password"),
        ({"username": "x", "password": "x", "grant_type": "implicit"}, "#/grant_type"),
        ({"username": "x\0", "password": "x"}, "#/username"),
        ({"username": "x" * 300, "password": "x"}, "#/username"),
        ({"username": "x", "password": "x" * 300}, "#/password"),
    ]
    for form, pointer in forms:
        answer = await byline.http.post("/v1/auth/token", data=form)
        assert [wrong["pointer"] for wrong in refused(answer, 422, "validation")["errors"]] == [pointer]


async def test_what_the_grant_does_not_know_is_ignored(byline: Byline) -> None:
    await byline.member("ada")
    form = {"grant_type": "password", "username": "ada", "password": PASSWORD, "scope": "", "client_id": "x"}

    assert (await byline.http.post("/v1/auth/token", data=form)).status_code == 200


async def test_json_is_no_form(byline: Byline) -> None:
    answer = await byline.http.post("/v1/auth/token", json={"username": "ada", "password": PASSWORD})

    assert "application/x-www-form-urlencoded" in refused(answer, 415, "unsupported-media-type")["detail"]


async def test_an_access_token_expires(byline: Byline, clock: FixedClock) -> None:
    ada = await byline.member()
    clock.advance(timedelta(minutes=14, seconds=59))
    assert (await byline.http.get("/v1/users/me", headers=ada.auth)).status_code == 200

    clock.advance(timedelta(seconds=1))

    answer = await byline.http.get("/v1/users/me", headers=ada.auth)
    refused(answer, 401, "invalid-token")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def _refreshed(byline: Byline, member: Member) -> Member:
    answer = await byline.http.post("/v1/auth/refresh", json={"refresh_token": member.tokens["refresh_token"]})
    assert answer.status_code == 200, answer.text
    return Member(member.id, member.username, answer.json())


async def test_a_refresh_token_is_used_up_but_for_a_grace(byline: Byline, clock: FixedClock) -> None:
    first = await byline.member()
    second = await _refreshed(byline, first)
    assert second.tokens["refresh_token"] != first.tokens["refresh_token"]
    assert (await byline.http.get("/v1/users/me", headers=second.auth)).status_code == 200

    clock.advance(timedelta(seconds=10))
    third = await _refreshed(byline, first)
    clock.advance(timedelta(seconds=1))

    refresh = partial(byline.http.post, "/v1/auth/refresh")
    refused(await refresh(json={"refresh_token": first.tokens["refresh_token"]}), 401, "token-reused")
    for member in (second, third):
        refused(await refresh(json={"refresh_token": member.tokens["refresh_token"]}), 401, "invalid-token")


async def test_signing_out_ends_the_session_and_may_be_repeated(byline: Byline) -> None:
    ada = await byline.member()
    body = {"refresh_token": ada.tokens["refresh_token"]}

    for _ in range(2):
        assert (await byline.http.post("/v1/auth/logout", json=body)).status_code == 204
    refused(await byline.http.post("/v1/auth/refresh", json=body), 401, "invalid-token")


async def test_an_unknown_refresh_token_is_refused_and_signed_out_already(byline: Byline) -> None:
    body = {"refresh_token": "nothing"}

    refused(await byline.http.post("/v1/auth/refresh", json=body), 401, "invalid-token")
    assert (await byline.http.post("/v1/auth/logout", json=body)).status_code == 204


async def test_bad_credentials_are_refused_also_where_none_are_needed(byline: Byline) -> None:
    for header, name in (
        ("Bearer nonsense", "invalid-token"),
        ("Bearer a.b.c", "invalid-token"),
        ("Bearer \xff\xfe", "invalid-token"),
        ("Bearer", "not-authenticated"),
        ("Bearer ", "not-authenticated"),
        ("Basic YTpi", "not-authenticated"),
        ("", "not-authenticated"),
    ):
        for path in ("/v1/posts", "/v1/posts/any", "/v1/users", "/v1/users/me", "/v1/imports"):
            answer = await byline.http.get(path, headers=[(b"authorization", header.encode("latin-1"))])
            refused(answer, 401, name)


async def test_without_credentials_the_challenge_is_bearer(byline: Byline) -> None:
    answer = await byline.http.post("/v1/posts", json={"title": "x"})

    refused(answer, 401, "not-authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_deactivation_bites_at_once(byline: Byline) -> None:
    ada = await byline.member()
    await byline.http.patch("/v1/users/me", json={"is_active": False}, headers=ada.auth)

    refused(await byline.http.get("/v1/users/me", headers=ada.auth), 401, "invalid-token")
    refresh = {"refresh_token": ada.tokens["refresh_token"]}
    refused(await byline.http.post("/v1/auth/refresh", json=refresh), 401, "invalid-token")
