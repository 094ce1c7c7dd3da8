"""Posts as they are written and as they are shown."""

from dataclasses import fields
from typing import Annotated, Any

from pydantic import MISSING, ConfigDict, Field, create_model
from pydantic.config import JsonDict

from application.pages import PostShape
from application.posts import NewPost, PostChanges
from domain.ids import UserId
from domain.posts import ContentFormat, PostStatus, PostType, Writing
from interfaces.http.schemas.fields import Content, Excerpt, Model, SlugText, Tags, Title
from interfaces.http.schemas.lists import listing

_EXAMPLE: JsonDict = {
    "title": "Notes on the Analytical Engine",
    "content": "It *weaves* algebraic patterns.",
    "excerpt": "What an engine may do.",
    "tags": ["engines", "notes"],
}


class _Writing(Model):
    title: Title
    content: Content = ""
    content_format: ContentFormat = ContentFormat.MARKDOWN
    excerpt: Excerpt | None = None
    tags: Tags = ()
    type: PostType = PostType.POST


class PostCreation(_Writing):
    """Without a slug, one is made of the title and kept unique."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    slug: SlugText | None = None
    status: PostStatus = PostStatus.DRAFT

    def request(self, author_id: UserId | None = None) -> NewPost:
        writing = Writing(self.title, self.content, self.content_format, self.excerpt, self.tags, self.type)
        return NewPost(writing, slug=self.slug, status=self.status, author_id=author_id)


class PostReplacement(_Writing):
    """What is absent takes its default, but for slug and status, which stay as they are."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    slug: SlugText | MISSING = MISSING
    status: PostStatus | MISSING = MISSING

    def changes(self) -> PostChanges:
        return PostChanges(**self.model_dump(), clear_excerpt=self.excerpt is None)


class PostPatch(Model):
    """A merge patch (RFC 7396): what is absent stays, `"excerpt": null` clears the excerpt."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"title": "Notes on the Engine"}]})

    title: Title | MISSING = MISSING
    slug: SlugText | MISSING = MISSING
    content: Content | MISSING = MISSING
    content_format: ContentFormat | MISSING = MISSING
    excerpt: Excerpt | MISSING | None = MISSING
    tags: Tags | MISSING = MISSING
    type: PostType | MISSING = MISSING
    status: PostStatus | MISSING = MISSING

    def changes(self) -> PostChanges:
        return PostChanges(**self.model_dump(), clear_excerpt=self.excerpt is None)


# Of a list's items `fields=` may leave any out.
_optional: dict[str, Any] = {
    each.name: (Annotated[each.type, Field()] | MISSING, MISSING) for each in fields(PostShape)
}
PostInList = create_model("PostInList", __doc__="A post, or those of its fields that were asked for.", **_optional)
PostList = listing("PostList", PostInList)
