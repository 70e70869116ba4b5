"""Where webhooks arrive: outside of the API, for senders that know neither tokens nor sessions."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from agents.services.errors import InvalidInput
from agents.services.hooks import MAX_BODY, find_source, receive
from agents.triggers.signatures import SignatureRefused
from tools.errors import SecretUnreadable

UNKNOWN = "No webhooks are taken at this address.\n"
TOO_LARGE = f"The body has more than {MAX_BODY // 1024:,} KiB.\n"


@csrf_exempt
@require_POST
@never_cache
def hook(request: HttpRequest, address: str) -> HttpResponse:
    """Take a webhook: 202 when it is stored, the same answer when it was before."""
    announced = str(request.META.get("CONTENT_LENGTH") or "")
    if announced.isdecimal() and int(announced[:20]) > MAX_BODY:
        return _plain(TOO_LARGE, 413)
    if request.headers.get("Content-Encoding", "identity") not in ("", "identity"):
        return _plain("Compressed bodies are not taken.\n", 415)
    # Not `request.body`, whose limit is the one of forms.
    body = request.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        return _plain(TOO_LARGE, 413)
    source = find_source(address) if address.isascii() else None
    if source is None:
        return _plain(UNKNOWN, 404)
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        event = receive(source, headers, body, content_type=headers.get("content-type", ""), now=timezone.now())
    except SignatureRefused as refused:
        return _plain(f"{refused}\n", 401)
    except InvalidInput as error:
        return _plain(f"{error.message}\n", 400)
    except SecretUnreadable:
        # The sender tries again; `agentsite doctor` tells the operator.
        return _plain("The secret of this address can't be read at present.\n", 503)
    return JsonResponse({"event": event.pk}, status=202)


def _plain(text: str, status: int) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")


urlpatterns = [path("hooks/<str:address>", hook, name="hook")]
