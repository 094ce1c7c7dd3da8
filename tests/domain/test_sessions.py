"""Refresh tokens: one use, a short grace, and what comes back after it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidToken, TokenReused
from tests.builders import NOON, SECOND, a_session, a_token, a_user

GRACE = timedelta(seconds=10)
SESSION = a_session(a_user())


def test_a_token_is_marked_at_its_first_use() -> None:
    token = a_token(SESSION)
    assert token.used_at is None
    assert token.used(at=NOON + SECOND, grace=GRACE).used_at == NOON + SECOND


def test_within_its_grace_a_used_token_is_good_and_its_first_use_stands() -> None:
    used = a_token(SESSION).used(at=NOON, grace=GRACE)
    assert used.used(at=NOON + GRACE, grace=GRACE) is used


def test_after_its_grace_a_used_token_was_stolen() -> None:
    used = a_token(SESSION).used(at=NOON, grace=GRACE)
    with pytest.raises(TokenReused):
        used.used(at=NOON + GRACE + timedelta(microseconds=1), grace=GRACE)


def test_an_expired_token_is_good_for_nothing_from_its_last_instant_on() -> None:
    token = a_token(SESSION, lifetime=timedelta(minutes=1))
    assert token.used(at=NOON + timedelta(seconds=59), grace=GRACE).used_at == NOON + timedelta(seconds=59)
    with pytest.raises(InvalidToken) as refused:
        token.used(at=NOON + timedelta(minutes=1), grace=GRACE)
    assert not isinstance(refused.value, TokenReused)


@given(
    st.timedeltas(timedelta(0), timedelta(hours=1)),
    st.timedeltas(timedelta(0), timedelta(hours=1)),
    st.timedeltas(timedelta(0), timedelta(minutes=1)),
)
def test_a_second_use_is_good_within_grace_and_lifetime_alone(
    first: timedelta, waited: timedelta, grace: timedelta
) -> None:
    token = a_token(SESSION, lifetime=timedelta(hours=1, microseconds=1)).used(at=NOON + first, grace=grace)
    again = NOON + first + waited
    try:
        token.used(at=again, grace=grace)
    except TokenReused:
        assert waited > grace
    except InvalidToken:
        assert again >= token.expires_at
        assert waited <= grace
    else:
        assert waited <= grace
        assert again < token.expires_at


def test_a_session_is_revoked_once_and_stays_so() -> None:
    SESSION.require_live()
    revoked = SESSION.revoked(at=NOON)
    assert revoked.revoked(at=NOON + SECOND).revoked_at == NOON
    with pytest.raises(InvalidToken):
        revoked.require_live()


def test_no_digest_is_shown_when_a_token_is_printed() -> None:
    token = a_token(SESSION)
    assert repr(token.digest) not in repr(token)
