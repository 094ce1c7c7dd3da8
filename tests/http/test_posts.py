"""Posts: writing, changing, publishing, and who sees them."""

from typing import Any
from uuid import uuid4

from domain.actors import Role
from tests.http.byline import Byline, Json, refused

SHAPE = [
    *("id", "title", "slug", "content", "content_format", "excerpt", "tags", "type", "status", "published_at"),
    *("created_at", "updated_at", "version", "author", "views"),
]


async def test_a_post_has_this_shape_and_is_at_its_address(byline: Byline) -> None:
    ada = await byline.member("ada")
    body: Json = {
        "title": "  Ελληνικά  ",
        "content": "<p>x</p>",
        "content_format": "html",
        "excerpt": "x",
        "tags": [" a ", "b", "a", ""],
        "type": "page",
        "status": "published",
    }

    created = await byline.http.post("/v1/posts", json=body, headers=ada.auth)

    assert created.status_code == 201
    post = created.json()
    assert list(post) == SHAPE
    assert (post["title"], post["slug"], post["tags"]) == ("Ελληνικά", "ellenika", ["a", "b"])
    assert post["author"] == {"id": ada.id, "username": "ada", "display_name": ""}
    assert (post["version"], post["views"]) == (1, 0)
    for ref in (post["id"], post["id"].upper(), post["id"].replace("-", ""), post["slug"]):
        read = await byline.http.get(f"/v1/posts/{ref}")
        assert read.content == created.content
        assert read.headers["etag"] == created.headers["etag"]


async def test_a_bare_title_makes_a_draft_of_markdown(byline: Byline) -> None:
    ada = await byline.member()

    post = (await byline.http.post("/v1/posts", json={"title": "x"}, headers=ada.auth)).json()

    assert (post["status"], post["published_at"], post["content"]) == ("draft", None, "")
    assert (post["content_format"], post["excerpt"], post["tags"], post["type"]) == ("markdown", None, [], "post")


WRONG_VALUES: list[tuple[Json, str, str]] = [
    ({"title": " "}, "#/title", "too_short"),
    ({"title": "x" * 301}, "#/title", "too_long"),
    ({"title": "a\0b"}, "#/title", "bad_character"),
    ({"title": "a\ud800b"}, "#/title", "bad_character"),
    ({"title": None}, "#/title", "string_type"),
    ({"title": 10**400}, "#/title", "string_type"),
    ({"content": "\0"}, "#/content", "bad_character"),
    ({"content": "\udfff"}, "#/content", "bad_character"),
    ({"content": "x" * 1_000_001}, "#/content", "too_long"),
    ({"content_format": "rtf"}, "#/content_format", "enum"),
    ({"excerpt": "x" * 2_001}, "#/excerpt", "too_long"),
    ({"tags": "a"}, "#/tags", "tuple_type"),
    ({"tags": [1]}, "#/tags/0", "string_type"),
    ({"tags": [str(n) for n in range(101)]}, "#/tags", "too_many"),
    ({"tags": ["x" * 61]}, "#/tags", "too_long"),
    ({"slug": "Not A Slug"}, "#/slug", "bad_slug"),
    ({"slug": "0190c0de-0000-7000-8000-000000000000"}, "#/slug", "bad_slug"),
    ({"status": "secret"}, "#/status", "enum"),
    ({"type": "poem"}, "#/type", "enum"),
    ({"views": 10}, "#/views", "unknown_field"),
    ({"published_at": "2020-01-01T00:00:00Z"}, "#/published_at", "unknown_field"),
]


async def test_a_wrong_value_is_pointed_at(byline: Byline) -> None:
    ada = await byline.member()
    path = f"/v1/posts/{(await byline.post(ada))['id']}"

    for changed, pointer, code in WRONG_VALUES:
        for method, at in (("POST", "/v1/posts"), ("PUT", path), ("PATCH", path)):
            answer = await byline.send(method, at, {"title": "x", **changed}, ada.auth)
            (wrong,) = refused(answer, 422, "validation")["errors"]
            assert (wrong["pointer"], wrong["code"]) == (pointer, code), (method, changed)


async def test_slugs_of_equal_titles_differ_and_a_named_one_may_be_taken(byline: Byline) -> None:
    ada = await byline.member()
    first, second = await byline.post(ada, title="Same"), await byline.post(ada, title="Same")
    assert (first["slug"], second["slug"]) == ("same", "same-2")

    named = await byline.http.post("/v1/posts", json={"title": "x", "slug": "same"}, headers=ada.auth)
    refused(named, 409, "slug-taken")
    changed = await byline.http.patch(f"/v1/posts/{second['id']}", json={"slug": "same"}, headers=ada.auth)
    refused(changed, 409, "slug-taken")


async def test_a_draft_is_there_for_its_author_and_for_operators(byline: Byline) -> None:
    ada, other, operator = await byline.member(), await byline.member(), await byline.member(role=Role.OPERATOR)
    draft = await byline.post(ada, status="draft")

    for auth, sees in ((None, False), (other.auth, False), (ada.auth, True), (operator.auth, True)):
        for ref in (draft["id"], draft["slug"]):
            answer = await byline.http.get(f"/v1/posts/{ref}", headers=auth)
            assert answer.status_code == (200 if sees else 404)
        listed = (await byline.http.get("/v1/posts", headers=auth)).json()
        assert (listed["total"], len(listed["items"])) == (int(sees), int(sees))


async def test_somebody_elses_draft_is_not_there_and_a_published_post_not_theirs(byline: Byline) -> None:
    ada, other = await byline.member(), await byline.member()
    draft, post = await byline.post(ada, status="draft"), await byline.post(ada)
    writes: list[tuple[str, str, Any]] = [
        ("PATCH", "", {"title": "x"}),
        ("PUT", "", {"title": "x"}),
        ("DELETE", "", None),
        ("POST", "/publish", None),
        ("POST", "/unpublish", None),
    ]

    for method, path, body in writes:
        for ref in (draft["id"], draft["slug"]):
            hidden = await byline.http.request(method, f"/v1/posts/{ref}{path}", json=body, headers=other.auth)
            refused(hidden, 404, "post-not-found")
        foreign = await byline.http.request(method, f"/v1/posts/{post['id']}{path}", json=body, headers=other.auth)
        refused(foreign, 403, "not-allowed")
        refused(await byline.http.request(method, f"/v1/posts/{post['id']}{path}", json=body), 401, "not-authenticated")


async def test_there_is_no_unknown_post(byline: Byline) -> None:
    for ref in (str(uuid4()), "no-such-slug", "Not A Slug", "a" * 121, "%00", "%ff%fe", "%F0%9F%92%A9"):
        refused(await byline.http.get(f"/v1/posts/{ref}"), 404, "post-not-found")


async def test_a_patch_changes_what_it_names_and_null_clears_the_excerpt(byline: Byline) -> None:
    ada = await byline.member()
    post = await byline.post(ada, content="c", excerpt="e", tags=["t"])

    retitled = (await byline.http.patch(f"/v1/posts/{post['slug']}", json={"title": "New"}, headers=ada.auth)).json()
    kept = {name: value for name, value in post.items() if name not in ("title", "version", "updated_at")}
    assert {name: retitled[name] for name in kept} == kept
    assert (retitled["title"], retitled["version"]) == ("New", 2)

    cleared = await byline.http.patch(f"/v1/posts/{post['id']}", json={"excerpt": None}, headers=ada.auth)
    assert (cleared.json()["excerpt"], cleared.json()["version"]) == (None, 3)
    same = await byline.http.patch(f"/v1/posts/{post['id']}", json={"excerpt": None}, headers=ada.auth)
    assert (same.content, same.headers["etag"]) == (cleared.content, cleared.headers["etag"])


async def test_null_is_refused_where_it_means_nothing(byline: Byline) -> None:
    ada = await byline.member()
    post = await byline.post(ada)

    for name in ("title", "slug", "content", "content_format", "tags", "type", "status"):
        answer = await byline.http.patch(f"/v1/posts/{post['id']}", json={name: None}, headers=ada.auth)
        (wrong,) = refused(answer, 422, "validation")["errors"]
        assert wrong["pointer"] == f"#/{name}"


async def test_a_replacement_empties_what_it_does_not_name_but_slug_and_status(byline: Byline) -> None:
    ada = await byline.member()
    post = await byline.post(ada, slug="mine", content="c", content_format="html", excerpt="e", tags=["t"], type="page")

    answer = await byline.http.put("/v1/posts/mine", json={"title": "New"}, headers=ada.auth)

    replaced = answer.json()
    assert (replaced["content"], replaced["content_format"], replaced["excerpt"]) == ("", "markdown", None)
    assert (replaced["tags"], replaced["type"]) == ([], "post")
    assert (replaced["slug"], replaced["status"], replaced["published_at"]) == (
        "mine",
        "published",
        post["published_at"],
    )
    moved = await byline.http.put(
        "/v1/posts/mine", json={"title": "New", "slug": "moved", "status": "draft"}, headers=ada.auth
    )
    assert (moved.json()["slug"], moved.json()["status"]) == ("moved", "draft")


async def test_publishing_twice_is_publishing_once_and_the_first_time_stays(byline: Byline) -> None:
    ada = await byline.member()
    draft = await byline.post(ada, status="draft")
    path = f"/v1/posts/{draft['slug']}"

    published = await byline.http.post(f"{path}/publish", headers=ada.auth)
    again = await byline.http.post(f"{path}/publish", headers=ada.auth)
    assert again.content == published.content
    hidden = await byline.http.post(f"{path}/unpublish", headers=ada.auth)
    assert (hidden.json()["status"], hidden.json()["published_at"]) == ("draft", published.json()["published_at"])
    refused(await byline.http.get(path), 404, "post-not-found")
    back = await byline.http.post(f"{path}/publish", headers=ada.auth)
    assert back.json()["published_at"] == published.json()["published_at"]


async def test_the_posts_of_an_author(byline: Byline) -> None:
    ada, other, operator = await byline.member(), await byline.member(), await byline.member(role=Role.OPERATOR)
    await byline.post(other)
    path = f"/v1/users/{ada.id}/posts"

    mine = await byline.http.post(path, json={"title": "Mine", "status": "published"}, headers=ada.auth)
    ghosted = await byline.http.post(path, json={"title": "Ghosted"}, headers=operator.auth)
    refused(await byline.http.post(path, json={"title": "x"}, headers=other.auth), 403, "not-allowed")

    assert mine.headers["location"] == f"/v1/posts/{mine.json()['id']}"
    assert ghosted.json()["author"]["id"] == ada.id
    listed = await byline.http.get(path)
    assert [post["id"] for post in listed.json()["items"]] == [mine.json()["id"]]
    assert listed.headers["link"].startswith(f"<{path}?")
    assert (await byline.http.get(path, headers=ada.auth)).json()["total"] == 2
    refused(await byline.http.get(f"{path}?author_id={other.id}"), 422, "validation")
    nobody = f"/v1/users/{uuid4()}/posts"
    refused(await byline.http.get(nobody), 404, "user-not-found")
    refused(await byline.http.post(nobody, json={"title": "x"}, headers=operator.auth), 404, "user-not-found")
