"""Importing posts: whose they are, whether they are here already, and under which slug."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from application.import_authors import Author, Authors, AuthorsSight
from application.import_rows import EXISTS, Met, Outcome, RowIds
from application.import_sieve import PostsSight, Sieve
from application.ports.formats import PostRow, Record
from application.ports.repositories import ImportedPost, Stored
from application.ports.services import HtmlCleaner, Slugger
from application.ports.work import UnitOfWork
from application.row_errors import row_error
from domain.errors import Conflict
from domain.ids import PostId, UserId
from domain.imports import ImportFormat, ImportJob, ImportKind, OnConflict, Publish, Tally
from domain.posts import (
    EXTERNAL_ID_MAX,
    SOURCE_MAX,
    ContentFormat,
    Post,
    PostStatus,
    PostType,
    Slug,
    Writing,
    checked_content,
    checked_excerpt,
    checked_instant,
    checked_tags,
    checked_title,
    checked_views,
    slug_made_from,
)
from domain.text import checked_line

Key = tuple[str, str]

_EACH_A_LINE = frozenset({ImportFormat.CSV, ImportFormat.NDJSON})


@dataclass(slots=True)
class PostDraft:
    """`key` is the (source, external id) that the row is known again by; without one it is known by its own slug.

    `slug` is the row's own where it names one, else made from the title.
    """

    record: Record
    row: PostRow
    post_id: PostId
    author: Author | None
    title: str
    content: str
    tags: tuple[str, ...]
    slug: str
    status: PostStatus
    published_at: datetime | None
    views: int
    source: str | None
    key: Key | None
    size: int

    @property
    def names_slug(self) -> bool:
        return bool(self.row.slug)

    @property
    def has_password(self) -> bool:
        return False

    def imported(self, author_id: UserId, slug: str) -> ImportedPost:
        row = self.row
        return ImportedPost(
            self.post_id,
            author_id,
            slug,
            self.title,
            self.content,
            row.content_format or ContentFormat.MARKDOWN,
            row.excerpt,
            self.tags,
            row.type or PostType.POST,
            self.status,
            self.published_at,
            self.source,
            self.key[1] if self.key else None,
            self.views,
        )

    def applied(self, post: Post, author_id: UserId | None, publish: Publish) -> Post:
        """`post` with what the row says; what it leaves open stays."""
        row, old = self.row, post.writing
        says_content = row.content is not None
        writing = Writing(
            self.title,
            self.content if says_content else old.content,
            (row.content_format or ContentFormat.MARKDOWN) if says_content else old.content_format,
            old.excerpt if row.excerpt is None else row.excerpt,
            old.tags if row.tags is None else self.tags,
            row.type or old.type,
        )
        says_status = publish is not Publish.KEEP or row.status or row.published_at
        status = self.status if says_status else post.status
        published_at = self.published_at if row.published_at else post.published_at
        if status is PostStatus.PUBLISHED:
            published_at = published_at or self.published_at
        return replace(
            post,
            author_id=author_id or post.author_id,
            slug=Slug(row.slug) if row.slug else post.slug,
            writing=writing,
            status=status,
            published_at=published_at,
        )


@dataclass(frozen=True, slots=True)
class PostRows:
    """A row that was here before the job is skipped, updated or failed, as the job says; one that names what an earlier
    row of it made or met fails as a duplicate. All times that rows leave open are the job's creation, so that a run
    that was resumed writes what an undisturbed one would.
    """

    job: ImportJob
    authors: Authors
    slugger: Slugger
    clean: HtmlCleaner
    ids: RowIds

    @property
    def kind(self) -> ImportKind:
        return ImportKind.POSTS

    def draft(self, record: Record) -> PostDraft:
        row = record.parsed
        if not isinstance(row, PostRow):
            raise TypeError(type(row).__name__)
        title = checked_title(row.title)
        content = row.content or ""
        checked_content(content)
        if row.content_format is ContentFormat.HTML and content:
            content = checked_content(self.clean(content))
        if row.excerpt is not None:
            checked_excerpt(row.excerpt)
        post_id = PostId(self.ids(record.place))
        source, key = self._identity(record, row)
        published_at = None if row.published_at is None else checked_instant(row.published_at, "published_at")
        status = self._status(row)
        if published_at is None and status is PostStatus.PUBLISHED:
            published_at = self.job.created_at
        return PostDraft(
            record,
            row,
            post_id,
            self.authors.named(row.author, row.details) if row.author else None,
            title,
            content,
            checked_tags(row.tags) if row.tags else (),
            Slug(row.slug).value if row.slug else slug_made_from(self.slugger(title), post_id),
            status,
            published_at,
            checked_views(row.views) if row.views else 0,
            source,
            key,
            len(content) + 500,
        )

    def _status(self, row: PostRow) -> PostStatus:
        match self.job.options.publish:
            case Publish.DRAFT:
                return PostStatus.DRAFT
            case Publish.ALL:
                return PostStatus.PUBLISHED
            case Publish.KEEP:
                return row.status or (PostStatus.DRAFT if row.published_at is None else PostStatus.PUBLISHED)

    def _identity(self, record: Record, row: PostRow) -> tuple[str | None, Key | None]:
        """The source, and the key where there is one. Raises InvalidValue."""
        source = checked_line(row.source, "source", longest=SOURCE_MAX) if row.source else None
        external_id = checked_line(row.external_id, "external_id", longest=EXTERNAL_ID_MAX) if row.external_id else None
        if external_id and source:
            return source, (source, external_id)
        if row.slug and not external_id:
            return source or None, None
        file = f"file:{self.job.file_hash}"
        if external_id:
            return file, (file, external_id)
        place = f"line:{record.place}" if self.job.format in _EACH_A_LINE else f"row:{record.place}"
        key = (source, f"{file}:{place}") if source else (file, place)
        return key[0], key

    async def look(self, drafts: Sequence[PostDraft], work: UnitOfWork) -> PostsSight:
        keys = {draft.key for draft in drafts if draft.key}
        slugs = {draft.slug for draft in drafts}
        logins = {login for author in {draft.author for draft in drafts if draft.author} for login in author.logins}
        known = await work.posts.stored_by_external_id(keys) if keys else {}
        options = self.job.options
        updates = options.on_conflict is OnConflict.UPDATE
        stored = await work.posts.stored_by_slug(slugs) if len(known) < len(drafts) or updates else {}
        authors = await work.users.stored_by_login(logins) if logins else {}
        remembered = Met()
        if options.dry_run or updates:
            ids: set[UUID] = {one.id for one in (*known.values(), *stored.values())} if updates else set()
            met = Met(keys, slugs, logins if options.dry_run else set(), ids)
            remembered = await met.remembered(self.job.id, work)
        return PostsSight(known, stored, AuthorsSight(authors, remembered), remembered)

    async def prepare(self, drafts: Sequence[PostDraft], sight: PostsSight) -> None:
        """Nothing of a post is slow."""

    async def write(self, drafts: Sequence[PostDraft], sight: PostsSight, since: Met, work: UnitOfWork) -> Outcome:
        """Raises SlugTaken, ExternalIdTaken, UserNotFound, Conflict where somebody came between the look and this."""
        verdicts = Sieve(self.job, sight, since).judge_all(drafts)
        made_authors = await self.authors.make(verdicts.wanted.values(), verdicts.rehearsed, work)
        authors = _Owners(sight.authors, made_authors.ids, self.job.options.default_author)
        outcome = Outcome()
        if verdicts.new:
            slugs = await self._with_free_slugs(verdicts.new, sight, verdicts.ours, work)
            posts = [
                draft.imported(authors.of(draft.author), slug) for draft, slug in zip(verdicts.new, slugs, strict=True)
            ]
            await work.posts.add_many(posts, origin=self.job.id, at=self.job.created_at)
            outcome.made = Met({draft.key for draft in verdicts.new if draft.key}, set(slugs))
        outcome.made.logins |= made_authors.logins
        outcome.met = verdicts.met
        updated = await self._update(verdicts.known, authors, outcome.met, work) if verdicts.known else 0
        outcome.errors = [row_error(draft.record, problem, self.kind) for draft, problem in verdicts.problems]
        outcome.tally = Tally(
            created=len(verdicts.new),
            updated=updated,
            unchanged=len(verdicts.known) - updated,
            skipped=verdicts.skipped,
            authors_created=made_authors.new,
            reasons={EXISTS: verdicts.skipped} if verdicts.skipped else {},
        )
        return outcome

    async def _update(
        self, known: Sequence[tuple[PostDraft, Stored[PostId]]], authors: "_Owners", met: Met, work: UnitOfWork
    ) -> int:
        """How many were changed by it (slugs they had are `met`). Raises Conflict where one is gone, SlugTaken."""
        locked = {post.id: post for post in await work.posts.lock_many({stored.id for _, stored in known})}
        changed = []
        for draft, stored in known:
            post = locked.get(stored.id)
            if post is None:
                raise Conflict("A post was deleted meanwhile.")
            author_id = authors.of(draft.author) if draft.author else None
            applied = draft.applied(post, author_id, self.job.options.publish)
            if applied.slug != post.slug:
                met.slugs.add(post.slug.value)
            if applied != post:
                changed.append(replace(applied, updated_at=max(post.updated_at, self.job.created_at)))
        if changed:
            await work.posts.save_many(changed)
        return len(changed)

    async def _with_free_slugs(
        self, drafts: Sequence[PostDraft], sight: PostsSight, ours: Met, work: UnitOfWork
    ) -> list[str]:
        """A slug that the row names goes before one made from a title, wherever in the chunk it stands."""
        taken = {*sight.slugs, *ours.slugs}
        titles: set[str] = set()
        contested: dict[int, PostDraft] = {}
        for place, draft in enumerate(drafts):
            if not draft.names_slug:
                if draft.slug in taken or draft.slug in titles:
                    contested[place] = draft
                titles.add(draft.slug)
        slugs = [draft.slug for draft in drafts]
        if contested:
            candidates = {s.value for draft in contested.values() for s in Slug(draft.slug).candidates(draft.post_id)}
            taken |= await work.posts.slugs_taken(candidates)
            if self.job.options.dry_run or self.job.options.on_conflict is OnConflict.UPDATE:
                taken |= (await Met(slugs=candidates).remembered(self.job.id, work)).slugs
            taken |= titles
            for place, draft in contested.items():
                slugs[place] = Slug(draft.slug).first_free(taken, draft.post_id).value
                taken.add(slugs[place])
        return slugs


@dataclass(frozen=True, slots=True)
class _Owners:
    """Who is meant by an author, once those that were wanted are made."""

    sight: AuthorsSight
    made: Mapping[str, UserId]
    default: UserId | None

    def of(self, author: Author | None) -> UserId:
        found = None
        if author is not None:
            found = self.sight.find(author) or self.made.get(author.login)
        found = found or self.default
        if found is None:
            raise Conflict("An author was deleted meanwhile.")
        return found
