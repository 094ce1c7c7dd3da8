"""Writes the sample archive of `byline up` from the texts beside this file; the same texts give the same bytes.

python docs/sample/generate.py
"""

import json
import random
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ARCHIVE = HERE.parents[1] / "interfaces" / "cli" / "sample"

SEED = 2016
FIRST_DAY = datetime(2016, 2, 1, tzinfo=UTC)
LAST_DAY = datetime(2026, 10, 10, tzinfo=UTC)
SEASONS = ("winter", "spring", "summer", "autumn")
MOST_VIEWS = 48_000

Texts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """`at` is None for a draft."""

    key: str
    title: str
    author: str
    tags: Sequence[str]
    content: str
    at: datetime | None
    excerpt: str | None = None
    slug: str | None = None
    content_format: str = "markdown"
    type: str = "post"

    def row(self, views: int) -> dict[str, object]:
        row = {
            "title": self.title,
            "slug": self.slug,
            "content": self.content.strip(),
            "content_format": self.content_format,
            "excerpt": self.excerpt,
            "tags": list(dict.fromkeys(self.tags)),
            "type": self.type,
            "status": "published" if self.at else "draft",
            "published_at": self.at.strftime("%Y-%m-%dT%H:%M:%SZ") if self.at else None,
            "views": views,
            "author": self.author,
            "source": "sample",
            "external_id": self.key,
        }
        return {name: value for name, value in row.items() if value is not None}


def pieces(chance: random.Random) -> Iterator[Piece]:
    themes = sorted((HERE / "themes").glob("*.toml"))
    for number, path in enumerate(themes):
        yield from theme_pieces(tomllib.loads(path.read_text()), number / len(themes), chance)
    yield from single_pieces(tomllib.loads((HERE / "singles.toml").read_text()), chance)


def theme_pieces(theme: Texts, phase: float, chance: random.Random) -> Iterator[Piece]:
    """An essay, a how-to and a note on each subject, spread over the years, and digests of the notes."""
    subjects: list[Texts] = theme["subject"]
    step = (LAST_DAY - FIRST_DAY) / (len(subjects) + 0.5)
    notes: list[Piece] = []
    for number, subject in enumerate(subjects):
        key = f"{theme['tag']}-{number + 1}"
        begin = FIRST_DAY + (number + phase * 0.9) * step
        author = theme["authors"][number % len(theme["authors"])]
        tags = (theme["tag"], subject["tag"])
        essay_title, first, second = subject["essay"]
        aside, opening, closing = (theme[of][number % len(theme[of])] for of in ("asides", "openings", "closings"))
        yield Piece(
            f"{key}-essay",
            essay_title,
            author,
            tags,
            f"{first}\n\n{second}\n\n* * *\n\n{aside}\n\n*{closing}*",
            moment(begin, chance),
            excerpt=first_sentence(first),
        )
        howto_title, *tips = subject["howto"]
        numbered = "\n".join(f"{position}. {tip}" for position, tip in enumerate(tips, 1))
        yield Piece(
            f"{key}-howto",
            howto_title,
            theme["authors"][(number + 1) % len(theme["authors"])],
            (*tags, "how-to"),
            f"{opening}\n\n{numbered}\n\nThe longer story is in *{essay_title}*.",
            moment(begin + step * 0.3, chance),
            excerpt=f"{plain(tips[0])} And {spelled(len(tips) - 1)} more.",
        )
        note_title, text = subject["note"]
        note = Piece(f"{key}-note", note_title, author, tags, text, moment(begin + step * 0.6, chance))
        notes.append(note)
        yield note
    for number, (start, end) in enumerate(((0, 3), (3, 6), (6, 8), (8, 10)), 1):
        yield digest(theme, number, notes[start:end], chance)


def digest(theme: Texts, number: int, notes: Sequence[Piece], chance: random.Random) -> Piece:
    """In HTML, as an older system might have exported it."""
    newest = max(note.at for note in notes if note.at)
    at = moment(min(newest + timedelta(days=40), LAST_DAY), chance)
    sections = "\n".join(
        f"<h2>{escape(note.title, quote=False)}</h2>\n<p>{emphasised(note.content)}</p>" for note in notes
    )
    season = SEASONS[at.month % 12 // 3]
    return Piece(
        f"{theme['tag']}-digest-{number}",
        f"The {theme['name'].lower()} notebook, {season} {at.year}",
        theme["authors"][0],
        (theme["tag"], "digest"),
        f"<p>{spelled(len(notes)).capitalize()} small things, for those who missed them.</p>\n{sections}",
        at,
        excerpt="In this one: " + ", ".join(note.title for note in notes) + ".",
        content_format="html",
    )


def single_pieces(singles: Texts, chance: random.Random) -> Iterator[Piece]:
    for number, page in enumerate(singles["page"], 1):
        at = moment(FIRST_DAY + timedelta(days=number), chance)
        yield Piece(f"page-{number}", page["title"], page["author"], page["tags"], page["content"], at, type="page")
    step = (LAST_DAY - FIRST_DAY) / len(singles["post"])
    for number, post in enumerate(singles["post"]):
        yield Piece(
            f"single-{number + 1}",
            post["title"],
            post["author"],
            post["tags"],
            post["content"],
            moment(FIRST_DAY + step * (number * 5 % len(singles["post"]) + 0.5), chance),
            excerpt=post["excerpt"],
            slug=post.get("slug"),
        )
    for number, draft in enumerate(singles["draft"], 1):
        yield Piece(f"draft-{number}", draft["title"], draft["author"], draft["tags"], draft["content"], None)


def moment(day: datetime, chance: random.Random) -> datetime:
    """Some minute of the working hours, within a fortnight of `day`."""
    return day.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(
        days=chance.randrange(14), minutes=chance.randrange(6 * 60, 20 * 60)
    )


def first_sentence(text: str) -> str:
    return plain(text.split(". ")[0].rstrip(".") + ".")


def plain(text: str) -> str:
    return text.replace("*", "").replace("`", "")


def spelled(number: int) -> str:
    return ("no", "one", "two", "three", "four", "five", "six", "seven")[number]


def emphasised(text: str) -> str:
    """The Markdown of the notes, which is `*emphasis*` and `code`, as HTML."""
    text = escape(text, quote=False)
    for mark, tag in (("*", "em"), ("`", "code")):
        outside, *rest = text.split(mark)
        text = outside + "".join(
            (f"<{tag}>" if position % 2 == 0 else f"</{tag}>") + part for position, part in enumerate(rest)
        )
    return text


def views(of: Sequence[Piece], chance: random.Random) -> Mapping[str, int]:
    """A long tail, after Zipf: a tenth of the posts have most of the views; drafts have none."""
    ranked = [piece.key for piece in of if piece.at]
    chance.shuffle(ranked)
    return {key: int(MOST_VIEWS / rank**1.05) + chance.randrange(40) for rank, key in enumerate(ranked, 1)}


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8", newline="\n")


def main(folder: Path = ARCHIVE) -> None:
    chance = random.Random(SEED)  # noqa: S311 for variety, not for secrets
    everything = list(pieces(chance))
    seen = views(everything, chance)
    chance.shuffle(everything)
    users: list[Texts] = tomllib.loads((HERE / "users.toml").read_text())["user"]
    write(folder / "users.ndjson", users)
    write(folder / "posts.ndjson", [piece.row(seen.get(piece.key, 0)) for piece in everything])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
