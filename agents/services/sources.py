"""Models of the user's project as sources of events: the setting EVENT_MODELS.

`shop.order` in it makes each save and removal of such a row an event, in the transaction of the change itself:
`shop.order.created`, `.updated` with the changed fields, `.deleted`. Whose event it is, is said by the row's foreign
key `workspace`, or for all rows by `shop.order@acme`.

What Django itself does without signals (`update`, `bulk_create`, `bulk_update`, SQL) is not seen.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DEFAULT_DB_ALIAS, models, router, transaction
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from agents.engine.canonical import JSON, clean
from agents.engine.errors import NotEncodable
from agents.models import Workspace
from agents.services.events import emit_event

MAX_TEXT = 2_000
"""Characters of a value that an event shows."""
MAX_VALUES = 200_000
SECRET = re.compile(r"passw|secret|token|api_?key|credential|digest|hash", re.IGNORECASE)
"""Fields with such names are named, and their values kept back."""
BEFORE = "_values_before"

log = structlog.get_logger(__name__)

Values = Mapping[str, JSON]


class BadSource(ImproperlyConfigured):
    """An entry of EVENT_MODELS that can't be a source."""


@dataclass(frozen=True, slots=True)
class Source:
    """A model whose changes are events, and the slug of the workspace that they are of; empty: the row says it."""

    model: type[models.Model]
    slug: str

    @property
    def name(self) -> str:
        """What its events' names begin with."""
        return self.model._meta.label_lower

    def workspace_of(self, row: models.Model) -> Workspace | None:
        """Give whose event a change of this row is; None: nobody's."""
        if not self.slug:
            return getattr(row, "workspace", None)
        found = Workspace.objects.filter(slug=self.slug).first()
        if found is None:
            log.error("no_workspace_of_source", model=self.name, workspace=self.slug)
        return found

    def values(self, row: models.Model, *, locked: bool = False) -> dict[str, JSON]:
        """Give a row's values as the database has them; none of one that is not there."""
        rows = self.model._base_manager.filter(pk=row.pk)
        found = (rows.select_for_update() if locked else rows).values().first()
        return {} if found is None else {name: _plain(value) for name, value in found.items()}


def connect(entries: Iterable[str]) -> list[Source]:
    """Make the models sources; called once, when Django starts. Raises BadSource."""
    sources = [read_source(entry) for entry in entries]
    for source in sources:
        _connect(source)
    return sources


def read_source(entry: str) -> Source:
    """Read an entry of EVENT_MODELS; raises BadSource."""
    label, _, slug = entry.strip().partition("@")
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError) as error:
        raise BadSource(f"EVENT_MODELS: there is no model {label[:100]!r}; write it as app.Model.") from error
    if router.db_for_write(model) != DEFAULT_DB_ALIAS:
        raise BadSource(f"EVENT_MODELS: the rows of {label} are in another database, so their events can't be sure.")
    if not slug:
        try:
            related = model._meta.get_field("workspace").related_model
        except FieldDoesNotExist:
            related = None
        if related is not Workspace:
            raise BadSource(
                f"EVENT_MODELS: {label} has no foreign key `workspace`; name the workspace of its events: {label}@slug."
            )
    return Source(model, slug)


def _connect(source: Source) -> None:
    def before(instance: models.Model, raw: bool = False, **_: object) -> None:
        if not raw and instance.pk is not None:
            instance.__dict__[BEFORE] = source.values(instance, locked=True)

    def saved(instance: models.Model, raw: bool = False, **_: object) -> None:
        if not raw:
            _tell_of_save(source, instance, instance.__dict__.pop(BEFORE, {}))

    def deleted(instance: models.Model, **_: object) -> None:
        _tell(source, instance, "deleted", {"values": _shown(instance.__dict__.pop(BEFORE, {}))})

    key = f"source:{source.name}"
    pre_save.connect(before, sender=source.model, weak=False, dispatch_uid=key)
    pre_delete.connect(before, sender=source.model, weak=False, dispatch_uid=key)
    post_save.connect(saved, sender=source.model, weak=False, dispatch_uid=key)
    post_delete.connect(deleted, sender=source.model, weak=False, dispatch_uid=key)
    _save_as_a_whole(source.model)


def disconnect(sources: Iterable[Source]) -> None:
    """Make the models sources no more; for tests."""
    for source in sources:
        for signal in (pre_save, pre_delete, post_save, post_delete):
            signal.disconnect(sender=source.model, dispatch_uid=f"source:{source.name}")
        source.model.save_base = source.model.save_base.__wrapped__  # type: ignore[method-assign,attr-defined]


def _save_as_a_whole(model: type[models.Model]) -> None:
    """Put a save and its signals into one transaction: by itself Django commits before it tells of a save."""
    save_base: Callable[..., None] = model.save_base

    @functools.wraps(save_base)
    def whole(self: models.Model, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            save_base(self, *args, **options)

    model.save_base = whole  # type: ignore[method-assign]  # what its signature says stays true


def _tell_of_save(source: Source, row: models.Model, before: Values) -> None:
    after = source.values(row)
    if not before:
        _tell(source, row, "created", {"values": _shown(after)})
        return
    changed = sorted(name for name in after if after[name] != before.get(name))
    # Saved as it was: nothing has happened.
    if changed:
        only = {name: after[name] for name in changed}
        told = {"changed": changed, "values": _shown(only), "before": _shown({name: before[name] for name in changed})}
        _tell(source, row, "updated", told)


def _tell(source: Source, row: models.Model, what: str, told: dict[str, JSON]) -> None:
    workspace = source.workspace_of(row)
    if workspace is not None:
        data = {"model": source.name, "pk": _plain(row.pk), **told}
        emit_event(workspace, f"{source.name}.{what}", data, source="model")


def _shown(values: Values) -> dict[str, JSON]:
    """Give the values that an event may show; what belongs to nobody's eyes and what is too much is left out."""
    shown: dict[str, JSON] = {}
    room = MAX_VALUES
    for name, value in values.items():
        if SECRET.search(name):
            continue
        size = len(json.dumps(value))
        if isinstance(value, str) and len(value) > MAX_TEXT:
            value, size = f"{value[:MAX_TEXT]}… [{len(value):,} characters]", MAX_TEXT
        if size <= room:
            shown[name] = value
            room -= size
    return shown


def _plain(value: Any) -> JSON:
    """Give a value of a column as JSON."""
    if isinstance(value, bytes | memoryview):
        # Another content of the same length is another value.
        return f"[{len(value):,} bytes, {hashlib.sha256(value).hexdigest()[:12]}]"
    try:
        return clean(json.loads(json.dumps(value, cls=DjangoJSONEncoder)))
    except (TypeError, ValueError, NotEncodable):
        return clean(str(value))
