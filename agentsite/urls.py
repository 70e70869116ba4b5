"""The site's routes. Each face keeps its own below."""

from django.contrib import admin
from django.urls import include, path

handler500 = "agentsite.outages.server_error"

urlpatterns = [
    path("api/", include("agents.api.urls")),
    path("admin/", admin.site.urls),
    path("", include("agents.api.health")),
    path("", include("agents.api.hooks")),
    path("", include("agents.web.urls")),
]
