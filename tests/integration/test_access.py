from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from agents.models import Agent, AuthToken, Document, LoginLink, Role, Scope, User, Workspace
from agents.services.access import create_login_link, create_token, login_url, use_login_link
from agents.services.agents import STARTING_AGENTS
from agents.services.errors import InvalidInput, NotAllowed, NotFound
from agents.services.first_start import first_start
from tests.factories import make_user, make_workspace

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough sentence"


def test_a_token_is_kept_as_a_digest_only() -> None:
    workspace = make_workspace()
    token, text = create_token(user=make_user(workspace), workspace=workspace)
    assert token.scopes == ["read", "write"]
    assert token.expiry is None
    assert text not in str(AuthToken.objects.values().get())


def test_a_token_expires_when_asked_to() -> None:
    workspace = make_workspace()
    until = timezone.now() + timedelta(days=3)
    token, _ = create_token(user=make_user(workspace), workspace=workspace, expires_at=until)
    assert abs(token.expiry - until) < timedelta(seconds=1)
    with pytest.raises(InvalidInput, match="expired before"):
        create_token(user=token.user, workspace=workspace, expires_at=timezone.now())


@pytest.mark.parametrize(
    ("role", "scopes"),
    [(Role.VIEWER, [Scope.READ, Scope.WRITE]), (Role.MEMBER, [Scope.ADMIN]), (Role.VIEWER, [Scope.ADMIN])],
)
def test_a_token_never_exceeds_its_owners_role(role: Role, scopes: list[str]) -> None:
    workspace = make_workspace()
    with pytest.raises(NotAllowed):
        create_token(user=make_user(workspace, role), workspace=workspace, scopes=scopes)


def test_strangers_get_no_token() -> None:
    with pytest.raises(NotAllowed, match="no member"):
        create_token(user=make_user(), workspace=make_workspace())


@pytest.mark.parametrize("scopes", [[], ["everything"]])
def test_scopes_must_be_known(scopes: list[str]) -> None:
    workspace = make_workspace()
    with pytest.raises(InvalidInput) as refused:
        create_token(user=make_user(workspace), workspace=workspace, scopes=scopes)
    assert refused.value.field == "scopes"


def test_a_login_link_works_once() -> None:
    user = make_user()
    token = create_login_link(user)
    assert token not in str(LoginLink.objects.values().get())
    assert use_login_link(token) == user
    with pytest.raises(NotFound):
        use_login_link(token)


def test_a_login_link_ends_after_a_day_and_with_its_successor() -> None:
    user = make_user()
    first = create_login_link(user)
    second = create_login_link(user)
    with pytest.raises(NotFound):
        use_login_link(first)
    LoginLink.objects.update(expires_at=timezone.now())
    with pytest.raises(NotFound):
        use_login_link(second)


def test_a_link_of_somebody_locked_out_lets_nobody_in() -> None:
    token = create_login_link(make_user(is_active=False))
    with pytest.raises(NotFound):
        use_login_link(token)


def test_links_lead_to_the_public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PUBLIC_URL", "https://agents.example.org")
    assert login_url("abc") == "https://agents.example.org/welcome/abc"


def test_first_start_sets_up_and_later_ones_renew_the_link() -> None:
    started = first_start()
    assert started.is_new
    assert started.login_url
    admin = User.objects.get()
    assert not admin.has_usable_password()
    assert admin.memberships.get().role == Role.ADMIN
    assert Agent.objects.filter(workspace=started.workspace).count() == len(STARTING_AGENTS)
    documents = Document.objects.count()
    assert documents

    again = first_start()
    assert not again.is_new
    assert again.login_url
    assert again.login_url != started.login_url
    assert Document.objects.count() == documents
    assert (User.objects.count(), Workspace.objects.count()) == (1, 1)


def test_a_given_password_replaces_the_link_but_never_a_password() -> None:
    assert first_start(admin_password=PASSWORD).login_url is None
    assert User.objects.get().check_password(PASSWORD)
    assert first_start(admin_password="another long sentence").login_url is None
    assert User.objects.get().check_password(PASSWORD)


def test_a_weak_first_password_is_refused() -> None:
    with pytest.raises(InvalidInput, match="too short"):
        first_start(admin_password="12345")


def test_what_people_removed_stays_removed() -> None:
    first_start(admin_password=PASSWORD)
    make_user(is_superuser=True)
    User.objects.get(username="admin").delete()
    Document.objects.all().delete()
    assert first_start().login_url is None
    assert not User.objects.filter(username="admin").exists()
    assert not Document.objects.exists()
