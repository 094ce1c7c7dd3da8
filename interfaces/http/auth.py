"""Signing in, staying signed in, signing out."""

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import Form, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from application.auth import TokenPair
from domain import errors, users
from interfaces.http.access import App
from interfaces.http.answers import NO_STORE
from interfaces.http.openapi import BODY, router, told
from interfaces.http.schemas.fields import Model, rule, text

routes = router("/v1/auth", tag="Signing in")


class PasswordGrant(BaseModel):
    """OAuth2's password grant (RFC 6749, 4.3.2), which says to ignore what is unknown."""

    model_config = ConfigDict(hide_input_in_errors=True)

    username: Annotated[str, *rule(text("username", users.EMAIL_MAX))] = Field(
        description="A username or an email address, in any case"
    )
    password: Annotated[str, *rule(text("password", users.PASSWORD_MAX), format="password")] = Field(repr=False)
    grant_type: Literal["password"] = "password"


class KnownRefreshToken(Model):
    refresh_token: str = Field(max_length=200, repr=False)


@routes.post("/token", response_model=TokenPair, responses=told(*BODY, errors.BadCredentials))
async def sign_in(grant: Annotated[PasswordGrant, Form()], app: App) -> Response:
    """An access token for `expires_in` seconds, and a refresh token for one use."""
    return _told(await app.sign_in(grant.username, grant.password))


@routes.post("/refresh", response_model=TokenPair, responses=told(*BODY, errors.InvalidToken, errors.TokenReused))
async def refresh(known: KnownRefreshToken, app: App) -> Response:
    """A new pair. A refresh token that comes back after its use (a few seconds are forgiven) ends the session."""
    return _told(await app.refresh(known.refresh_token))


@routes.post("/logout", status_code=204, responses=told(*BODY, status=204))
async def sign_out(known: KnownRefreshToken, app: App) -> Response:
    """Ends the session of a refresh token. Its access token dies by its age."""
    await app.sign_out(known.refresh_token)
    return Response(status_code=204, headers=NO_STORE)


def _told(pair: TokenPair) -> Response:
    return JSONResponse(asdict(pair), headers=NO_STORE)
