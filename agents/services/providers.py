"""Providers of models: listed, made, changed, removed, and tried out.

A workspace has providers of its own, which its administrators set; besides them stand those of the operator's settings.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import Any, cast

import structlog
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from agents.engine.errors import Permanent, Retryable
from agents.engine.messages import Reply, user
from agents.engine.ports import ModelRequest
from agents.llm import ModelAccess
from agents.llm.config import ANTHROPIC_ADDRESS, OFFLINE, OPENAI_ADDRESS, PRICES, Kind, KnownProvider
from agents.models import Provider, ProviderKind, User, Workspace
from agents.services.errors import Conflict, InvalidInput, NotFound
from agents.services.reaching import check_host
from agents.services.rights import require_admin
from tools.errors import AddressRefused
from tools.hosts import is_listed
from tools.http import parse_url
from tools.models import Secret
from tools.redaction import everywhere
from tools.secrets import vault

NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
RESERVED = (OFFLINE, "secret")
MAX_PROVIDERS = 50
MAX_MODELS = 200
MAX_MODEL = 60
MAX_NOTE = 200
DEAREST = 1_000_000.0
"""US dollars per million tokens."""
CONTEXTS = range(256, 100_000_001)
WHAT = "change and try out its providers"

TRIAL_SECONDS = 30.0
TRIAL_TOKENS = 200
TRIAL_QUESTION = "Answer with the single word: ready"
MAX_SHOWN = 200
_trials = BoundedSemaphore(2)
"""A trial holds one of the few threads for requests: not more than two at a time."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a provider is to be. `models` has prices in US dollars per million tokens, and `context` in tokens."""

    kind: str
    base_url: str = ""
    secret: str = ""
    takes_schemas: bool = False
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    note: str = ""

    def check(self, workspace: Workspace) -> None:
        """Raise InvalidInput for what is no provider, or none that may be reached."""
        if self.kind not in ProviderKind.values:
            raise InvalidInput(f"Choose one of: {', '.join(ProviderKind.values)}.", "kind")
        if len(self.note) > MAX_NOTE:
            raise InvalidInput(f"A note has at most {MAX_NOTE} characters.", "note")
        host = self._check_address()
        self._check_secret(workspace, host)
        if len(self.models) > MAX_MODELS:
            raise InvalidInput(f"A provider has at most {MAX_MODELS} models in its table.", "models")
        for name, known in self.models.items():
            _check_model(name, known)

    def _check_address(self) -> str:
        """Give the host; what is not on the public internet takes the operator's leave."""
        if not self.base_url and self.kind == ProviderKind.COMPATIBLE:
            raise InvalidInput("Say at which address it is found, as in https://models.example.org/v1.", "base_url")
        own = ANTHROPIC_ADDRESS if self.kind == ProviderKind.ANTHROPIC else OPENAI_ADDRESS
        try:
            url = parse_url(self.base_url or own)
            if url.query or url.fragment:
                raise AddressRefused("The address of a provider has nothing after its path: no ? and no #.")
            if self.base_url:
                check_host(self.base_url)
        except AddressRefused as error:
            raise InvalidInput(str(error), "base_url") from error
        return url.host

    def _check_secret(self, workspace: Workspace, host: str) -> None:
        if not self.secret:
            return
        hosts = Secret.objects.filter(workspace=workspace, name=self.secret).values_list("hosts", flat=True).first()
        if hosts is None:
            raise InvalidInput(f"This workspace has no secret named {self.secret[:100]!r}.", "secret")
        if hosts and not is_listed(host, hosts):
            raise InvalidInput(f"The secret {self.secret!r} may be sent to {', '.join(hosts)} alone.", "secret")


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of trying a provider out, in words."""

    ok: bool
    model: str
    words: str
    seconds: float


def list_providers(workspace: Workspace) -> QuerySet[Provider]:
    """Give the workspace's own providers by name."""
    return Provider.objects.filter(workspace=workspace).order_by("name")


def get_provider(workspace: Workspace, name: str) -> Provider:
    """Give one of them; raises NotFound."""
    provider = list_providers(workspace).filter(name=name).first()
    if provider is None:
        raise NotFound(f"This workspace has no provider named {name[:100]!r}.")
    return provider


def known_providers(workspace_id: int) -> dict[str, KnownProvider]:
    """Give a workspace's providers as those who ask models know them."""
    return {one.name: _known(one) for one in Provider.objects.filter(workspace_id=workspace_id)}


def create_provider(workspace: Workspace, name: str, wanted: Wanted, *, by: User) -> Provider:
    """Make a provider. Workers ask it within a second or two."""
    require_admin(workspace.pk, by, WHAT)
    check_name(name)
    wanted.check(workspace)
    if list_providers(workspace).count() >= MAX_PROVIDERS:
        raise InvalidInput(f"A workspace has at most {MAX_PROVIDERS} providers.", "name")
    try:
        with transaction.atomic():
            provider = _write(Provider(workspace=workspace, name=name), wanted)
    except IntegrityError as error:
        raise InvalidInput(f"There is a provider named {name!r} already.", "name") from error
    log.info("provider_created", workspace=workspace.slug, provider=name, by=by.get_username())
    return provider


def change_provider(provider: Provider, wanted: Wanted, *, by: User) -> Provider:
    """Change all of a provider but its name, which is part of the names of models."""
    require_admin(provider.workspace_id, by, WHAT)
    wanted.check(provider.workspace)
    provider = _write(provider, wanted)
    log.info("provider_changed", workspace=provider.workspace.slug, provider=provider.name, by=by.get_username())
    return provider


def remove_provider(provider: Provider, *, by: User) -> None:
    """Remove a provider. Models of its name are then the operator's, if there are any."""
    require_admin(provider.workspace_id, by, WHAT)
    provider.delete()
    log.info("provider_removed", workspace=provider.workspace.slug, provider=provider.name, by=by.get_username())


def try_provider(provider: Provider, *, model: str = "", by: User) -> Trial:
    """Ask one of its models for a word, as a run would, and say what came back. It counts for no limit.

    `model` is the model's part of the name, by default the first of the table.
    """
    require_admin(provider.workspace_id, by, WHAT)
    model = model or next(iter(provider.model_names), "")
    if not model:
        raise InvalidInput("Name the model to ask: the provider's table has none.", "model")
    if not _trials.acquire(blocking=False):
        raise Conflict("Two providers are being tried out already; wait until they have answered.")
    began = time.monotonic()
    try:
        ok, words = asyncio.run(_ask(provider, f"{provider.name}:{model}"))
    finally:
        _trials.release()
    log.info("provider_tried", workspace=provider.workspace.slug, provider=provider.name, ok=ok, by=by.get_username())
    return Trial(ok, f"{provider.name}:{model}", words, round(time.monotonic() - began, 2))


def check_name(name: str) -> None:
    """Raise InvalidInput for what can't stand before a model's name."""
    if not NAME.fullmatch(name) or name in RESERVED:
        raise InvalidInput(
            "A name begins with a small letter and has small letters, digits, - and _, at most 40; "
            f"{' and '.join(RESERVED)} are taken.",
            "name",
        )


async def _ask(provider: Provider, model: str) -> tuple[bool, str]:
    access = ModelAccess(secret=vault.lend, providers=lambda _: {provider.name: _known(provider)})
    request = ModelRequest(
        model, (user(TRIAL_QUESTION),), max_output_tokens=TRIAL_TOKENS, workspace_id=provider.workspace_id
    )
    began = time.monotonic()
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            reply = await access.respond(request, lambda _: None)
    except TimeoutError:
        return False, f"{model} did not answer within {TRIAL_SECONDS:g} s."
    except (Permanent, Retryable) as error:
        return False, str(error)
    finally:
        await access.aclose()
    return True, _in_words(reply, time.monotonic() - began)


def _in_words(reply: Reply, seconds: float) -> str:
    said = everywhere.text(" ".join(reply.text.split()))
    said = said if len(said) <= MAX_SHOWN else f"{said[:MAX_SHOWN]}…"
    used = f"{reply.usage.input_tokens:,} tokens in, {reply.usage.output_tokens:,} out"
    cost = reply.usage.cost_microusd
    price = "at an unknown price" if cost is None else f"for ${cost / 1_000_000:.6f}"
    return f"{reply.model} answered “{said}” in {seconds:.1f} s: {used}, {price}."


def _known(provider: Provider) -> KnownProvider:
    return KnownProvider(
        name=provider.name,
        kind=cast(Kind, provider.kind),
        base_url=provider.base_url,
        secret=provider.secret,
        takes_schemas=provider.takes_schemas,
        models=provider.known_models,
    )


def _write(provider: Provider, wanted: Wanted) -> Provider:
    provider.kind, provider.base_url, provider.secret = wanted.kind, wanted.base_url, wanted.secret
    provider.takes_schemas, provider.note = wanted.takes_schemas, wanted.note
    provider.known_models = {name: dict(known) for name, known in wanted.models.items()}
    provider.save()
    return provider


def _check_model(name: str, known: Mapping[str, Any]) -> None:
    if not (0 < len(name) <= MAX_MODEL and name.isprintable() and not any(sign.isspace() for sign in name)):
        raise InvalidInput(f"The name of a model has no spaces and at most {MAX_MODEL} characters.", "models")
    if unknown := sorted(set(known) - {*PRICES, "context"}):
        raise InvalidInput(f"{name}: there is no {unknown[0][:100]!r} in the table of models.", "models")
    for price in PRICES:
        value = known.get(price)
        if value is not None and not (_is_number(value) and 0 <= value <= DEAREST):
            raise InvalidInput(f"{name}: a price is a number of US dollars per million tokens.", "models")
    if any(price in known for price in PRICES) and not {"input", "output"} <= known.keys():
        raise InvalidInput(f"{name}: give both prices, of what goes in and of what comes out, or none.", "models")
    context = known.get("context")
    if context is not None and not (_is_number(context) and int(context) == context and context in CONTEXTS):
        raise InvalidInput(f"{name}: the context is a number of tokens from {CONTEXTS[0]} up.", "models")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
