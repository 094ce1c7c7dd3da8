"""Users: registering, reading, changing, deleting."""

from typing import Any
from uuid import uuid4

from domain.actors import Role
from tests.http.byline import PASSWORD, Byline, Json, refused
from tests.http.conftest import StartByline

NEW = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
SHOWN_TO_STRANGERS = {"id", "username", "role", "is_active", "created_at", "updated_at", "version", "profile"}


def pointers(problem: Json) -> list[str]:
    return [wrong["pointer"] for wrong in problem["errors"]]


async def test_who_registers_is_shown_their_own_address_and_may_sign_in(byline: Byline) -> None:
    profile = {"display_name": "Ada", "bio": "Analyst.", "avatar_url": None, "website": "https://example.com/ada"}

    answer = await byline.http.post("/v1/users", json={**NEW, "profile": profile})

    assert answer.status_code == 201
    user = answer.json()
    assert set(user) == SHOWN_TO_STRANGERS | {"email"}
    assert (user["username"], user["role"], user["is_active"], user["version"]) == ("ada", "author", True, 1)
    assert user["profile"] == profile
    signed_in = await byline.http.post("/v1/auth/token", data={"username": "ada", "password": PASSWORD})
    auth = {"authorization": f"Bearer {signed_in.json()['access_token']}"}
    read = await byline.http.get(answer.headers["location"], headers=auth)
    assert (read.content, read.headers["etag"]) == (answer.content, answer.headers["etag"])


WRONG_VALUES: list[tuple[Json, str, str]] = [
    ({"username": "a b"}, "#/username", "bad_username"),
    ({"username": "x" * 41}, "#/username", "bad_username"),
    ({"username": 7}, "#/username", "string_type"),
    ({"username": "a\0"}, "#/username", "bad_username"),
    ({"email": "nowhere"}, "#/email", "bad_email"),
    ({"email": "a@example.com\nb"}, "#/email", "bad_email"),
    ({"password": "short"}, "#/password", "too_short"),
    ({"password": "x" * 257}, "#/password", "too_long"),
    ({"password": "long enough\0"}, "#/password", "bad_character"),
    ({"password": "long enough\ud800"}, "#/password", "bad_character"),
    ({"role": "king"}, "#/role", "enum"),
    ({"profile": {"website": "javascript:alert(1)"}}, "#/profile/website", "bad_url"),
    ({"profile": {"bio": "x" * 2_001}}, "#/profile/bio", "too_long"),
    ({"profile": {"bio": None}}, "#/profile/bio", "string_type"),
    ({"profile": {"display_name": "two\nlines"}}, "#/profile/display_name", "bad_character"),
    ({"profile": {"nick/name~": "x"}}, "#/profile/nick~1name~0", "unknown_field"),
    ({"profile": []}, "#/profile", "model_attributes_type"),
    ({"is_admin": True}, "#/is_admin", "unknown_field"),
    ({"\ud800": 1}, "#", "string_unicode"),
]


async def test_a_wrong_value_is_pointed_at(byline: Byline) -> None:
    for changed, pointer, code in WRONG_VALUES:
        answer = await byline.send("POST", "/v1/users", {**NEW, **changed})
        (wrong,) = refused(answer, 422, "validation")["errors"]
        assert (wrong["pointer"], wrong["code"]) == (pointer, code), changed
        assert wrong["detail"]


async def test_all_wrong_values_are_told_at_once_and_none_is_repeated(byline: Byline) -> None:
    body = {"username": "-", "email": "-", "password": "hunter2", "profile": {"website": "-", "x": 1}, "y": 1}

    answer = await byline.http.post("/v1/users", json=body)

    expected = ["#/username", "#/email", "#/password", "#/profile/website", "#/profile/x", "#/y"]
    assert pointers(refused(answer, 422, "validation")) == expected
    assert "hunter2" not in answer.text


async def test_a_username_and_an_address_belong_to_one_user(byline: Byline) -> None:
    await byline.member("ada")

    taken = await byline.http.post("/v1/users", json={**NEW, "username": "ADA", "email": "other@example.com"})
    refused(taken, 409, "username-taken")
    refused(await byline.http.post("/v1/users", json={**NEW, "username": "other"}), 409, "email-taken")


async def test_only_an_administrator_gives_roles(byline: Byline) -> None:
    operator, admin = await byline.member(role=Role.OPERATOR), await byline.member(role=Role.ADMIN)
    wanted = {**NEW, "role": "operator"}

    refused(await byline.http.post("/v1/users", json=wanted), 403, "not-allowed")
    refused(await byline.http.post("/v1/users", json=wanted, headers=operator.auth), 403, "not-allowed")
    made = await byline.http.post("/v1/users", json=wanted, headers=admin.auth)
    assert made.json()["role"] == "operator"


async def test_where_registration_is_closed_an_administrator_makes_users(start: StartByline) -> None:
    byline = await start(registration="closed")
    admin = await byline.member(role=Role.ADMIN)

    refused(await byline.http.post("/v1/users", json=NEW), 403, "registration-closed")
    assert (await byline.http.post("/v1/users", json=NEW, headers=admin.auth)).status_code == 201


async def test_an_address_is_shown_to_its_owner_and_to_operators(byline: Byline) -> None:
    ada, other, operator = await byline.member(), await byline.member(), await byline.member(role=Role.OPERATOR)

    for auth, sees in ((None, False), (other.auth, False), (ada.auth, True), (operator.auth, True)):
        one = (await byline.http.get(f"/v1/users/{ada.id}", headers=auth)).json()
        assert ("email" in one) is sees
        assert set(one) - {"email"} == SHOWN_TO_STRANGERS
        listed = (await byline.http.get("/v1/users", headers=auth)).json()["items"]
        assert [("email" in user) for user in listed if user["id"] == ada.id] == [sees]


async def test_the_list_of_addresses_is_for_operators(byline: Byline) -> None:
    ada, operator = await byline.member(), await byline.member(role=Role.OPERATOR)

    refused(await byline.http.get("/v1/users/emails"), 401, "not-authenticated")
    refused(await byline.http.get("/v1/users/emails", headers=ada.auth), 403, "not-allowed")
    listed = await byline.http.get("/v1/users/emails?page_size=1", headers=operator.auth)
    assert listed.json()["items"] == [{"id": operator.id, "email": f"{operator.username}@example.com"}]
    assert listed.json()["total"] == 2
    assert 'rel="next"' in listed.headers["link"]


async def test_a_user_comes_with_their_newest_posts_if_asked(byline: Byline) -> None:
    ada = await byline.member()
    posts = [(await byline.post(ada))["id"] for _ in range(22)]
    draft = await byline.post(ada, status="draft")

    shown = (await byline.http.get(f"/v1/users/{ada.id}?include=posts")).json()
    assert [post["id"] for post in shown["posts"]] == posts[:1:-1]
    mine = (await byline.http.get("/v1/users/me?include=posts", headers=ada.auth)).json()
    assert draft["id"] in [post["id"] for post in mine["posts"]]
    assert "posts" not in (await byline.http.get(f"/v1/users/{ada.id}")).json()
    (listed,) = (await byline.http.get("/v1/users?include=posts")).json()["items"]
    assert [post["id"] for post in listed["posts"]] == posts[:-6:-1]


async def test_nothing_else_can_be_included(byline: Byline) -> None:
    ada = await byline.member()

    for path in (f"/v1/users/{ada.id}?include=money", "/v1/users/me?include=", "/v1/users?include=post"):
        (wrong,) = refused(await byline.http.get(path, headers=ada.auth), 422, "validation")["errors"]
        assert wrong["parameter"] == "include"


async def test_there_is_no_unknown_user(byline: Byline) -> None:
    admin = await byline.member(role=Role.ADMIN)
    path = f"/v1/users/{uuid4()}"

    for method, body in (("GET", None), ("PATCH", {}), ("PUT", NEW), ("DELETE", None)):
        json: Any = {"username": "x", "email": "x@example.com"} if method == "PUT" else body
        answer = await byline.http.request(method, path, json=json, headers=admin.auth)
        refused(answer, 404, "user-not-found")
    for nobody in ("ada", "0", "%00", f"{uuid4()}0"):
        refused(await byline.http.get(f"/v1/users/{nobody}"), 404, "no-such-path")


async def test_a_patch_changes_what_it_names_and_null_clears_a_url(byline: Byline) -> None:
    ada = await byline.member("ada")
    first = {"profile": {"display_name": "Ada", "website": "https://example.com", "avatar_url": "https://e.com/a.png"}}
    await byline.http.patch("/v1/users/me", json=first, headers=ada.auth)

    patch = {"username": "Lovelace", "profile": {"website": None, "avatar_url": ""}}
    answer = await byline.http.patch(f"/v1/users/{ada.id}", json=patch, headers=ada.auth)

    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["username"], shown["email"], shown["version"]) == ("Lovelace", "ada@example.com", 3)
    assert shown["profile"] == {"display_name": "Ada", "bio": "", "website": None, "avatar_url": None}


async def test_null_is_refused_where_it_means_nothing(byline: Byline) -> None:
    ada = await byline.member()

    for name in ("username", "email", "profile", "role", "is_active", "password"):
        answer = await byline.http.patch("/v1/users/me", json={name: None}, headers=ada.auth)
        assert pointers(refused(answer, 422, "validation")) == [f"#/{name}"]


async def test_activity_is_true_or_false_and_nothing_alike(byline: Byline) -> None:
    ada = await byline.member()

    for value in (0, "false", "no"):
        answer = await byline.http.patch("/v1/users/me", json={"is_active": value}, headers=ada.auth)
        assert pointers(refused(answer, 422, "validation")) == ["#/is_active"]


async def test_a_replacement_empties_what_it_does_not_name(byline: Byline) -> None:
    ada = await byline.member("ada", role=Role.OPERATOR)
    await byline.http.patch("/v1/users/me", json={"profile": {"bio": "Analyst."}}, headers=ada.auth)

    body = {"username": "ada", "email": "new@example.com", "profile": {"display_name": "Ada"}}
    answer = await byline.http.put(f"/v1/users/{ada.id}", json=body, headers=ada.auth)

    shown = answer.json()
    assert (shown["email"], shown["role"], shown["is_active"]) == ("new@example.com", "operator", True)
    assert shown["profile"] == {"display_name": "Ada", "bio": "", "website": None, "avatar_url": None}
    lacking = await byline.http.put(f"/v1/users/{ada.id}", json={}, headers=ada.auth)
    assert pointers(refused(lacking, 422, "validation")) == ["#/username", "#/email"]


async def test_who_sets_their_own_password_says_the_current_one(byline: Byline) -> None:
    ada = await byline.member("ada")
    new = "an altogether new one"

    for wrong in ({}, {"current_password": "guessed"}):
        answer = await byline.http.patch("/v1/users/me", json={"password": new, **wrong}, headers=ada.auth)
        (told,) = refused(answer, 422, "validation")["errors"]
        assert (told["pointer"], told["code"]) == ("#/current_password", "wrong_password")
    body = {"password": new, "current_password": PASSWORD}
    assert (await byline.http.patch("/v1/users/me", json=body, headers=ada.auth)).status_code == 200
    refresh = {"refresh_token": ada.tokens["refresh_token"]}
    refused(await byline.http.post("/v1/auth/refresh", json=refresh), 401, "invalid-token")
    assert (await byline.http.post("/v1/auth/token", data={"username": "ada", "password": new})).status_code == 200


async def test_who_may_change_what_of_whom(byline: Byline) -> None:
    ada, other = await byline.member(), await byline.member()
    operator, admin = await byline.member(role=Role.OPERATOR), await byline.member(role=Role.ADMIN)
    path = f"/v1/users/{ada.id}"

    for auth in (other.auth, operator.auth):
        refused(await byline.http.patch(path, json={"username": "x"}, headers=auth), 403, "not-allowed")
        refused(await byline.http.patch(path, json={"role": "admin"}, headers=auth), 403, "not-allowed")
        refused(await byline.http.delete(path, headers=auth), 403, "not-allowed")
    refused(await byline.http.patch(path, json={"profile": {"bio": "x"}}, headers=other.auth), 403, "not-allowed")
    for auth, patch in ((operator.auth, {"profile": {"bio": "x"}}), (admin.auth, {"role": "operator"})):
        assert (await byline.http.patch(path, json=patch, headers=auth)).status_code == 200


async def test_the_last_administrator_stays(byline: Byline) -> None:
    admin = await byline.member(role=Role.ADMIN)
    path = f"/v1/users/{admin.id}"

    for patch in ({"role": "author"}, {"is_active": False}):
        refused(await byline.http.patch(path, json=patch, headers=admin.auth), 409, "last-admin")
    refused(await byline.http.delete(path, headers=admin.auth), 409, "last-admin")


async def test_a_user_with_posts_is_deleted_with_them_if_asked(byline: Byline) -> None:
    ada = await byline.member()
    post = await byline.post(ada)
    path = f"/v1/users/{ada.id}"

    refused(await byline.http.delete(path, headers=ada.auth), 409, "user-has-posts")
    refused(await byline.http.delete(f"{path}?posts=keep", headers=ada.auth), 422, "validation")
    assert (await byline.http.delete(f"{path}?posts=delete", headers=ada.auth)).status_code == 204

    refused(await byline.http.get(path), 404, "user-not-found")
    refused(await byline.http.get(f"/v1/posts/{post['id']}"), 404, "post-not-found")
    refused(await byline.http.get("/v1/users/me", headers=ada.auth), 401, "invalid-token")
