"""The tools that agents may be given, with what they declare."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from agents.web.place import Place, in_workspace, render
from tools.declared import in_words, limit_names
from tools.registry import registry


@require_safe
@in_workspace()
def tools(request: HttpRequest, place: Place) -> HttpResponse:
    """List the tools of the instance."""
    listed = [{"tool": tool, "limits": limit_names(tool)[1:]} for tool in registry]
    return render(request, place, "web/tools/page.html", {"tools": listed})


@require_safe
@in_workspace()
def tool(request: HttpRequest, place: Place, tool_name: str) -> HttpResponse:
    """Show a tool: all that it declares, in words, and what it takes."""
    if tool_name not in registry:
        raise Http404
    found = registry.get(tool_name)
    required = set(found.schema.get("required", ()))
    parameters = [
        {"name": parameter, "schema": schema, "is_required": parameter in required}
        for parameter, schema in found.schema.get("properties", {}).items()
    ]
    context = {"tool": found, "said": in_words(found), "parameters": parameters}
    return render(request, place, "web/tools/tool.html", context)
