"""Importing posts: whose they are, whether they are here already, and under which slug."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from application.import_rows import Outcome, row_error
from application.ports.formats import PostRow, Record, RowProblem
from application.ports.repositories import ImportedPost, PostRepository
from application.ports.services import Ids, Slugger
from application.ports.work import UnitOfWork
from domain.ids import ImportId, PostId, UserId
from domain.imports import ImportJob, ImportKind
from domain.posts import (
    EXTERNAL_ID_MAX,
    SOURCE_MAX,
    Post,
    PostStatus,
    Slug,
    Writing,
    checked_instant,
    checked_views,
)
from domain.text import checked_line

Key = tuple[str, str]


@dataclass(slots=True)
class PostDraft:
    """`key` is the (source, external id) that the row is known again by; without one it is known by its own slug.

    `slug` is the row's own where `names_slug`, else made from the title.
    """

    record: Record
    post_id: PostId
    author: str
    writing: Writing
    slug: Slug
    names_slug: bool
    status: PostStatus
    published_at: datetime | None
    views: int
    source: str | None
    key: Key | None

    @property
    def has_password(self) -> bool:
        return False

    def post(self, author_id: UserId, slug: Slug, *, at: datetime) -> ImportedPost:
        external_id = self.key[1] if self.key else None
        post = Post(
            self.post_id,
            author_id,
            slug,
            self.writing,
            at,
            at,
            self.status,
            self.published_at,
            self.source,
            external_id,
        )
        return ImportedPost(post, self.views)


@dataclass(frozen=True, slots=True)
class PostRows:
    """A row is known again by (source, external_id), else by its explicit slug, else by the file's hash and its line.

    One that was here before the job is skipped; one that this job made fails as a duplicate. All times that the rows
    leave open are the job's creation, so that a run that was resumed writes what an undisturbed one would.
    """

    job: ImportJob
    ids: Ids
    slugger: Slugger

    @property
    def kind(self) -> ImportKind:
        return ImportKind.POSTS

    def draft(self, record: Record) -> PostDraft:
        row = record.parsed
        if not isinstance(row, PostRow):
            raise TypeError(type(row).__name__)
        writing = Writing(row.title, row.content, row.content_format, row.excerpt, row.tags, row.type)
        post_id = PostId(self.ids.next())
        slug = Slug(row.slug) if row.slug else Slug.made_from(self.slugger(writing.title), post_id)
        published_at = None if row.published_at is None else checked_instant(row.published_at, "published_at")
        status = row.status or (PostStatus.DRAFT if published_at is None else PostStatus.PUBLISHED)
        if published_at is None and status is PostStatus.PUBLISHED:
            published_at = self.job.created_at
        source, key = self._identity(record, row)
        return PostDraft(
            record,
            post_id,
            row.author.strip().lower(),
            writing,
            slug,
            bool(row.slug),
            status,
            published_at,
            checked_views(row.views),
            source,
            key,
        )

    async def prepare(self, drafts: Sequence[PostDraft]) -> None:
        """Nothing of a post is slow."""

    async def write(self, drafts: Sequence[PostDraft], work: UnitOfWork) -> Outcome:
        """Raises SlugTaken, ExternalIdTaken, UserNotFound where somebody came between the look and the writing."""
        keys = {draft.key for draft in drafts if draft.key}
        known = await work.posts.origins_by_external_id(keys) if keys else {}
        unknown = [draft for draft in drafts if draft.key not in known]
        outcome = Outcome()
        if unknown:
            slugs = await work.posts.origins_by_slug({draft.slug.value for draft in unknown})
            authors = await work.users.ids_by_login({draft.author for draft in unknown})
        else:
            slugs, authors = {}, {}
        sieve = _Sieve(self.job.id, known, slugs, authors)
        accepted = []
        for draft in drafts:
            verdict = sieve.judge(draft)
            if verdict is None:
                accepted.append(draft)
            elif isinstance(verdict, RowProblem):
                outcome.errors.append(row_error(draft.record, verdict, self.kind))
            else:
                outcome.skipped += 1
        if accepted:
            named = await _with_free_slugs(accepted, slugs.keys(), work.posts)
            at = self.job.created_at
            posts = [draft.post(authors[draft.author], slug, at=at) for draft, slug in named]
            await work.posts.add_many(posts, origin=self.job.id)
        outcome.created = len(accepted)
        return outcome

    def _identity(self, record: Record, row: PostRow) -> tuple[str | None, Key | None]:
        """The source, and the key where there is one. Raises InvalidValue."""
        file = f"file:{self.job.file_hash}"
        source = checked_line(row.source, "source", longest=SOURCE_MAX) if row.source else None
        external_id = checked_line(row.external_id, "external_id", longest=EXTERNAL_ID_MAX) if row.external_id else None
        if external_id:
            source = source or file
        elif row.slug:
            return source or None, None
        elif source:
            external_id = f"{file}:line:{record.line}"
        else:
            source, external_id = file, f"line:{record.line}"
        return source, (source, external_id)


class _Skip(Enum):
    """The row is here from before the job."""

    SKIP = 1


class _Sieve:
    """Judges rows in the order of the file: against what is stored, and against the accepted ones before."""

    def __init__(
        self,
        job_id: ImportId,
        known: Mapping[Key, ImportId | None],
        slugs: Mapping[str, ImportId | None],
        authors: Mapping[str, UserId],
    ) -> None:
        self._job_id = job_id
        self._known = known
        self._slugs = slugs
        self._authors = authors
        self._accepted_keys: set[Key] = set()
        self._accepted_slugs: set[str] = set()

    def judge(self, draft: PostDraft) -> RowProblem | _Skip | None:
        """None: it is accepted."""
        verdict = self._identity_verdict(draft)
        if verdict is None and draft.author not in self._authors:
            verdict = RowProblem("author", "unknown_author", "Nobody has this username or email address.")
        if verdict is None and draft.names_slug:
            verdict = self._slug_verdict(draft.slug.value)
        if verdict is None:
            if draft.key:
                self._accepted_keys.add(draft.key)
            if draft.names_slug:
                self._accepted_slugs.add(draft.slug.value)
        return verdict

    def _identity_verdict(self, draft: PostDraft) -> RowProblem | _Skip | None:
        if draft.key is None:
            if draft.slug.value in self._slugs and self._slugs[draft.slug.value] != self._job_id:
                return _Skip.SKIP
        elif draft.key in self._known and self._known[draft.key] != self._job_id:
            return _Skip.SKIP
        elif draft.key in self._known or draft.key in self._accepted_keys:
            return RowProblem("external_id", "duplicate", "A row before this one has the same source and external id.")
        return None

    def _slug_verdict(self, slug: str) -> RowProblem | None:
        if slug in self._accepted_slugs or (slug in self._slugs and self._slugs[slug] == self._job_id):
            return RowProblem("slug", "duplicate", "A row before this one has this slug.")
        if slug in self._slugs:
            return RowProblem("slug", "slug_taken", "The slug belongs to another post.")
        return None


async def _with_free_slugs(
    drafts: Sequence[PostDraft], stored: Collection[str], posts: PostRepository
) -> list[tuple[PostDraft, Slug]]:
    """A slug that the row names goes before one made from a title, wherever in the chunk it stands."""
    taken = {draft.slug.value for draft in drafts if draft.names_slug}.union(stored)
    titles: set[str] = set()
    contested = {}
    for place, draft in enumerate(drafts):
        if not draft.names_slug:
            if draft.slug.value in taken or draft.slug.value in titles:
                contested[place] = draft
            titles.add(draft.slug.value)
    if contested:
        candidates = {slug.value for draft in contested.values() for slug in draft.slug.candidates(draft.post_id)}
        taken |= await posts.slugs_taken(candidates)
    taken |= titles
    return [(draft, _claimed(draft, taken) if place in contested else draft.slug) for place, draft in enumerate(drafts)]


def _claimed(draft: PostDraft, taken: set[str]) -> Slug:
    slug = draft.slug.first_free(taken, draft.post_id)
    taken.add(slug.value)
    return slug
