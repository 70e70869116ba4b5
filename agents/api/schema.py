"""The OpenAPI document and the page that shows it. Both are public: they tell nothing about an instance's data."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny

POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Names the bearer token in the OpenAPI document."""

    target_class = "agents.api.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer"}


class SchemaView(SpectacularAPIView):
    """The OpenAPI document."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class DocsView(SpectacularSwaggerSplitView):
    """The page that shows it."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    # There is no page for OPTIONS.
    metadata_class = None
    url_name = "api:schema"
    url_self = "/api/docs"


def docs(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Show the page under a policy that lets its own style element apply; scripts stay the site's own."""
    response: HttpResponse = DocsView.as_view()(request, *args, **kwargs)
    response.headers["Content-Security-Policy"] = POLICY
    return response
