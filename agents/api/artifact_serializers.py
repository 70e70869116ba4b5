"""What the API gives of the files of runs."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents.models import Artifact


class ArtifactQuery(serializers.Serializer[Any]):
    """Which files to list."""

    tree = serializers.BooleanField(default=False, help_text="Also those of the other runs of this run's tree.")
    superseded = serializers.BooleanField(default=False, help_text="Also those of steps that a retry replaced.")
    step = serializers.CharField(max_length=500, required=False, help_text="Only those of the step with this key.")


class ArtifactOut(serializers.Serializer[Any]):
    """A file that a run has kept."""

    id = serializers.UUIDField()
    run = serializers.UUIDField(source="run_id")
    step = serializers.CharField(source="key", help_text="The key of the step that kept it.")
    name = serializers.CharField()
    media_type = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    created_at = serializers.DateTimeField()
    content = serializers.SerializerMethodField(help_text="Where its content is.")

    def get_content(self, artifact: Artifact) -> str:
        return f"/api/v1/runs/{artifact.run_id}/artifacts/{artifact.pk}/content"


class ArtifactPage(serializers.Serializer[Any]):
    """A page of files, the oldest first."""

    items = ArtifactOut(many=True)
    next = serializers.CharField(allow_null=True)
