"""Asking an application as a server does, and a site that has pages of all kinds."""

from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Scope

from tests.http.byline import Byline, Member

Header = tuple[bytes, bytes]
REQUEST_ID = (b"x-request-id", b"asked-by-the-test")


@dataclass(frozen=True, slots=True)
class Sent:
    """What an application sent: all of it, in its order."""

    status: int
    headers: tuple[Header, ...]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)


def scope_of(url: str, *headers: Header, method: str = "GET") -> Scope:
    """As a server's: with the path as it was sent and as it reads."""
    path, _, query = url.partition("?")
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path.replace("%2D", "-").replace("%2F", "/"),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"byline.test"), REQUEST_ID, *headers],
        "client": ("127.0.0.1", 1),
        "server": ("byline.test", 80),
    }


async def ask(app: ASGIApp, url: str, *headers: Header, method: str = "GET") -> Sent:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope_of(url, *headers, method=method), receive, send)
    return of_messages(*sent)


def of_messages(start: Message, *bodies: Message) -> Sent:
    assert start["type"] == "http.response.start"
    assert not bodies[-1].get("more_body", False)
    return Sent(start["status"], tuple(start["headers"]), b"".join(body["body"] for body in bodies))


@dataclass(frozen=True, slots=True)
class Place:
    ada: Member
    urls: tuple[str, ...]
    draft: str


async def furnished(byline: Byline) -> Place:
    """A post, a draft, a page and a post of a size that is compressed; addresses of all kinds."""
    ada = await byline.member()
    large = await byline.post(ada, title="Large", content="Byline keeps what was written. " * 200, tags=["a"])
    post = await byline.post(ada, title="Small", tags=["a", "b c"])
    draft = await byline.post(ada, status="draft")
    await byline.post(ada, type="page")
    listed = (await byline.http.get("/v1/posts?page_size=1")).json()
    return Place(
        ada,
        (
            *(f"/v1/posts/{post['id']}", f"/v1/posts/{post['slug']}", f"/v1/posts/{large['slug']}"),
            *("/v1/posts", "/v1/posts?page=2&page_size=1", f"/v1/posts?page_size=1&after={listed['next_cursor']}"),
            *("/v1/posts?tag=a&count=none", "/v1/posts?tag=b%20c", "/v1/posts?sort_by=views&order=asc&type=all"),
            *("/v1/posts?fields=id,title", "/v1/posts?count=estimated", "/v1/posts?published=true"),
            *(f"/v1/posts?author_id={ada.id}", f"/v1/users/{ada.id}/posts", f"/v1/users/{ada.id}/posts?page_size=1"),
            *(f"/v1/users/{ada.id}", f"/v1/users/{ada.id}?include=posts", "/v1/users", "/v1/users?include=posts"),
            *("/v1/users?role=admin&is_active=true", "/v1/settings"),
        ),
        draft["id"],
    )


def strange_urls(place: Place) -> tuple[str, ...]:
    """Refused, not found, or written in an unusual way."""
    nobody = "0190e2f0-0000-7000-8000-000000000000"
    return (
        *(f"/v1/posts/{place.draft}", f"/v1/posts/{nobody}", "/v1/posts/No%20Slug", "/v1/posts/no-such-slug"),
        *("/v1/posts/", "/v1/posts/a/b", "/v1/posts%2F1", "/v1/posts/no%2Dsuch%2Dslug", "/v1/Posts"),
        *(f"/v1/posts?author_id={nobody}", "/v1/posts?page=0", "/v1/posts?page=1&page=1", "/v1/posts?unknown=1"),
        *("/v1/posts?after=nonsense", "/v1/posts?fields=nonsense", "/v1/posts?published=false", "/v1/posts?tag=%00"),
        *(f"/v1/posts/{nobody}?x=1", f"/v1/users/{nobody}", f"/v1/users/{nobody}/posts", "/v1/users/me"),
        *(f"/v1/users/{place.ada.id.upper()}", f"/v1/users/{place.ada.id}?include=nonsense", "/v1/users/emails"),
        *(f"/v1/users/{place.ada.id}?include=posts&include=posts", "/v1/users?page_size=1000", "/nothing"),
        *("/v1/settings?x=1", "/v1/settings/", "/health/live"),
    )
