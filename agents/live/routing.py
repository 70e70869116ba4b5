"""The websockets' addresses."""

from django.urls import path

from agents.live.consumers import ApprovalsConsumer, RunConsumer, RunsConsumer

websocket_urlpatterns = [
    path("ws/runs/<uuid:run_id>", RunConsumer.as_asgi()),
    path("ws/w/<slug:slug>/runs", RunsConsumer.as_asgi()),
    path("ws/w/<slug:slug>/approvals", ApprovalsConsumer.as_asgi()),
]
