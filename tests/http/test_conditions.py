"""Conditional requests: ETags, If-None-Match, If-Match, and what caches may keep."""

from domain.actors import Role
from tests.http.byline import Byline, Member, refused

PUBLIC = "public, max-age=0, must-revalidate"
PRIVATE = "private, no-cache"


async def test_what_is_the_same_for_all_may_be_kept_by_all(byline: Byline) -> None:
    ada = await byline.member()
    post, draft = await byline.post(ada), await byline.post(ada, status="draft")

    for path, caching in (
        (f"/v1/posts/{post['id']}", PUBLIC),
        (f"/v1/posts/{draft['id']}", PRIVATE),
        (f"/v1/users/{ada.id}", PRIVATE),
        ("/v1/users/me", PRIVATE),
        ("/v1/settings", PUBLIC),
    ):
        answer = await byline.http.get(path, headers=ada.auth)
        assert answer.headers["cache-control"] == caching
        assert answer.headers["vary"] == "Authorization, Accept-Encoding"


async def test_what_a_stranger_sees_may_be_kept_by_all_for_strangers(byline: Byline) -> None:
    ada = await byline.member()
    await byline.post(ada)

    for path in ("/v1/posts", "/v1/users", f"/v1/users/{ada.id}", f"/v1/users/{ada.id}/posts"):
        for headers, caching in ((None, PUBLIC), (ada.auth, PRIVATE)):
            answer = await byline.http.get(path, headers=headers)
            assert answer.headers["cache-control"] == caching
            assert answer.headers["vary"] == "Authorization, Accept-Encoding"


async def test_what_the_client_has_is_not_sent_again(byline: Byline) -> None:
    olga = await byline.member(role=Role.OPERATOR)
    post = await byline.post(olga)
    for path in (
        *("/v1/posts", f"/v1/posts/{post['slug']}", f"/v1/users/{olga.id}/posts", "/v1/users", f"/v1/users/{olga.id}"),
        *("/v1/users/me", "/v1/users/emails", "/v1/settings"),
    ):
        full = await byline.http.get(path, headers=olga.auth)
        etag = full.headers["etag"]
        for tags in (etag, f"W/{etag}", f'"x", {etag}', f'"a,b" , W/{etag},', "*"):
            for method in ("GET", "HEAD"):
                answer = await byline.http.request(method, path, headers=olga.auth | {"if-none-match": tags})
                assert (answer.status_code, answer.content) == (304, b""), (path, tags)
                kept = ("etag", "cache-control", "vary")
                assert [answer.headers[name] for name in kept] == [full.headers[name] for name in kept]
        for tags in ('"x"', etag.upper().replace("-", "_")):
            assert (await byline.http.get(path, headers=olga.auth | {"if-none-match": tags})).status_code == 200


async def test_a_change_changes_the_etag_and_so_does_the_authors_name(byline: Byline) -> None:
    ada = await byline.member()
    post = await byline.post(ada)
    path = f"/v1/posts/{post['id']}"

    first = (await byline.http.get(path)).headers["etag"]
    changed = await byline.http.patch(path, json={"title": "New"}, headers=ada.auth)
    renamed = await byline.http.patch("/v1/users/me", json={"username": "renamed"}, headers=ada.auth)
    assert renamed.status_code == 200
    last = await byline.http.get(path, headers={"if-none-match": changed.headers["etag"]})

    assert last.status_code == 200
    assert last.json()["author"]["username"] == "renamed"
    etags = [first, changed.headers["etag"], last.headers["etag"]]
    assert [etag.strip('"').partition("-")[0] for etag in etags] == ["1", "2", "2"]
    assert len(set(etags)) == 3
    still_guards = await byline.http.patch(path, json={"title": "N"}, headers=ada.auth | {"if-match": etags[1]})
    assert still_guards.status_code == 200


async def _at_version_2(byline: Byline) -> tuple[Member, dict[str, str]]:
    """A post and a user that were changed once, by their paths."""
    ada = await byline.member()
    post = await byline.post(ada)
    paths = {f"/v1/posts/{post['id']}": "title", f"/v1/users/{ada.id}": "username"}
    for path, field in paths.items():
        changed = await byline.http.patch(path, json={field: "second"}, headers=ada.auth)
        assert changed.json()["version"] == 2
    return ada, paths


async def test_a_change_guarded_by_the_stored_version_is_made(byline: Byline) -> None:
    ada, paths = await _at_version_2(byline)

    for path, field in paths.items():
        for version in (2, 3):
            for tags in (
                f'"{version}-00"',
                f'"{version}"',
                f'"{version}-x", "1-x"',
                f'"77-a" ,\t"{version}-b"',
                f', "{version}-00",',
                "*",
                " * ",
            ):
                same = await byline.http.patch(path, json={}, headers=ada.auth | {"if-match": tags})
                assert (same.status_code, same.json().get("version")) == (200, version), tags
            changed = {field: f"change-{version}"}
            answer = await byline.http.patch(path, json=changed, headers=ada.auth | {"if-match": f'"{version}-x", "1"'})
            assert (answer.status_code, answer.json().get("version")) == (200, version + 1)


async def test_a_change_guarded_by_another_version_is_not_made(byline: Byline) -> None:
    ada, paths = await _at_version_2(byline)

    for tags in ('"1-00"', '"3"', 'W/"2-00"', '"1-x", "3-x"', '"two"', '"-2"', '""', '"\xb2-0"', f'"{"9" * 5_000}-0"'):
        header = [(b"authorization", ada.auth["authorization"].encode()), (b"if-match", tags.encode("latin-1"))]
        for path, field in paths.items():
            for method, body in (("PATCH", {field: "x"}), ("DELETE", None)):
                answer = await byline.http.request(method, path, json=body, headers=header)
                assert refused(answer, 412, "version-mismatch")["current_version"] == 2, tags
            assert (await byline.http.get(path)).json()["version"] == 2


async def test_a_malformed_condition_is_told_apart_from_one_that_fails(byline: Byline) -> None:
    ada, paths = await _at_version_2(byline)

    for tags in ("2", '"2', '"2"x', "'2'", '"a""b"', '"2", nonsense', '*, "2"', 'w/"2"', ",", ""):
        for path in paths:
            change = await byline.http.delete(path, headers=ada.auth | {"if-match": tags})
            assert "If-Match" in refused(change, 400, "malformed-request")["detail"], tags
            read = await byline.http.get(path, headers={"if-none-match": tags})
            assert "If-None-Match" in refused(read, 400, "malformed-request")["detail"], tags


async def test_publishing_and_replacing_are_guarded_too(byline: Byline) -> None:
    ada = await byline.member()
    draft = await byline.post(ada, status="draft")
    path = f"/v1/posts/{draft['id']}"
    stale, right = ({"if-match": tag} | ada.auth for tag in ('"7-0"', '"1-0"'))

    for method, at, body in (
        ("POST", f"{path}/unpublish", None),
        ("POST", f"{path}/publish", None),
        ("PUT", path, {"title": "x"}),
        ("PUT", f"/v1/users/{ada.id}", {"username": "x", "email": "x@example.com"}),
        ("PATCH", "/v1/users/me", {"username": "x"}),
    ):
        refused(await byline.http.request(method, at, json=body, headers=stale), 412, "version-mismatch")
    assert (await byline.http.post(f"{path}/publish", headers=right)).status_code == 200
    assert (await byline.http.delete(f"/v1/users/{ada.id}?posts=delete", headers=right)).status_code == 204


async def test_a_condition_tells_strangers_nothing(byline: Byline) -> None:
    ada, other = await byline.member(), await byline.member()
    draft = await byline.post(ada, status="draft")

    for tags in ('"1-0"', '"1", "2"', 'W/"1"'):
        answer = await byline.http.delete(f"/v1/posts/{draft['id']}", headers=other.auth | {"if-match": tags})
        refused(answer, 404, "post-not-found")
