"""What a load balancer asks: does this web process work, and may it get requests?"""

from __future__ import annotations

from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from agents.api.problems import purpose_of
from agents.engine.outages import DATABASE_ERRORS, Outage, outage_of, outages
from agents.models import Workspace


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """Tell whether the process answers and reaches its database."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DATABASE_ERRORS as error:
        return _away(request, error)
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Tell whether the instance is set up: its tables are there and hold a workspace."""
    try:
        is_ready = Workspace.objects.exists()
    except DATABASE_ERRORS as error:
        return _away(request, error)
    if not is_ready:
        return JsonResponse({"status": "not set up"}, status=503, headers={"Retry-After": "5"})
    return JsonResponse({"status": "ok"})


def _away(request: HttpRequest, error: Exception) -> JsonResponse:
    outage = outage_of(error) or Outage.BUSY
    outages.failed(purpose_of(request), outage, error)
    body = {"status": "database away", "reason": outage.text}
    return JsonResponse(body, status=503, headers={"Retry-After": str(outage.retry_seconds)})


urlpatterns = [path("healthz", healthz, name="healthz"), path("readyz", readyz, name="readyz")]
