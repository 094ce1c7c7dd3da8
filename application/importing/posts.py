"""Importing posts: whose they are, whether they are here already, and under which slug."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self
from uuid import UUID

from application.caching.tags import MANY, POSTS, TOTALS, USERS, by_author_tag, of_post_change, tagged_tag
from application.importing.authors import Author, Authors, AuthorsSight
from application.importing.row_errors import row_error
from application.importing.rows import EXISTS, Met, Outcome, RowIds
from application.importing.sieve import PostsSight, PostVerdicts, Sieve
from application.ports.formats import PostRow, Record
from application.ports.imports import ImportedPost, PackedPosts, PackPosts
from application.ports.repositories import Stored
from application.ports.services import HtmlCleaner, Slugger
from application.ports.work import UnitOfWork
from domain.errors import Conflict
from domain.ids import PostId, UserId
from domain.import_options import EACH_A_LINE, ImportKind, OnConflict, Publish
from domain.imports import ImportJob, RowError, Tally
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

# An enumeration's members take a while to be found, for millions of rows.
_HTML, _MARKDOWN, _POST = ContentFormat.HTML, ContentFormat.MARKDOWN, PostType.POST
_DRAFT, _PUBLISHED = PostStatus.DRAFT, PostStatus.PUBLISHED

_STATUSES = {Publish.KEEP: None, Publish.DRAFT: PostStatus.DRAFT, Publish.ALL: PostStatus.PUBLISHED}
_NOBODY = UserId(UUID(int=0))


@dataclass(slots=True)
class PostDraft:
    """`key` is the (source, external id) that the row is known again by; without one it is known by its own slug.

    `slug` is the row's own where it names one, else made from the title. `post` is the new one that the row may become,
    once its author and its slug are settled.
    """

    record: Record
    row: PostRow
    post: ImportedPost
    author: Author | None
    slug: str
    key: Key | None
    size: int

    @property
    def names_slug(self) -> bool:
        return bool(self.row.slug)

    @property
    def has_password(self) -> bool:
        return False

    def applied(self, post: Post, author_id: UserId | None, publish: Publish) -> Post:
        """`post` with what the row says; what it leaves open stays."""
        row, new, old = self.row, self.post, post.writing
        says_content = row.content is not None
        writing = Writing(
            new.title,
            new.content if says_content else old.content,
            new.content_format if says_content else old.content_format,
            old.excerpt if row.excerpt is None else row.excerpt,
            old.tags if row.tags is None else new.tags,
            row.type or old.type,
        )
        says_status = publish is not Publish.KEEP or row.status
        status = new.status if says_status else post.status
        published_at = new.published_at if row.published_at else post.published_at
        if status is PostStatus.PUBLISHED:
            published_at = published_at or new.published_at
        return replace(
            post,
            author_id=author_id or post.author_id,
            slug=Slug(row.slug) if row.slug else post.slug,
            writing=writing,
            status=status,
            published_at=published_at,
        )


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


@dataclass(slots=True)
class PostsPlan:
    """`packed` are the new posts, once all of their authors are known."""

    verdicts: PostVerdicts
    owners: _Owners
    errors: Sequence[RowError]
    packed: PackedPosts | None = None
    touched: frozenset[str] = frozenset()
    """What lists the new posts."""

    @property
    def makes(self) -> Met | None:
        """None where authors are made, and where posts are changed, whose slugs are then known."""
        return None if self.verdicts.wanted or self.verdicts.known else self.verdicts.made


@dataclass(frozen=True, slots=True)
class PostNames:
    keys: set[Key]
    slugs: set[str]
    logins: set[str]


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
    pack: PackPosts
    status: PostStatus | None
    """Of all posts, where the job says so."""

    @classmethod
    def of(cls, job: ImportJob, authors: Authors, *, slugger: Slugger, clean: HtmlCleaner, pack: PackPosts) -> Self:
        return cls(job, authors, slugger, clean, RowIds(job), pack, _STATUSES[job.options.publish])

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
        content_format = row.content_format or _MARKDOWN
        if content_format is _HTML and content:
            content = checked_content(self.clean(content))
        if row.excerpt is not None:
            checked_excerpt(row.excerpt)
        post_id = PostId(self.ids(record.place))
        slug = Slug(row.slug).value if row.slug else slug_made_from(self.slugger(title), post_id)
        source, key = self._identity(record, row)
        published_at = None if row.published_at is None else checked_instant(row.published_at, "published_at")
        status = row.status or (_DRAFT if published_at is None else _PUBLISHED)
        status = self.status or status
        if published_at is None and status is _PUBLISHED:
            published_at = self.job.created_at
        post = ImportedPost(
            post_id,
            _NOBODY,
            slug,
            title,
            content,
            content_format,
            row.excerpt,
            checked_tags(row.tags) if row.tags else (),
            row.type or _POST,
            status,
            published_at,
            source,
            key[1] if key else None,
            checked_views(row.views) if row.views else 0,
        )
        author = self.authors.named(row.author, row.details) if row.author else None
        return PostDraft(record, row, post, author, slug, key, len(content) + 500)

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
        place = f"line:{record.place}" if self.job.format in EACH_A_LINE else f"row:{record.place}"
        key = (source, f"{file}:{place}") if source else (file, place)
        return key[0], key

    def names(self, drafts: Sequence[PostDraft]) -> PostNames:
        authors = {draft.author for draft in drafts if draft.author}
        return PostNames(
            {draft.key for draft in drafts if draft.key},
            {draft.slug for draft in drafts},
            {login for author in authors for login in author.logins},
        )

    async def look(self, drafts: Sequence[PostDraft], names: PostNames, work: UnitOfWork) -> PostsSight:
        keys, slugs, logins = names.keys, names.slugs, names.logins
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
        taken = {*stored, *remembered.slugs}
        # Most chunks hold no slug twice, and none that is there.
        candidates = _candidates(drafts, known, taken) if taken or len(slugs) < len(drafts) else set()
        if candidates:
            stored = {**stored, **await work.posts.stored_by_slug(candidates)}
            if options.dry_run or updates:
                remembered.add(await Met(slugs=candidates).remembered(self.job.id, work))
        return PostsSight(known, stored, candidates, AuthorsSight(authors, remembered), remembered)

    async def prepare(self, drafts: Sequence[PostDraft], sight: PostsSight) -> None:
        """Nothing of a post is slow."""

    def plan(self, drafts: Sequence[PostDraft], sight: PostsSight, since: Met) -> PostsPlan:
        verdicts = Sieve(self.job, sight, since).judge_all(drafts)
        errors = [row_error(draft.record, problem, self.kind) for draft, problem in verdicts.problems]
        plan = PostsPlan(verdicts, _Owners(sight.authors, {}, self.job.options.default_author), errors)
        if not verdicts.wanted:
            self._settle(plan)
        return plan

    async def write(self, plan: PostsPlan, work: UnitOfWork) -> Outcome:
        """Raises SlugTaken, ExternalIdTaken, UserNotFound, Conflict where somebody came between the look and this."""
        verdicts = plan.verdicts
        outcome = Outcome(errors=plan.errors, made=verdicts.made, met=verdicts.met)
        if verdicts.wanted:
            made_authors = await self.authors.make(verdicts.wanted.values(), verdicts.rehearsed, work)
            plan.owners = replace(plan.owners, made=made_authors.ids)
            self._settle(plan)
            outcome.made.logins |= made_authors.logins
            outcome.tally = Tally(authors_created=made_authors.new)
            outcome.touched.add(USERS)
        if plan.packed is not None:
            await work.posts.add_many(plan.packed)
            outcome.touched |= plan.touched
        updated = await self._update(verdicts.known, plan.owners, outcome, work) if verdicts.known else 0
        outcome.tally += Tally(
            created=len(verdicts.new),
            updated=updated,
            unchanged=len(verdicts.known) - updated,
            skipped=verdicts.skipped,
            reasons={EXISTS: verdicts.skipped} if verdicts.skipped else {},
        )
        return outcome

    def _settle(self, plan: PostsPlan) -> None:
        """Once all the authors are known."""
        posts = []
        for draft, slug in plan.verdicts.new:
            draft.post.author_id, draft.post.slug = plan.owners.of(draft.author), slug
            posts.append(draft.post)
        if posts:
            plan.touched = _lists_of(posts)
            plan.packed = self.pack(posts, origin=self.job.id, at=self.job.created_at)

    async def _update(
        self, known: Sequence[tuple[PostDraft, Stored[PostId]]], authors: _Owners, outcome: Outcome, work: UnitOfWork
    ) -> int:
        """How many were changed by it (slugs they had are met, what shows them is touched). Raises Conflict where one
        is gone, SlugTaken."""
        locked = {post.id: post for post in await work.posts.lock_many({stored.id for _, stored in known})}
        changed = []
        for draft, stored in known:
            post = locked.get(stored.id)
            if post is None:
                raise Conflict("A post was deleted meanwhile.")
            author_id = authors.of(draft.author) if draft.author else None
            applied = draft.applied(post, author_id, self.job.options.publish)
            if applied.slug != post.slug:
                outcome.met.slugs.add(post.slug.value)
            if applied != post:
                if len(outcome.touched) <= MANY:
                    outcome.touched |= of_post_change(post, applied)
                changed.append(replace(applied, updated_at=max(post.updated_at, self.job.created_at)))
        if changed:
            await work.posts.save_many(changed)
        return len(changed)


def _lists_of(posts: Sequence[ImportedPost]) -> frozenset[str]:
    """The tags of all lists that new posts are in. Posts have the same few authors and tags again and again."""
    shown = [post for post in posts if post.status is _PUBLISHED]
    if not shown:
        return frozenset()
    authors = {post.author_id for post in shown}
    tags = {tag for tags in {post.tags for post in shown} for tag in tags}
    return frozenset((POSTS, TOTALS, *map(by_author_tag, authors), *map(tagged_tag, tags)))


def _candidates(drafts: Sequence[PostDraft], known: Mapping[Key, Stored[PostId]], taken: set[str]) -> set[str]:
    """What slugs made from titles may become that are `taken`, or that a row before theirs may take."""
    found: set[str] = set()
    for draft in drafts:
        if not draft.names_slug and draft.key not in known and (draft.slug in taken or draft.slug in found):
            found |= {slug.value for slug in Slug(draft.slug).candidates(draft.post.id)}
        taken.add(draft.slug)
    return found
