"""Sources of webhooks: who may send us events. Set by administrators of the workspace."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Final

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from agents.models import User, WebhookScheme, WebhookSource, Workspace
from agents.services.errors import InvalidInput, NotFound
from agents.services.rights import require_admin
from agents.services.webhook_secrets import DAY, check_secret, make_secret, rotate_secret, set_secret
from agents.triggers.patterns import OWN_NAMES, fault_of_name
from agents.triggers.reading import IDS, PLACE, TYPE, TYPES
from agents.triggers.signatures import ALGORITHMS, BODY, ENCODINGS, TIMESTAMP, Scheme

NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,60}")
MAX_SOURCES, MAX_NOTE, MAX_TEXT = 100, 200, 100
TOLERANCES: Final = range(1, 86_401)
WHAT: Final = "change its webhooks"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How webhooks of the schemes hmac and token are signed; see agents.triggers.signatures.Scheme."""

    header: str = ""
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    signed: str = BODY
    timestamp_header: str = ""

    def check(self, scheme: str) -> None:
        """Raise InvalidInput for what nobody could sign by."""
        if scheme not in (WebhookScheme.HMAC, WebhookScheme.TOKEN):
            if self != Options():
                raise InvalidInput("Only the schemes hmac and token take options.", "options")
            return
        if not HEADER.fullmatch(self.header):
            raise InvalidInput("Name the header that carries it, as X-Signature.", "header")
        if self.algorithm not in ALGORITHMS:
            raise InvalidInput(f"Choose one of: {', '.join(ALGORITHMS)}.", "algorithm")
        if self.encoding not in ENCODINGS:
            raise InvalidInput(f"Choose one of: {', '.join(ENCODINGS)}.", "encoding")
        if len(self.prefix) > MAX_TEXT or not self.prefix.isprintable():
            raise InvalidInput(f"A prefix has at most {MAX_TEXT} printable characters.", "prefix")
        if self.timestamp_header and not HEADER.fullmatch(self.timestamp_header):
            raise InvalidInput("This is no name of a header.", "timestamp_header")
        self._check_signed()

    def _check_signed(self) -> None:
        if len(self.signed) > MAX_TEXT or self.signed.count(BODY) != 1 or not self.signed.isprintable():
            raise InvalidInput(f"What is signed has {BODY} in it once, as {TIMESTAMP}.{BODY}.", "signed")
        if (TIMESTAMP in self.signed) != bool(self.timestamp_header):
            raise InvalidInput(
                f"A time counts only if it is signed: name its header, and write {TIMESTAMP} where it stands.", "signed"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a source is to be. What is empty of `event_name`, `type_from`, `id_from` is as its scheme has it."""

    options: Options = Options()
    tolerance: int = 300
    event_name: str = ""
    type_from: str = ""
    id_from: str = ""
    is_enabled: bool = True
    note: str = ""

    def check(self, scheme: str) -> None:
        """Raise InvalidInput for what is no source."""
        self.options.check(scheme)
        if self.tolerance not in TOLERANCES:
            raise InvalidInput(f"A signature's time may be {TOLERANCES[0]} to {TOLERANCES[-1]:,} s off.", "tolerance")
        for name in ("type_from", "id_from"):
            if getattr(self, name) and not PLACE.fullmatch(getattr(self, name)):
                raise InvalidInput("Write header:X-Event, or body:data.type for a field of the body.", name)
        if len(self.note) > MAX_NOTE:
            raise InvalidInput(f"A note has at most {MAX_NOTE} characters.", "note")
        if self.event_name:
            self._check_event_name(self.type_from or TYPES.get(scheme, ""))

    def _check_event_name(self, type_from: str) -> None:
        if fault := fault_of_name(self.event_name.replace(TYPE, "a")):
            raise InvalidInput(fault, "event_name")
        if TYPE in self.event_name and not type_from:
            raise InvalidInput(f"Say where the {TYPE} is found, as header:X-Event or body:type.", "type_from")
        if self.event_name.startswith((TYPE, *OWN_NAMES)):
            raise InvalidInput(
                f"Begin the name with one of your own, as shop.{TYPE}: a sender must not make events of agentsite's"
                f" own ({', '.join(f'{name}…' for name in OWN_NAMES)}).",
                "event_name",
            )


def list_sources(workspace: Workspace) -> QuerySet[WebhookSource]:
    """Give the workspace's sources by name, without their secrets."""
    return WebhookSource.objects.filter(workspace=workspace).defer("secret", "previous_secret").order_by("name")


def get_source(workspace: Workspace, name: str) -> WebhookSource:
    """Give one of them; raises NotFound."""
    source = list_sources(workspace).filter(name=name).first()
    if source is None:
        raise NotFound(f"This workspace has no source of webhooks named {name[:100]!r}.")
    return source


def create_source(
    workspace: Workspace, name: str, scheme: str, wanted: Wanted, *, secret: str = "", by: User
) -> tuple[WebhookSource, str]:
    """Make a source; give it with its secret, which is made unless it is given and can't be shown again."""
    require_admin(workspace.pk, by, WHAT)
    if not NAME.fullmatch(name):
        raise InvalidInput("A name begins with a small letter and has small letters, digits, - and _.", "name")
    if scheme not in WebhookScheme.values:
        raise InvalidInput(f"Choose one of: {', '.join(WebhookScheme.values)}.", "scheme")
    wanted.check(scheme)
    if list_sources(workspace).count() >= MAX_SOURCES:
        raise InvalidInput(f"A workspace has at most {MAX_SOURCES} sources of webhooks.", "name")
    source = WebhookSource(workspace=workspace, name=name, scheme=scheme, created_by=by)
    text = _secret_for(scheme, secret)
    if text:
        set_secret(source, text)
    try:
        with transaction.atomic():
            _write(source, wanted)
    except IntegrityError as error:
        raise InvalidInput(f"There is a source of webhooks named {name!r} already.", "name") from error
    log.info("webhook_source_created", workspace=workspace.slug, source=name, scheme=scheme, by=by.get_username())
    return source, text


def change_source(source: WebhookSource, wanted: Wanted, *, by: User) -> WebhookSource:
    """Change all of a source but its name, its scheme and its address."""
    require_admin(source.workspace_id, by, WHAT)
    wanted.check(source.scheme)
    _write(source, wanted)
    log.info("webhook_source_changed", workspace=source.workspace.slug, source=source.name, by=by.get_username())
    return source


def rotate_source(source: WebhookSource, *, secret: str = "", hours: int = DAY, by: User) -> str:
    """Give a source another secret, and that back; the present one is good for so many hours more."""
    require_admin(source.workspace_id, by, WHAT)
    if source.scheme == WebhookScheme.NONE:
        raise InvalidInput("Webhooks of this source are not signed: there is no secret.", "secret")
    text = _secret_for(source.scheme, secret)
    with transaction.atomic():
        row = WebhookSource.objects.select_for_update().get(pk=source.pk)
        rotate_secret(row, text, hours=hours, now=timezone.now())
        row.save()
    log.info("webhook_secret_rotated", workspace=source.workspace.slug, source=source.name, by=by.get_username())
    return text


def remove_source(source: WebhookSource, *, by: User) -> None:
    """Remove a source: its address is nobody's from now on. Its events stay."""
    require_admin(source.workspace_id, by, WHAT)
    source.delete()
    log.info("webhook_source_removed", workspace=source.workspace.slug, source=source.name, by=by.get_username())


def scheme_of(source: WebhookSource) -> Scheme:
    """Give how the source's webhooks are signed."""
    return Scheme(kind=source.scheme, tolerance=source.tolerance, **source.options)


def hook_url(source: WebhookSource) -> str:
    """Give the address to send to."""
    base = settings.PUBLIC_URL or f"http://localhost:{settings.PORT}"
    return f"{base}/hooks/{source.address}"


def source_label(source: WebhookSource) -> str:
    """Name the source as its events do."""
    return f"webhook:{source.name}"


def _secret_for(scheme: str, given: str) -> str:
    if scheme == WebhookScheme.NONE:
        if given:
            raise InvalidInput("Without a signature there is no use for a secret.", "secret")
        return ""
    if given:
        check_secret(given, scheme)
    return given or make_secret(scheme)


def _write(source: WebhookSource, wanted: Wanted) -> None:
    has_options = source.scheme in (WebhookScheme.HMAC, WebhookScheme.TOKEN)
    names = [field.name for field in fields(wanted.options)]
    source.options = {name: getattr(wanted.options, name) for name in names} if has_options else {}
    source.type_from = wanted.type_from or TYPES.get(source.scheme, "")
    source.id_from = wanted.id_from or IDS.get(source.scheme, "")
    own = f"{source.name}.{TYPE}" if source.type_from else f"{source.name}.received"
    source.event_name = wanted.event_name or own
    source.tolerance, source.is_enabled, source.note = wanted.tolerance, wanted.is_enabled, wanted.note
    source.updated_at = timezone.now()
    source.save()
