"""Who calls, and the use cases they call. A handler says in its signature which it needs."""

from typing import Annotated, Any, cast

from fastapi import Depends
from fastapi.openapi.models import OAuth2 as OAuth2Scheme
from fastapi.openapi.models import OAuthFlowPassword, OAuthFlows
from fastapi.security.base import SecurityBase
from starlette.requests import Request

from application.use_cases import UseCases
from domain.actors import Actor
from domain.errors import NotAuthenticated

SCHEME = "signed-in"
# For handlers that authenticate without a dependency, and for those that strangers may call too.
OPTIONAL_SIGN_IN: dict[str, Any] = {"security": [{}, {SCHEME: []}]}


async def use_cases(request: Request) -> UseCases:
    return opened(request)


def opened(request: Request) -> UseCases:
    """The use cases that the lifespan opened."""
    return cast("UseCases", request.app.state.use_cases)


async def viewer_of(request: Request) -> Actor | None:
    """None, the stranger, without credentials. Raises NotAuthenticated for those that do not hold."""
    for name, value in request.scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").strip().partition(" ")
            if scheme.lower() != "bearer" or not token.strip():
                raise NotAuthenticated("The Authorization header must be: Bearer, a space, an access token.")
            return await opened(request).authenticate(token.strip())
    return None


async def _actor_of(request: Request) -> Actor:
    """Raises NotAuthenticated."""
    actor = await viewer_of(request)
    if actor is None:
        raise NotAuthenticated
    return actor


async def operator_of(request: Request) -> Actor:
    """Raises NotAuthenticated, NotAllowed."""
    actor = await _actor_of(request)
    actor.require_operator()
    return actor


class _Bearer(SecurityBase):
    """How clients sign in, as the OpenAPI document tells it."""

    scheme_name = SCHEME
    model = OAuth2Scheme(
        flows=OAuthFlows(password=OAuthFlowPassword(tokenUrl="v1/auth/token", refreshUrl="v1/auth/refresh", scopes={})),
        description="A username or email address and its password for an access token.",
    )


class _SignedIn(_Bearer):
    async def __call__(self, request: Request) -> Actor:
        return await _actor_of(request)


class _Anybody(_Bearer):
    async def __call__(self, request: Request) -> Actor | None:
        return await viewer_of(request)


class _Operator(_Bearer):
    async def __call__(self, request: Request) -> Actor:
        return await operator_of(request)


App = Annotated[UseCases, Depends(use_cases)]
ActorNow = Annotated[Actor, Depends(_SignedIn())]
OperatorNow = Annotated[Actor, Depends(_Operator())]
Viewer = Annotated[Actor | None, Depends(_Anybody())]
