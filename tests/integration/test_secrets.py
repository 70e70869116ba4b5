"""Secrets: kept encrypted, bound to their place, changed by administrators alone, and shown to nobody."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from cryptography.fernet import Fernet
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client

from agents.models import Role, Scope, User, Workspace
from agents.services.errors import InvalidInput, NotAllowed
from agents.services.secrets import remove_secret, set_secret
from tests.factories import make_client, make_token, make_user, make_workspace
from tools.errors import SecretRefused, SecretUnreadable, UnknownSecret
from tools.models import Secret
from tools.secrets import Vault, decrypt, rotate

pytestmark = pytest.mark.django_db
VALUE = "sk-0123456789-canary"
ADDRESS = "/api/v1/secrets"


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


@pytest.fixture
def admin(workspace: Workspace) -> User:
    return make_user(workspace, Role.ADMIN)


@pytest.fixture
def api(workspace: Workspace, admin: User) -> Client:
    return make_client(make_token(workspace, admin, scopes=list(Scope)))


def test_a_secret_is_kept_encrypted(workspace: Workspace, admin: User) -> None:
    secret = set_secret(workspace=workspace, name="shop", value=VALUE, by=admin)
    assert VALUE not in str(Secret.objects.values().get())
    assert decrypt(secret) == VALUE
    again = set_secret(workspace=workspace, name="shop", value="another value", hosts=["API.example.org"], by=admin)
    assert (again.pk, decrypt(again), again.hosts) == (secret.pk, "another value", ["api.example.org"])


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("name", {"name": "1x"}),
        ("name", {"name": "a/b"}),
        ("name", {"name": "x" * 61}),
        ("value", {"value": "short"}),
        ("value", {"value": "x" * 10_001}),
        ("value", {"value": f"{VALUE}\n"}),
        ("hosts", {"hosts": ["http://example.org"]}),
        ("hosts", {"hosts": ["*"]}),
        ("note", {"note": "x" * 201}),
    ],
)
def test_what_is_no_secret_is_refused_without_being_quoted(
    workspace: Workspace, field: str, given: dict[str, object]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        set_secret(**{"workspace": workspace, "name": "shop", "value": VALUE, "by": None, **given})  # type: ignore[arg-type]
    assert refused.value.field == field
    assert VALUE not in refused.value.message


def test_only_administrators_of_the_workspace_change_secrets(workspace: Workspace) -> None:
    secret = set_secret(workspace=workspace, name="shop", value=VALUE, by=None)
    for user in (make_user(workspace), make_user(make_workspace(), Role.ADMIN)):
        with pytest.raises(NotAllowed):
            set_secret(workspace=workspace, name="shop", value="another value", by=user)
        with pytest.raises(NotAllowed):
            remove_secret(secret, by=user)
    assert decrypt(Secret.objects.get()) == VALUE


def test_an_encrypted_value_is_of_use_only_in_its_place(workspace: Workspace) -> None:
    ours = set_secret(workspace=workspace, name="shop", value=VALUE, by=None)
    theirs = set_secret(workspace=make_workspace(), name="shop", value="their own value", by=None)
    Secret.objects.filter(pk=theirs.pk).update(token=ours.token)
    with pytest.raises(SecretUnreadable, match="place"):
        decrypt(Secret.objects.get(pk=theirs.pk))


@pytest.mark.fault(45)
def test_keys_are_rotated(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    monkeypatch.setattr(settings, "SECRETS_KEYS", [old])
    set_secret(workspace=workspace, name="shop", value=VALUE, by=None)
    # The new key is known everywhere before anybody encrypts with it.
    monkeypatch.setattr(settings, "SECRETS_KEYS", [old, new])
    assert decrypt(Secret.objects.get()) == VALUE
    monkeypatch.setattr(settings, "SECRETS_KEYS", [new, old])
    assert decrypt(Secret.objects.get()) == VALUE
    assert rotate() == 1
    monkeypatch.setattr(settings, "SECRETS_KEYS", [new])
    assert decrypt(Secret.objects.get()) == VALUE
    monkeypatch.setattr(settings, "SECRETS_KEYS", [old])
    with pytest.raises(SecretUnreadable, match="SECRETS_KEYS"):
        decrypt(Secret.objects.get())
    assert rotate() == 0


def test_the_command_sets_lists_rotates_and_removes(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{VALUE}\n"))
    call_command("secrets", "set", "shop", "--workspace", workspace.slug, "--host", "api.example.org")
    assert decrypt(Secret.objects.get()) == VALUE
    call_command("secrets", "list", "--workspace", workspace.slug, stdout=out)
    call_command("secrets", "rotate", stdout=out)
    call_command("secrets", "new-key", stdout=out)
    shown = out.getvalue().splitlines()
    assert shown[:2] == ["shop\tapi.example.org\t", "1 of 1 secrets encrypted with the first key"]
    monkeypatch.setattr(settings, "SECRETS_KEYS", [shown[2]])
    with pytest.raises(CommandError, match="can't be read"):
        call_command("secrets", "rotate", stdout=out)
    call_command("secrets", "remove", "shop", "--workspace", workspace.slug)
    assert not Secret.objects.exists()


def test_the_api_takes_secrets_and_gives_none_back(api: Client, workspace: Workspace) -> None:
    body = {"value": VALUE, "hosts": ["api.example.org"], "note": "for orders"}
    answer = api.put(f"{ADDRESS}/shop", body, content_type="application/json")
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in ("name", "hosts", "note")} == {
        "name": "shop",
        "hosts": ["api.example.org"],
        "note": "for orders",
    }
    listed = api.get(ADDRESS)
    assert [secret["name"] for secret in listed.json()["items"]] == ["shop"]
    for text in (answer.content.decode(), listed.content.decode()):
        assert VALUE not in text
        assert Secret.objects.get().token not in text
    assert api.get(f"{ADDRESS}/shop").status_code == 405
    assert api.delete(f"{ADDRESS}/shop").status_code == 204
    assert api.delete(f"{ADDRESS}/shop").status_code == 404


@pytest.mark.parametrize("body", [{}, {"value": "short"}, {"value": VALUE, "x": 1}, {"value": VALUE, "hosts": ["*"]}])
def test_the_api_refuses_without_quoting(api: Client, body: dict[str, object]) -> None:
    answer = api.put(f"{ADDRESS}/shop", body, content_type="application/json")
    assert answer.status_code == 400
    assert VALUE not in answer.content.decode()
    assert not Secret.objects.exists()


def test_a_secret_of_another_workspace_does_not_exist(api: Client) -> None:
    set_secret(workspace=make_workspace(), name="shop", value=VALUE, by=None)
    assert api.get(ADDRESS).json()["items"] == []
    assert api.delete(f"{ADDRESS}/shop").status_code == 404


def test_a_token_needs_the_scope_admin(workspace: Workspace, admin: User) -> None:
    client = make_client(make_token(workspace, admin))
    answer = client.put(f"{ADDRESS}/shop", {"value": VALUE}, content_type="application/json")
    assert answer.status_code == 403
    assert client.get(ADDRESS).status_code == 200


def test_the_page_sets_and_removes_and_never_shows(client: Client, workspace: Workspace, admin: User) -> None:
    client.force_login(admin)
    page = f"/w/{workspace.slug}/settings/secrets/"
    assert "No secret yet" in client.get(page).content.decode()
    form = {"name": "shop", "value": VALUE, "hosts": "api.example.org, *.example.net", "note": "for orders"}
    wrong = client.post(page, {**form, "name": "not a name"})
    assert wrong.status_code == 422
    shown = client.post(page, form, follow=True).content.decode()
    assert "is set" in shown
    assert "*.example.net" in shown
    for text in (shown, wrong.content.decode()):
        assert VALUE not in text
        assert Secret.objects.get().token not in text
    client.post(f"{page}shop/remove/")
    assert not Secret.objects.exists()


def test_the_administration_shows_no_value(workspace: Workspace, client: Client) -> None:
    secret = set_secret(workspace=workspace, name="shop", value=VALUE, by=None)
    client.force_login(make_user(is_staff=True, is_superuser=True))
    for path in ("", f"{secret.pk}/change/"):
        text = client.get(f"/admin/tools/secret/{path}").content.decode()
        assert "shop" in text
        assert VALUE not in text
        assert secret.token not in text


def test_a_secret_is_revealed_for_its_hosts_alone(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    set_secret(workspace=workspace, name="shop", value=VALUE, hosts=["*.example.org"], by=None)

    async def in_this_thread(function: Callable[..., Any], *args: Any) -> Any:
        return await sync_to_async(function)(*args)

    async def ask() -> None:
        vault = Vault()
        redactor = await vault.redactor(workspace.pk)
        assert redactor.text(f"it is {VALUE}") == "it is [secret shop]"
        assert await vault.reveal(workspace.pk, "shop") == VALUE
        assert await vault.reveal(workspace.pk, "shop", "api.example.org") == VALUE
        with pytest.raises(SecretRefused):
            await vault.reveal(workspace.pk, "shop", "example.com")
        with pytest.raises(UnknownSecret):
            await vault.reveal(workspace.pk, "other")
        with pytest.raises(UnknownSecret):
            await vault.reveal(workspace.pk + 1, "shop")
        # Another workspace's texts are its own.
        assert not await vault.redactor(workspace.pk + 1)

    # The pool's threads would keep connections of their own, which see nothing of the test's transaction.
    monkeypatch.setattr("tools.secrets.run_in_thread", in_this_thread)
    async_to_sync(ask)()
