"""The story that a first client lives through, from registration to deletion."""

from tests.http.byline import PASSWORD, Byline, refused


async def test_from_registration_to_deletion(byline: Byline) -> None:
    http = byline.http
    registered = await http.post(
        "/v1/users", json={"username": "ada", "email": "Ada@Example.com", "password": PASSWORD}
    )
    assert registered.status_code == 201
    ada = registered.json()
    assert registered.headers["location"] == f"/v1/users/{ada['id']}"
    assert ada["email"] == "ada@example.com"
    assert PASSWORD not in registered.text

    token = await http.post("/v1/auth/token", data={"username": "ada", "password": PASSWORD})
    assert token.json()["token_type"] == "bearer"
    assert token.json()["expires_in"] == 900
    auth = {"authorization": f"Bearer {token.json()['access_token']}"}

    draft = await http.post("/v1/posts", json={"title": "Notes on the Engine", "tags": ["engines"]}, headers=auth)
    assert draft.status_code == 201
    address = f"/v1/posts/{draft.json()['id']}"
    assert draft.headers["location"] == address
    assert draft.json()["slug"] == "notes-on-the-engine"
    refused(await http.get(address), 404, "post-not-found")
    refused(await http.get("/v1/posts/notes-on-the-engine"), 404, "post-not-found")
    assert (await http.get(address, headers=auth)).content == draft.content

    published = await http.post(f"{address}/publish", headers=auth)
    assert published.status_code == 200
    assert published.json()["published_at"]
    read = await http.get("/v1/posts/notes-on-the-engine")
    assert read.content == published.content
    assert read.headers["etag"] == published.headers["etag"]
    assert read.json()["author"] == {"id": ada["id"], "username": "ada", "display_name": ""}

    late = await http.patch(address, json={"title": "Late"}, headers=auth | {"if-match": draft.headers["etag"]})
    assert refused(late, 412, "version-mismatch")["current_version"] == 2
    in_time = await http.patch(address, json={"title": "In time"}, headers=auth | {"if-match": read.headers["etag"]})
    assert in_time.status_code == 200
    assert in_time.json()["slug"] == "notes-on-the-engine"
    assert in_time.json()["version"] == 3

    assert (await http.delete(address, headers=auth)).status_code == 204
    refused(await http.get(address, headers=auth), 404, "post-not-found")


async def test_a_walk_by_page_and_cursor_sees_each_post_once_while_others_are_written(byline: Byline) -> None:
    author = await byline.member()
    there = [(await byline.post(author))["id"] for _ in range(23)]

    first = await byline.http.get("/v1/posts?page_size=5")
    assert first.json()["total"] == 23
    assert first.json()["total_pages"] == 5
    second = await byline.http.get("/v1/posts?page_size=5&page=2")
    assert [post["id"] for post in second.json()["items"]] == there[::-1][5:10]

    seen = [post["id"] for post in first.json()["items"]]
    cursor = first.json()["next_cursor"]
    while cursor:
        await byline.post(author)
        page = (await byline.http.get(f"/v1/posts?page_size=5&after={cursor}")).json()
        seen += [post["id"] for post in page["items"]]
        cursor = page["next_cursor"]

    assert seen == there[::-1]
