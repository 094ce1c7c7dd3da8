"""What is shown to whom: role, ownership, status."""

from itertools import product

import pytest

from domain.actors import Actor, Role, sees_everything
from domain.errors import NotAllowed
from domain.posts import PostStatus, post_visible
from domain.users import email_visible, user_visible
from tests.builders import a_post, a_user, an_actor

OWNER = an_actor()
VIEWERS: dict[str, Actor | None] = {
    "stranger": None,
    "another author": an_actor(Role.AUTHOR),
    "the author": OWNER,
    "an operator": an_actor(Role.OPERATOR),
    "an administrator": an_actor(Role.ADMIN),
}
PRIVILEGED = {"the author", "an operator", "an administrator"}


@pytest.mark.parametrize(("who", "status"), list(product(VIEWERS, PostStatus)))
def test_published_posts_are_for_all_and_drafts_for_their_author_and_operators(who: str, status: PostStatus) -> None:
    shown = status is PostStatus.PUBLISHED or who in PRIVILEGED
    post = a_post(author=OWNER.id, status=status)

    assert post_visible(status, OWNER.id, viewer=VIEWERS[who]) is shown
    assert post.visible_to(VIEWERS[who]) is shown


@pytest.mark.parametrize(("who", "is_active"), list(product(VIEWERS, [True, False])))
def test_deactivated_users_are_shown_to_themselves_and_to_operators(who: str, is_active: bool) -> None:
    assert user_visible(OWNER.id, is_active=is_active, viewer=VIEWERS[who]) is (is_active or who in PRIVILEGED)


@pytest.mark.parametrize("who", VIEWERS)
def test_an_address_is_shown_to_its_owner_and_to_operators(who: str) -> None:
    assert email_visible(OWNER.id, viewer=VIEWERS[who]) is (who in PRIVILEGED)


@pytest.mark.parametrize("who", VIEWERS)
def test_operators_and_administrators_see_everything(who: str) -> None:
    assert sees_everything(VIEWERS[who]) is (who in PRIVILEGED - {"the author"})


def test_a_user_is_shown_as_the_rule_says() -> None:
    user = a_user(is_active=False)
    assert user.visible_to(user.actor)
    assert not user.visible_to(None)
    assert not user.visible_to(an_actor())


@pytest.mark.parametrize("role", Role)
def test_what_is_for_operators_is_for_administrators_too_and_for_no_author(role: Role) -> None:
    actor = an_actor(role)
    if role is Role.AUTHOR:
        with pytest.raises(NotAllowed):
            actor.require_operator()
    else:
        actor.require_operator()
