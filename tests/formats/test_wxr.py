import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.ports.formats import AuthorRow, PostRow, Record, RowProblem, RowSkip, UserRow
from domain.import_options import ImportKind
from domain.posts import ContentFormat, PostStatus, PostType
from infrastructure.formats.archives import wxr
from infrastructure.formats.archives.autop import paragraphs
from infrastructure.formats.archives.plain import plain_text
from infrastructure.formats.archives.wxr import read_wxr
from tests.formats.archives import (
    DATA,
    assert_a_mistake_of_ours_costs_its_record_alone,
    assert_damage_is_told,
    assert_resumes_at_every_record,
    breaks,
    damaged,
    posts,
    problems,
    read,
    skips,
)

WHOLE = (DATA / "wordpress.xml").read_bytes()
REAL = Path(__file__).parents[2].parent / "shared" / "data" / "wordpress-theme-unit-test.xml"
WP = "http://wordpress.org/export/1.2/"


def an_item(**fields: str) -> str:
    given = {"title": "T", "wp:post_type": "post", "wp:status": "publish"}
    given |= {
        name.replace("_", ":", 1) if name.startswith(("wp_", "dc_", "excerpt_")) else name: text
        for name, text in fields.items()
    }
    return "<item>" + "".join(f"<{name}>{text}</{name}>" for name, text in given.items()) + "</item>"


def an_export(*items: str, wp: str = WP) -> bytes:
    return (
        f'<rss xmlns:wp="{wp}" xmlns:excerpt="{wp}excerpt/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel><link>https://b.example</link>\n'
        + "\n".join(items)
        + "</channel></rss>"
    ).encode()


def the_post(**fields: str) -> PostRow:
    (post,) = posts(read(read_wxr, an_export(an_item(**fields))))
    return post


def test_a_post_is_read_with_all_that_the_export_says_of_it() -> None:
    first = read(read_wxr, WHOLE)[0]
    assert (first.line, first.end_line) == (14, 40)
    assert first.parsed == PostRow(
        "Ελληνικά & 日本",
        "ada",
        "ell",
        "<p>One line<br>\nand another</p>\n<ul>\n<li>Item</li>\n\n</ul>\n<p>Last</p>",
        ContentFormat.HTML,
        "In short",
        ("News", "Engines"),
        PostType.POST,
        PostStatus.PUBLISHED,
        datetime(2016, 5, 4, 10, tzinfo=UTC),
        None,
        "wordpress:https://blog.example",
        "7",
        AuthorRow("ada", "ada@example.com", "Ada L."),
    )


def test_what_is_shown_of_a_row_are_fields_that_can_be_imported() -> None:
    raw = read(read_wxr, WHOLE)[0].raw
    assert isinstance(raw, dict)
    assert raw["title"] == "Ελληνικά & 日本"
    assert raw["tags"] == ["News", "Engines"]
    assert raw["published_at"] == "2016-05-04T10:00:00+00:00"
    assert "details" not in raw


def test_every_comment_is_a_record_of_its_own_after_its_post() -> None:
    records = read(read_wxr, WHOLE)
    assert [(record.place, record.line, record.end_line) for record in records[:3]] == [
        (1, 14, 40),
        (2, 40, 44),
        (3, 44, 47),
    ]
    assert skips(records) == ["comment", "comment", "attachment"]


def test_a_post_without_a_title_a_slug_and_a_known_author_is_read() -> None:
    page = posts(read(read_wxr, WHOLE))[1]
    assert (page.title, page.slug, page.author, page.details) == ("Untitled", None, "nobody", None)
    assert (page.type, page.status, page.published_at) == (PostType.PAGE, PostStatus.DRAFT, None)


def test_of_users_each_author_is_a_record_and_needs_an_email_address() -> None:
    ada, guest = read(read_wxr, WHOLE, ImportKind.USERS)
    assert ada.parsed == UserRow("ada", "ada@example.com", "Ada L.")
    assert guest.parsed == RowProblem("email", "missing", "It is required.")
    assert guest.raw == {"username": "guest", "email": "", "display_name": "Guest"}


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_spelling_of_the_namespace_is_read(scheme: str, version: str) -> None:
    export = an_export(an_item(wp_post_id="3"), wp=f"{scheme}://wordpress.org/export/{version}/")
    assert posts(read(read_wxr, export))[0].external_id == "3"


def test_without_its_base_url_a_blog_is_known_by_its_link() -> None:
    assert the_post().source == "wordpress:https://b.example"


@pytest.mark.parametrize(
    ("status", "password", "expected"),
    [
        ("publish", "", PostStatus.PUBLISHED),
        ("publish", "secret", PostStatus.DRAFT),
        ("private", "", PostStatus.DRAFT),
        ("pending", "", PostStatus.DRAFT),
        ("future", "", PostStatus.DRAFT),
        ("draft", "", PostStatus.DRAFT),
        ("of-a-plugin", "", PostStatus.DRAFT),
    ],
)
def test_only_what_everybody_may_read_is_published(status: str, password: str, expected: PostStatus) -> None:
    assert the_post(wp_status=status, wp_post_password=password).status is expected


@pytest.mark.parametrize("status", ["trash", "auto-draft"])
def test_what_was_thrown_away_is_skipped(status: str) -> None:
    assert skips(read(read_wxr, an_export(an_item(wp_status=status)))) == [status]


def test_other_types_are_skipped_under_their_names_as_long_as_they_are_few() -> None:
    types = ["nav_menu_item", "revision", "Not A Name", *(f"type{n}" for n in range(40)), "revision"]
    reasons = skips(read(read_wxr, an_export(*(an_item(wp_post_type=each) for each in types))))
    assert reasons[:4] == ["nav_menu_item", "revision", "custom_type", "type0"]
    assert len(set(reasons)) == 31
    assert reasons[-2:] == ["custom_type", "revision"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"wp_post_date_gmt": "2020-01-02 03:04:05"}, datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (
            {"wp_post_date_gmt": "0000-00-00 00:00:00", "pubDate": "Thu, 02 Jan 2020 03:04:05 +0100"},
            datetime(2020, 1, 2, 2, 4, 5, tzinfo=UTC),
        ),
        (
            {"pubDate": "Wed, 30 Nov -0001 00:00:00 +0000", "wp_post_date": "2020-01-02 03:04:05"},
            datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
        ),
        ({}, None),
        ({"wp_status": "draft", "wp_post_date": "2020-01-02 03:04:05"}, None),
        ({"wp_status": "draft", "wp_post_date_gmt": "2020-01-02 03:04:05"}, datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ({"wp_status": "future", "wp_post_date": "2030-01-02 03:04:05"}, datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ],
)
def test_the_date_is_the_best_that_there_is(fields: dict[str, str], expected: datetime | None) -> None:
    assert the_post(**fields).published_at == expected


def test_a_date_that_nobody_can_read_is_a_problem_of_its_row() -> None:
    bad = an_item(wp_post_date_gmt="yesterday", wp_post_date="noon", pubDate="now")
    records = read(read_wxr, an_export(bad, an_item()))
    assert problems(records) == [(2, "published_at", "bad_date")]
    assert isinstance(records[0].raw, dict)
    assert records[0].raw["published_at"] == "noon"
    assert len(posts(records)) == 1


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("hello-world", "hello-world"),
        ("caf%c3%a9", "cafe"),
        ("Hello__World", "hello-world"),
        ("%f0%9f%98%80", None),
        ("0123456789abcdef0123456789abcdef", None),
        ("", None),
    ],
)
def test_a_slug_is_made_sound_or_left_out(name: str, slug: str | None) -> None:
    assert the_post(wp_post_name=name).slug == slug


def test_a_slug_that_an_earlier_item_has_is_left_out() -> None:
    items = [an_item(wp_post_name="about"), an_item(wp_post_name="about", wp_post_type="page")]
    assert [post.slug for post in posts(read(read_wxr, an_export(*items)))] == ["about", None]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("", None),
        (" In\r\n\tshort ", "In short"),
        ("<p>One</p><p>t<b>w</b>o<br>three</p>", "One two three"),
        ("<!-- wp:paragraph --><p> </p>", None),
        ("AT&amp;T &lt;b&gt; a < b > c", "AT&T <b> a < b > c"),
        ("a&nbsp;&hellip;", "a …"),
        ("<script>alert(1)</script>a<style>b</style>", "a"),
        ('<img src=x onerror="alert(1)">a<a title="1 > 0" href="javascript:b">c</a>', "ac"),
        ("<scr<script>ipt>a", "ipt>a"),
    ],
)
def test_an_excerpt_is_plain_text(html: str, expected: str | None) -> None:
    assert the_post(excerpt_encoded=f"<![CDATA[{html}]]>").excerpt == expected


@given(st.text("ab \n<>/p!-&;\"'", max_size=60))
def test_no_tag_is_left_of_an_excerpt(html: str) -> None:
    assert not re.search(r"<[a-z/!]", plain_text(html.replace("&", "")))


def test_an_excerpt_that_is_nested_too_deeply_is_a_problem_of_its_row() -> None:
    records = read(read_wxr, an_export(an_item(excerpt_encoded="&lt;b>" * 1_000), an_item()))
    assert problems(records) == [(2, "excerpt", "too_deep")]
    assert isinstance(records[0].raw, dict)
    assert records[0].raw["title"] == "T"
    assert len(posts(records)) == 1


def test_line_breaks_in_titles_and_tags_become_spaces() -> None:
    post = the_post(title=" A\r\n\tB ", category="x\ny")
    assert (post.title, post.tags) == ("A B", ("x y",))


def test_an_item_past_the_limit_fails_alone_and_its_comments_are_counted() -> None:
    long = "<item><title>Long</title><content:encoded>" + "x" * 3_000 + "</content:encoded></item>"
    records = read(read_wxr, an_export(long, an_item()), limit=2_000)
    assert problems(records) == [(2, None, "too_long")]
    assert isinstance(records[0].raw, dict)
    assert records[0].raw["title"] == "Long"
    assert len(posts(records)) == 1


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("", ""),
        ("One", "<p>One</p>"),
        ("One\r\ntwo\r\n\r\n\r\nthree", "<p>One<br>\ntwo</p>\n<p>three</p>"),
        ("a\n \t\nb", "<p>a</p>\n<p>b</p>"),
        ("a <b>b</b>\n<h2>T</h2>\nc", "<p>a <b>b</b></p>\n<h2>T</h2>\n<p>c</p>"),
        ("<div>a\n\nb<div>c</div>\n\n</div>\n\nd", "<div>a\n\nb<div>c</div>\n\n</div>\n<p>d</p>"),
        ("<pre>a\n\nb", "<pre>a\n\nb"),
        ("a<hr>b", "<p>a</p>\n<hr>\n<p>b</p>"),
        ("</div>a", "</div>\n<p>a</p>"),
        ("<!-- wp:paragraph -->\n<p>a</p>\n\nb", "<!-- wp:paragraph -->\n<p>a</p>\n\nb"),
        ('[gallery ids="1"]', '<p>[gallery ids="1"]</p>'),
    ],
)
def test_blank_lines_part_paragraphs_outside_of_blocks(html: str, expected: str) -> None:
    assert paragraphs(html) == expected


@given(st.text("ab \n<>/p!-", max_size=60))
def test_paragraphs_lose_nothing_but_white_space(html: str) -> None:
    made = re.sub(r"</?p>|<br>|\s", "", paragraphs(html))
    assert made == re.sub(r"</?p>|<br>|\s", "", html)


def test_resuming_at_every_record_gives_the_rest() -> None:
    assert_resumes_at_every_record(read_wxr, WHOLE)
    assert_resumes_at_every_record(read_wxr, WHOLE, ImportKind.USERS)


def test_a_file_that_breaks_off_is_read_up_to_there() -> None:
    records = read(read_wxr, WHOLE[: WHOLE.index(b"<wp:post_id>9")])
    assert len(posts(records)) == 2
    assert problems(records) == [(59, None, "truncated")]


def test_a_mistake_of_ours_costs_its_record_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wxr, "one_line", breaks)
    file = an_export(an_item(title="A"), an_item(title="Breaks"), an_item(title="B"))
    assert_a_mistake_of_ours_costs_its_record_alone(read_wxr, file, caplog)
    caplog.clear()
    author = (
        "<wp:author><wp:author_login>%s</wp:author_login><wp:author_email>a@b.example</wp:author_email></wp:author>"
    )
    file = an_export(*(author % login for login in ("a", "Breaks", "b")))
    assert_a_mistake_of_ours_costs_its_record_alone(read_wxr, file, caplog, ImportKind.USERS)


@given(damaged(WHOLE))
def test_no_damage_is_an_error_of_ours(file: bytes) -> None:
    assert_damage_is_told(read_wxr, file)


def independent(text: str, name: str) -> str:
    """The text of an element, told without any parser; empty where there is none."""
    found = re.search(rf"<{name}>(?:<!\[CDATA\[(.*?)\]\]>|(.*?))\s*</{name}>", text, re.DOTALL)
    if not found:
        return ""
    return found[1] if found[1] is not None else unescape(found[2])


@pytest.fixture(scope="module")
def real() -> bytes:
    if not REAL.exists():
        pytest.skip("The theme unit test of WordPress is not beside this repository.")
    return REAL.read_bytes()


_GREEK = {"επίπεδο-2": "epipedo-2", "επίπεδο-3": "epipedo-3", "ελληνικά": "ellenika"}


def test_of_a_real_export_every_post_is_there_with_title_author_tags_and_slug(real: bytes) -> None:
    items = re.findall(r"<item>(.*?)</item>", real.decode(), re.DOTALL)
    of_posts = [item for item in items if independent(item, "wp:post_type") in ("post", "page")]
    assert len(of_posts) == 79
    expected = [
        (
            independent(item, "wp:post_id"),
            independent(item, "title").strip() or "Untitled",
            independent(item, "dc:creator"),
            _GREEK.get(name := unquote(independent(item, "wp:post_name")), name) or None,
            set(re.findall(r'<category domain="(?:category|post_tag)"[^>]*>\s*<!\[CDATA\[(.*?)\]\]>', item)),
        )
        for item in of_posts
    ]
    found = posts(read(read_wxr, real, limit=4_000_000))
    assert [(each.external_id, each.title, each.author, each.slug, set(each.tags or ())) for each in found] == expected


def test_of_a_real_export_all_else_is_counted(real: bytes) -> None:
    records = read(read_wxr, real, limit=4_000_000)
    text = real.decode()
    assert not problems(records)
    assert len(records) == text.count("<item>") + text.count("<wp:comment>")
    assert skips(records).count("comment") == text.count("<wp:comment>") == 33
    for reason in ("attachment", "nav_menu_item"):
        spelt = rf"<wp:post_type>(?:<!\[CDATA\[)?{reason}\b"
        assert skips(records).count(reason) == len(re.findall(spelt, text))
    assert [post.title for post in posts(records) if post.status is PostStatus.DRAFT] == [
        "Scheduled",
        "Draft",
        'Template: Password Protected (the password is "enter")',
    ]


def test_of_a_real_export_the_authors_are_there(real: bytes) -> None:
    records: list[Record] = read(read_wxr, real, ImportKind.USERS)
    assert [record.parsed for record in records] == [
        UserRow("themedemos", "themeshaperwp+demos@gmail.com", "Theme Buster"),
        UserRow("themereviewteam", "themereviewteam@gmail.com", "Theme Reviewer"),
    ]


def test_of_a_real_export_lines_are_where_items_begin(real: bytes) -> None:
    lines = [number for number, line in enumerate(real.decode().split("\n"), 1) if "<item>" in line]
    records = read(read_wxr, real, limit=4_000_000)
    assert [record.line for record in records if record.parsed != RowSkip("comment")] == lines
