"""Which rows of posts are new, which are here already, and which fail: judged in the order of the file."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from application.importing.authors import Author, AuthorsSight
from application.importing.rows import Met
from application.ports.formats import RowProblem
from application.ports.repositories import Stored
from domain.errors import Conflict
from domain.ids import PostId
from domain.import_options import OnConflict
from domain.imports import ImportJob
from domain.posts import Slug

if TYPE_CHECKING:
    from application.importing.posts import PostDraft

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
    """`new` ones come with their slugs; `made` is what they name, and `met` what the `known` ones do. `wanted` are
    authors to be made, by login; those of them that a dry run made before are `rehearsed` too."""

    new: "list[tuple[PostDraft, str]]" = field(default_factory=list)
    known: "list[tuple[PostDraft, Stored[PostId]]]" = field(default_factory=list)
    problems: "list[tuple[PostDraft, RowProblem]]" = field(default_factory=list)
    skipped: int = 0
    wanted: dict[str, Author] = field(default_factory=dict)
    rehearsed: set[str] = field(default_factory=set)
    made: Met = field(default_factory=Met)
    met: Met = field(default_factory=Met)


class Sieve:
    """Raises Conflict where `since` has what makes it necessary to look again."""

    def __init__(self, job: ImportJob, sight: PostsSight, since: Met) -> None:
        self._job_id = job.id
        self._options = job.options
        self._sight = sight
        self._since = since
        self._verdicts = PostVerdicts()
        self._made, self._met = self._verdicts.made, self._verdicts.met
        self._before = since.with_all_of(sight.remembered)

    def judge_all(self, drafts: "Sequence[PostDraft]") -> PostVerdicts:
        verdicts = self._verdicts
        for draft in drafts:
            problem = self._judge(draft)
            if problem is not None:
                verdicts.problems.append((draft, problem))
        return verdicts

    def _judge(self, draft: "PostDraft") -> RowProblem | None:
        key, slug = draft.key, draft.slug
        if key is None:
            stored, is_ours = self._sight.slugs.get(slug), self._has_slug(slug)
        else:
            stored = self._sight.known.get(key)
            is_ours = key in self._made.keys or key in self._met.keys or key in self._before.keys
        if is_ours or (stored is not None and self._is_ours(stored)):
            return _SLUG_DUPLICATE if key is None else _DUPLICATE
        if stored is not None and self._options.on_conflict is OnConflict.SKIP:
            self._verdicts.skipped += 1
            return None
        if stored is not None and self._options.on_conflict is OnConflict.FAIL:
            return _SLUG_EXISTS if key is None else _EXISTS
        problem = self._author_problem(draft, is_new=stored is None) or self._slug_problem(draft, stored)
        if problem is None:
            self._accept(draft, stored)
        return problem

    def _accept(self, draft: "PostDraft", stored: Stored[PostId] | None) -> None:
        verdicts = self._verdicts
        if self._options.create_authors:
            self._want(draft.author)
        if stored is None:
            slug = draft.slug if draft.names_slug else self._free_slug(draft)
            verdicts.new.append((draft, slug))
            if draft.key is not None:
                verdicts.made.keys.add(draft.key)
            verdicts.made.slugs.add(slug)
            return
        verdicts.known.append((draft, stored))
        verdicts.met.ids.add(stored.id)
        if draft.key is not None:
            verdicts.met.keys.add(draft.key)
        if draft.names_slug:
            verdicts.met.slugs.add(draft.slug)

    def _is_ours(self, stored: Stored[PostId]) -> bool:
        """Whether a row of this job made it or stands for it, under whatever name."""
        return stored.origin == self._job_id or stored.id in self._met.ids or stored.id in self._before.ids

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
        if author is None or self._sight.authors.find(author) is not None:
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
        if self._has_slug(slug) or (holder is not None and self._is_ours(holder)):
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
        return slug in self._sight.slugs or self._has_slug(slug)

    def _has_slug(self, slug: str) -> bool:
        return slug in self._made.slugs or slug in self._met.slugs or slug in self._before.slugs
