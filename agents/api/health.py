"""What a load balancer asks: does this web process work, and may it get requests?"""

from __future__ import annotations

from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from agents.api.problems import RETRY_SECONDS
from agents.models import Workspace


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """Tell whether the process answers and reaches its database."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError):
        return _away()
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Tell whether the instance is set up: its tables are there and hold a workspace."""
    try:
        is_ready = Workspace.objects.exists()
    except (DatabaseError, InterfaceError):
        return _away()
    if not is_ready:
        return JsonResponse({"status": "not set up"}, status=503, headers={"Retry-After": str(RETRY_SECONDS)})
    return JsonResponse({"status": "ok"})


def _away() -> JsonResponse:
    return JsonResponse({"status": "database away"}, status=503, headers={"Retry-After": str(RETRY_SECONDS)})


urlpatterns = [path("healthz", healthz, name="healthz"), path("readyz", readyz, name="readyz")]
