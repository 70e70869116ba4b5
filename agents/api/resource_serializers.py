"""Documents, workers and the caller's own rights, as the API takes and shows them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents.api.serializers import Moment, StrictSerializer


class WorkerOut(serializers.Serializer[Any]):
    """A worker process."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    host = serializers.CharField()
    pid = serializers.IntegerField()
    queue = serializers.CharField()
    state = serializers.CharField()
    slots = serializers.IntegerField()
    busy = serializers.IntegerField()
    rss_bytes = serializers.IntegerField()
    version = serializers.CharField()
    started_at = Moment()
    heartbeat_at = Moment()


class WorkerPage(serializers.Serializer[Any]):
    """The workers that live."""

    items = WorkerOut(many=True)


class NewDocument(StrictSerializer):
    """A text for the agents to search."""

    title = serializers.CharField(required=False, default="", allow_blank=True, max_length=300)
    text = serializers.CharField(trim_whitespace=False)
    url = serializers.CharField(required=False, default="", allow_blank=True, max_length=2000)


class DocumentOut(serializers.Serializer[Any]):
    """A document without its text."""

    id = serializers.IntegerField()
    title = serializers.CharField()
    url = serializers.CharField()
    media_type = serializers.CharField()
    size = serializers.IntegerField()
    created_at = Moment()


class DocumentFull(DocumentOut):
    """A document with its text."""

    text = serializers.CharField()


class DocumentPage(serializers.Serializer[Any]):
    """A page of documents, newest first."""

    items = DocumentOut(many=True)
    next = serializers.CharField(allow_null=True)


class PassageOut(serializers.Serializer[Any]):
    """A passage that fits a query; `start` and `end` count characters of the document's text."""

    document = serializers.IntegerField(source="document_id")
    title = serializers.CharField(source="document.title")
    url = serializers.CharField(source="document.url")
    text = serializers.CharField()
    start = serializers.IntegerField()
    end = serializers.IntegerField()
    score = serializers.FloatField()


class PassagePage(serializers.Serializer[Any]):
    """The passages that fit best, best first."""

    items = PassageOut(many=True)


class MeOut(serializers.Serializer[Any]):
    """Whose token this is and what it may do."""

    user = serializers.CharField()
    workspace = serializers.CharField()
    role = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    expires_at = Moment(allow_null=True)
