"""What all views of the API have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, cast

from django.http import HttpRequest
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents.api import problems
from agents.api.authentication import BearerAuthentication, TokenAllows
from agents.api.parsing import DEFAULT_LIMIT, JSONRenderer, StrictJSONParser
from agents.api.serializers import check_parameters
from agents.models import AuthToken, User, Workspace

ANY = "*/*"


class ApiView(APIView):
    """A view of the API: a token's workspace, JSON in and out, problems for errors."""

    authentication_classes = (BearerAuthentication,)
    permission_classes: tuple[type[BasePermission], ...] = (TokenAllows,)
    parser_classes: tuple[type[StrictJSONParser], ...] = (StrictJSONParser,)
    renderer_classes: tuple[type[BaseRenderer], ...] = (JSONRenderer,)
    body_limit = DEFAULT_LIMIT

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        for values in request.query_params.lists():
            check_parameters(values[1])

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """Choose in what form to answer; who takes anything gets the only one there is without a choice."""
        kinds = self.renderer_classes
        if len(kinds) == 1 and not request.META["QUERY_STRING"] and request.META.get("HTTP_ACCEPT", ANY) == ANY:
            return kinds[0](), kinds[0].media_type
        return super().perform_content_negotiation(request, force)

    def get_exception_handler(self) -> Callable[..., Response]:
        return problems.handle

    def http_method_not_allowed(self, request: Request | HttpRequest, *args: Any, **kwargs: Any) -> NoReturn:
        raise MethodNotAllowed(request.method or "")

    def token(self) -> AuthToken:
        """Give the token of the request."""
        return cast(AuthToken, self.request.auth)

    def workspace(self) -> Workspace:
        """Give the workspace of the request: its token's."""
        return cast(Workspace, self.token().workspace)

    def person(self) -> User:
        """Give the person whose token it is."""
        return cast(User, self.token().user)
