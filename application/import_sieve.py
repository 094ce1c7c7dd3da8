"""Which rows of posts are new, which are here already, and which fail: judged in the order of the file."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from application.import_authors import Author, AuthorsSight
from application.import_rows import Met
from application.ports.formats import RowProblem
from application.ports.repositories import Stored
from domain.errors import Conflict
from domain.ids import PostId
from domain.imports import ImportJob, OnConflict
from domain.posts import Slug

if TYPE_CHECKING:
    from application.import_posts import PostDraft

_UNKNOWN_AUTHOR = RowProblem("author", "unknown_author", "Nobody has this username or email address.")
_NO_AUTHOR = RowProblem("author", "missing", "It is required, unless the import has a default author.")
_DUPLICATE = RowProblem("external_id", "duplicate", "A row before this one has the same source and external id.")
_SLUG_DUPLICATE = RowProblem("slug", "duplicate", "A row before this one has this slug.")
_SLUG_TAKEN = RowProblem("slug", "slug_taken", "The slug belongs to another post.")
_EXISTS = RowProblem("external_id", "exists", "The post is here already, and the import fails such rows.")
_SLUG_EXISTS = RowProblem("slug", "exists", "A post of this slug is here already, and the import fails such rows.")


@dataclass(frozen=True, slots=True)
class PostsSight:
    """What was stored when somebody looked; `remembered` is what the job has met before. `candidates` are slugs that
    were looked for because others are taken."""

    known: Mapping[tuple[str, str], Stored[PostId]]
    slugs: Mapping[str, Stored[PostId]]
    candidates: Set[str]
    authors: AuthorsSight
    remembered: Met


@dataclass(slots=True)
class PostVerdicts:
    """`new` ones come with their slugs. `wanted` are authors to be made, by login; those of them that a dry run made
    before are `rehearsed` too. `ours` is all that rows of the job stand for by now."""

    new: "list[tuple[PostDraft, str]]" = field(default_factory=list)
    known: "list[tuple[PostDraft, Stored[PostId]]]" = field(default_factory=list)
    problems: "list[tuple[PostDraft, RowProblem]]" = field(default_factory=list)
    skipped: int = 0
    wanted: dict[str, Author] = field(default_factory=dict)
    rehearsed: set[str] = field(default_factory=set)
    ours: Met = field(default_factory=Met)
    met: Met = field(default_factory=Met)


class Sieve:
    """Raises Conflict where `since` has what makes it necessary to look again."""

    def __init__(self, job: ImportJob, sight: PostsSight, since: Met) -> None:
        self._job_id = job.id
        self._options = job.options
        self._sight = sight
        self._since = since
        self._verdicts = PostVerdicts()
        self._verdicts.ours.add(sight.remembered)
        self._verdicts.ours.add(since)

    def judge_all(self, drafts: "Sequence[PostDraft]") -> PostVerdicts:
        verdicts = self._verdicts
        for draft in drafts:
            problem = self._judge(draft)
            if problem is not None:
                verdicts.problems.append((draft, problem))
        return verdicts

    def _judge(self, draft: "PostDraft") -> RowProblem | None:
        verdicts, ours = self._verdicts, self._verdicts.ours
        key, slug = draft.key, draft.slug
        if key is None:
            stored, is_ours = self._sight.slugs.get(slug), slug in ours.slugs
        else:
            stored, is_ours = self._sight.known.get(key), key in ours.keys
        if is_ours or (stored is not None and self._is_ours(stored)):
            return _SLUG_DUPLICATE if key is None else _DUPLICATE
        if stored is not None and self._options.on_conflict is OnConflict.SKIP:
            verdicts.skipped += 1
            return None
        if stored is not None and self._options.on_conflict is OnConflict.FAIL:
            return _SLUG_EXISTS if key is None else _EXISTS
        problem = self._author_problem(draft, is_new=stored is None) or self._slug_problem(draft, stored)
        if problem is not None:
            return problem
        self._want(draft.author)
        if key is not None:
            ours.keys.add(key)
        if stored is None and not draft.names_slug:
            slug = self._free_slug(draft)
        if stored is None or draft.names_slug:
            ours.slugs.add(slug)
        if stored is None:
            verdicts.new.append((draft, slug))
        else:
            verdicts.known.append((draft, stored))
            ours.ids.add(stored.id)
            verdicts.met.add(Met({key} if key else set(), {slug} if draft.names_slug else set(), ids={stored.id}))
        return None

    def _is_ours(self, stored: Stored[PostId]) -> bool:
        """Whether a row of this job made it or stands for it, under whatever name."""
        return stored.origin == self._job_id or stored.id in self._verdicts.ours.ids

    def _author_problem(self, draft: "PostDraft", *, is_new: bool) -> RowProblem | None:
        options = self._options
        if options.default_author is not None:
            return None
        if draft.author is None:
            return _NO_AUTHOR if is_new else None
        if options.create_authors or self._sight.authors.find(draft.author) is not None:
            return None
        return _UNKNOWN_AUTHOR

    def _want(self, author: Author | None) -> None:
        """To be made, where nobody has them and that was asked for."""
        if author is None or not self._options.create_authors or self._sight.authors.find(author) is not None:
            return
        was_made = not self._since.logins.isdisjoint(author.logins)
        if was_made and not self._options.dry_run:
            raise Conflict("An author was made meanwhile.")
        self._verdicts.wanted.setdefault(author.login, author)
        if was_made or self._sight.authors.was_rehearsed(author):
            self._verdicts.rehearsed.add(author.login)

    def _slug_problem(self, draft: "PostDraft", stored: Stored[PostId] | None) -> RowProblem | None:
        slug = draft.slug
        if not draft.names_slug:
            return None
        holder = self._sight.slugs.get(slug)
        if holder is not None and stored is not None and holder.id == stored.id:
            return None
        if slug in self._verdicts.ours.slugs or (holder is not None and self._is_ours(holder)):
            return _SLUG_DUPLICATE
        return _SLUG_TAKEN if holder is not None else None

    def _free_slug(self, draft: "PostDraft") -> str:
        """Made from the title. A row after it that names this one comes too late: where chunks end must not matter."""
        if not self._is_taken(draft.slug):
            return draft.slug
        slug = Slug(draft.slug)
        candidates = {each.value for each in slug.candidates(draft.post.id)}
        if not candidates <= self._sight.candidates:
            raise Conflict("A slug was taken meanwhile.")
        return slug.first_free({each for each in candidates if self._is_taken(each)}, draft.post.id).value

    def _is_taken(self, slug: str) -> bool:
        return slug in self._verdicts.ours.slugs or slug in self._sight.slugs
