"""The ASGI application that daphne serves: pages and API over HTTP, live progress over websockets."""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentsite.settings")
if not settings.configured:
    # Under ASGI every request has a database connection of its own; a pool keeps them from being opened anew and from
    # being left behind. Workers must not have one: it does not survive their fork.
    os.environ.setdefault("DATABASE_POOL", "true")

http = get_asgi_application()

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator

from agents.live.routing import websocket_urlpatterns

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)
