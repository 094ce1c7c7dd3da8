"""Users: names, addresses, profiles, and who may change what."""

import string
from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.actors import Actor, Role
from domain.errors import InvalidValue, NotAllowed, VersionMismatch
from domain.ids import UserId
from domain.users import (
    EMAIL_MAX,
    PASSWORD_MAX,
    URL_MAX,
    USERNAME_MAX,
    EmailAddress,
    Profile,
    User,
    Username,
    checked_password,
    checked_password_hash,
    checked_url,
)
from tests.builders import NOON, SECOND, a_profile, a_user, an_actor

LATER = NOON + SECOND


@given(st.emails())
def test_an_address_is_kept_in_lower_case_and_stays_as_kept(text: str) -> None:
    try:
        address = EmailAddress(text)
    except InvalidValue:
        return
    assert address.value == text.strip().lower()
    assert EmailAddress(address.value.upper()) == address
    assert len(address.value) <= EMAIL_MAX
    assert address.value.isascii()


@pytest.mark.parametrize(
    "text", ["ann@example.com", " Ann@Example.COM ", "a+b@mail.example.org", "o'neill@example.ie", "x@a-b.co"]
)
def test_ordinary_addresses_are_accepted(text: str) -> None:
    assert EmailAddress(text).value == text.strip().lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "ann@",
        "@example.com",
        "ann@example",
        "ann@@example.com",
        "a b@example.com",
        "ann@-example.com",
        "ann@example-.com",
        "ann@example..com",
        "ann@exam\nple.com",
        "änn@example.com",
        "a" * 65 + "@example.com",
        "ann@" + ".".join(["a" * 60] * 5),
        "ann@example.com\x00",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        EmailAddress(text)
    assert (refused.value.field, refused.value.code) == ("email", "bad_email")


@given(st.text(string.ascii_letters + string.digits + "_.-", min_size=1, max_size=USERNAME_MAX + 2))
def test_a_username_is_kept_as_typed_and_judged_in_lower_case(text: str) -> None:
    fits = len(text) <= USERNAME_MAX and text[0].isalnum() and text[-1] not in ".-"
    if fits:
        assert Username(text).value == text
        assert Username(text).folded == Username(text.swapcase()).folded
    else:
        with pytest.raises(InvalidValue):
            Username(text)


@pytest.mark.parametrize("text", ["", "a b", "ann@example", "é", "-ann", "_ann", "ann\n", "ann/", "ann\x00"])
def test_what_is_no_username_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        Username(text)
    assert (refused.value.field, refused.value.code) == ("username", "bad_username")


def test_a_username_can_never_be_taken_for_an_address() -> None:
    """So a login is one or the other."""
    with pytest.raises(InvalidValue):
        Username("ann@example.com")


def test_a_password_is_judged_by_its_length_alone() -> None:
    assert checked_password("a a a a ") == "a a a a "
    assert checked_password("é" * PASSWORD_MAX)
    for password in ("short", "x" * (PASSWORD_MAX + 1)):
        with pytest.raises(InvalidValue):
            checked_password(password)


SALT, TAG = "c29tZXNhbHQ", "iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A"
BCRYPT_SALT, BCRYPT_TAG = "N9qo8uLOickgx2ZMRZoMye", "IjZAgcfl7p92ldGxad68LJZdL17lhWy"


@pytest.mark.parametrize(
    "text",
    [
        f"$argon2id$v=19$m=65536,t=3,p=4${SALT}${TAG}",
        f"$argon2i$v=19$m=102400,t=2,p=8${SALT}${TAG}",
        f"$argon2d$v=16$m=8,t=1,p=1${SALT}${TAG}",
        f"$argon2i$m=65536,t=2,p=1${SALT}${TAG}",
        f"$argon2id$v=19$m=262144,t=4,p=16${SALT}${TAG}",
        f"$2a$10${BCRYPT_SALT}{BCRYPT_TAG}",
        f"$2b$04${BCRYPT_SALT}{BCRYPT_TAG}",
        f"$2y$14${BCRYPT_SALT}{BCRYPT_TAG}",
    ],
)
def test_a_password_hash_in_its_usual_form_is_taken_as_it_is(text: str) -> None:
    assert checked_password_hash(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "correct horse battery staple",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "$1$abcdefgh$irWbblnpmw.5z7wgBnprh0",
        "$P$984478476IagS59wHZvyQMArzfx58u.",
        "$wp$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
        f"argon2$argon2id$v=19$m=65536,t=3,p=4${SALT}${TAG}",
        f"$argon2id$v=18$m=65536,t=3,p=4${SALT}${TAG}",
        f"$argon2id$v=19$t=3,m=65536,p=4${SALT}${TAG}",
        f"$argon2id$v=19$m=065536,t=3,p=4${SALT}${TAG}",
        f"$argon2id$v=19$m=65536,t=3,p=4${SALT}=${TAG}",
        f"$argon2id$v=19$m=65536,t=3,p=4${SALT[:-1]}R${TAG}",
        f"$argon2id$v=19$m=65536,t=3,p=4${SALT}aa${TAG}",
        f"$argon2id$v=19$m=65536,t=3,p=4$c29t${TAG}",
        f"$argon2id$v=19$m=65536,t=3,p=4${SALT}$c29tZXNhbHQ",
        f"$argon2id$v=19$m=65536,t=3,p=4${SALT}${TAG}\n",
        f"$argon2id$v=19$m=16,t=3,p=4${SALT}${TAG}",
        f"$2x$10${BCRYPT_SALT}{BCRYPT_TAG}",
        f"$2b$03${BCRYPT_SALT}{BCRYPT_TAG}",
        f"$2b$10${BCRYPT_SALT[:-1]}f{BCRYPT_TAG}",
        f"$2b$10${BCRYPT_SALT}{BCRYPT_TAG[:-1]}z",
        f"$2b$10${BCRYPT_SALT}{BCRYPT_TAG[:-1]}",
        f"$2b$10${BCRYPT_SALT}{BCRYPT_TAG}\n",
    ],
)
def test_what_is_no_password_hash_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        checked_password_hash(text)
    assert (refused.value.field, refused.value.code) == ("password_hash", "bad_hash")
    assert not text or text not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        f"$argon2id$v=19$m=262145,t=1,p=1${SALT}${TAG}",
        f"$argon2id$v=19$m=4194304,t=100,p=1${SALT}${TAG}",
        f"$argon2id$v=19$m=262144,t=5,p=1${SALT}${TAG}",
        f"$argon2id$v=19$m=8,t=65,p=1${SALT}${TAG}",
        f"$argon2id$v=19$m=65536,t=3,p=17${SALT}${TAG}",
        f"$argon2id$v=19$m=4294967295,t=4294967295,p=4${SALT}${TAG}",
        f"$2b$15${BCRYPT_SALT}{BCRYPT_TAG}",
        f"$2b$31${BCRYPT_SALT}{BCRYPT_TAG}",
    ],
)
def test_a_hash_that_costs_too_much_for_a_sign_in_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="too much for a sign-in") as refused:
        checked_password_hash(text)
    assert (refused.value.field, refused.value.code) == ("password_hash", "bad_hash")


@pytest.mark.parametrize(
    "url", ["https://example.com", "http://example.com:8080/a?b#c", "https://[::1]/", " http://é.fr "]
)
def test_absolute_web_addresses_are_accepted(url: str) -> None:
    assert checked_url(url, "website") == url.strip()


@pytest.mark.parametrize(
    "url",
    [
        "example.com",
        "/path",
        "//example.com",
        "ftp://example.com",
        "javascript:alert(1)",
        "https://",
        "https://:80",
        "https://[::1",
        "https://example.com:99999",
        "https://example.com:0",
        "https://exa mple.com",
        "https://example.com/\nx",
        "https://example.com/" + "x" * URL_MAX,
    ],
)
def test_what_is_no_absolute_web_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        checked_url(url, "website")
    assert refused.value.field == "website"


def test_a_profile_changes_what_is_named_and_nothing_else() -> None:
    profile = a_profile("Ann", bio="Writes.", website="https://example.com")

    assert profile.changed({}) == profile
    assert profile.changed({"bio": "Reads."}) == a_profile("Ann", bio="Reads.", website="https://example.com")
    assert profile.changed({"bio": None, "display_name": None, "website": None}) == Profile()


def test_a_profile_shows_no_script_as_its_website() -> None:
    with pytest.raises(InvalidValue):
        Profile(website="javascript:alert(1)")


CHANGES: dict[str, Callable[[User, Actor], object]] = {
    "rename": lambda user, by: user.renamed(username=Username("other"), email=user.email, by=by, at=LATER),
    "describe": lambda user, by: user.described(Profile(bio="New."), by=by, at=LATER),
    "promote": lambda user, by: user.with_role(Role.OPERATOR, by=by, at=LATER),
    "deactivate": lambda user, by: user.activated(False, by=by, at=LATER),
    "delete": lambda user, by: user.require_deletable(by=by),
}


def may(change: str, user: User, by: Actor) -> bool:
    try:
        CHANGES[change](user, by)
    except NotAllowed:
        return False
    return True


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ("rename", ["oneself", "admin"]),
        ("describe", ["oneself", "operator", "admin"]),
        ("promote", ["admin"]),
        ("deactivate", ["oneself", "operator", "admin"]),
        ("delete", ["oneself", "admin"]),
    ],
)
def test_who_may_change_an_author(change: str, allowed: list[str]) -> None:
    user = a_user()
    actors = {"oneself": user.actor} | {role.value: an_actor(role) for role in Role}
    assert [who for who, actor in actors.items() if may(change, user, actor)] == allowed


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_an_operator_deactivates_neither_operators_nor_administrators(role: Role) -> None:
    user = a_user(role=role)
    assert not may("deactivate", user, an_actor(Role.OPERATOR))
    assert may("deactivate", user, an_actor(Role.ADMIN))


def test_nobody_reactivates_themself_but_an_administrator() -> None:
    user = a_user(is_active=False)
    with pytest.raises(NotAllowed):
        user.activated(True, by=user.actor, at=LATER)
    assert user.activated(True, by=an_actor(Role.OPERATOR), at=LATER).is_active


def test_what_is_as_asked_already_is_left_alone_whoever_asks() -> None:
    user = a_user()
    assert user.with_role(Role.AUTHOR, by=an_actor(), at=LATER) is user
    assert user.activated(True, by=an_actor(), at=LATER) is user


def test_an_anonymous_user_keeps_the_id_and_nothing_that_names_a_person() -> None:
    user = a_user("ann", role=Role.ADMIN, password_hash="hash", profile=a_profile("Ann", bio="Writes."))
    nobody = user.anonymised(at=LATER)

    assert (nobody.id, nobody.version, nobody.created_at) == (user.id, user.version, user.created_at)
    assert (nobody.email, nobody.password_hash, nobody.is_active, nobody.role) == (None, None, False, Role.AUTHOR)
    assert nobody.profile == Profile()
    assert "ann" not in nobody.username.folded


@given(st.uuids())
def test_any_user_can_be_made_anonymous(user_id: UUID) -> None:
    assert a_user(user_id=UserId(user_id)).anonymised(at=LATER).id == user_id


def test_a_change_to_another_version_is_refused_with_the_current_one() -> None:
    user = a_user()
    assert user.require_version(None) is user
    assert user.require_version(1) is user
    with pytest.raises(VersionMismatch) as refused:
        user.require_version(2)
    assert refused.value.current == 1


def test_no_secret_is_shown_when_a_user_is_printed() -> None:
    assert "argon2" not in repr(a_user(password_hash="$argon2id$secret"))
