import pytest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings

from agentsite.middleware import CSP_HEADER, ContentSecurityPolicy

STYLE_SHEET = "/static/admin/css/base.css"


def respond(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


def test_policy_allows_own_files_and_own_websockets_only() -> None:
    request = RequestFactory().get("/", headers={"host": "localhost:8000"})
    policy = ContentSecurityPolicy(respond)(request).headers[CSP_HEADER]  # type: ignore[union-attr]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "connect-src 'self' ws://localhost:8000;" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_a_view_may_have_a_policy_of_its_own() -> None:
    def own(request: HttpRequest) -> HttpResponse:
        return HttpResponse(headers={CSP_HEADER: "default-src 'none'"})

    response = ContentSecurityPolicy(own)(RequestFactory().get("/"))
    assert response.headers[CSP_HEADER] == "default-src 'none'"  # type: ignore[union-attr]


@override_settings(ALLOWED_HOSTS=["localhost"])
def test_a_foreign_host_gets_no_say_in_the_policy() -> None:
    request = RequestFactory().get("/", headers={"host": "evil.example"})
    response = ContentSecurityPolicy(respond)(request)
    assert "evil.example" not in response.headers[CSP_HEADER]  # type: ignore[union-attr]


def test_static_files_are_served_with_the_policy() -> None:
    response = Client().get(STYLE_SHEET)
    assert response.status_code == 200
    assert response["content-type"].startswith("text/css")
    assert len(response.content) > 1000
    assert CSP_HEADER in response.headers


@pytest.mark.anyio
async def test_static_files_are_served_under_asgi_without_a_stream() -> None:
    response = await AsyncClient().get(STYLE_SHEET)
    assert response.status_code == 200
    assert not response.streaming
    fresh = await AsyncClient().get(STYLE_SHEET, headers={"if-modified-since": response["last-modified"]})
    assert fresh.status_code == 304
