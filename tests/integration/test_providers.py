"""Providers of workspaces: who may set them, where their requests may go, and that nobody sees their keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from agents.engine.errors import Permanent
from agents.engine.messages import Reply, user
from agents.engine.ports import ModelRequest
from agents.llm import ModelAccess, ModelConfig
from agents.llm.errors import ModelUnavailable
from agents.models import Provider, Role, Scope, Workspace
from agents.services.providers import known_providers
from agents.services.secrets import set_secret
from tests.factories import make_client, make_token, make_user, make_workspace
from tests.model_server import Answer, Hang, ModelServer, Status
from tools.secrets import vault

pytestmark = pytest.mark.django_db(transaction=True)

VALUE = 'sk-"C4NARY-0123456789"/+&<>'
TABLE = {"small": {"input": 2.0, "output": 10.0, "context": 8000}}


@pytest.fixture(autouse=True)
def _threads_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets are read on threads that outlive a test; their connections would keep the database from being dropped."""

    def around(call: Callable[[], Any]) -> Any:
        try:
            return call()
        finally:
            connections.close_all()

    monkeypatch.setattr("tools.threads._around", around)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(key=VALUE) as running:
        yield running


@pytest.fixture
def home(settings: Any) -> Workspace:
    settings.ALLOWED_NETWORKS = ["127.0.0.0/8"]
    workspace = make_workspace("home")
    set_secret(workspace=workspace, name="house-key", value=VALUE, by=None)
    return workspace


@pytest.fixture
def api(home: Workspace) -> Client:
    return make_client(make_token(home, make_user(home, Role.ADMIN), scopes=list(Scope)))


@pytest.fixture
def pages(home: Workspace) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(make_user(home, Role.ADMIN))
    return client


def form(server: ModelServer, **values: Any) -> dict[str, Any]:
    given = {"name": "house", "kind": "compatible", "base_url": server.url, "secret": "house-key", "models": TABLE}
    return {**given, **values}


def post(client: Client, path: str, body: Any) -> Any:
    return client.post(f"/api/v1/{path}", body, content_type="application/json")


def ask(workspace: Workspace, model: str, config: ModelConfig | None = None, **more: Any) -> Reply:
    """Ask as a worker does."""
    access = ModelAccess(lambda: config or ModelConfig(), secret=vault.lend, providers=known_providers)

    async def once() -> Reply:
        try:
            request = ModelRequest(model, (user("?"),), workspace_id=workspace.pk, **more)
            return await access.respond(request, lambda _: None)
        finally:
            await access.aclose()

    return asyncio.run(once())


def test_a_provider_is_made_shown_changed_and_removed(api: Client, server: ModelServer) -> None:
    made = post(api, "providers", form(server, note="ours"))
    assert made.status_code == 201, made.content
    assert made["Location"] == "/api/v1/providers/house"
    shown = api.get("/api/v1/providers/house").json()
    assert shown == made.json()
    assert (shown["models"], shown["secret"], shown["takes_schemas"]) == (TABLE, "house-key", False)
    changed = api.put(
        "/api/v1/providers/house", {"kind": "anthropic", "models": {}}, content_type="application/json"
    ).json()
    assert (changed["kind"], changed["base_url"], changed["models"], changed["secret"]) == ("anthropic", "", {}, "")
    assert [one["name"] for one in api.get("/api/v1/providers").json()["items"]] == ["house"]
    assert api.delete("/api/v1/providers/house").status_code == 204
    assert api.get("/api/v1/providers/house").status_code == 404


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "offline"}, "name"),
        ({"name": "House"}, "name"),
        ({"name": "a:b"}, "name"),
        ({"kind": "other"}, "kind"),
        ({"base_url": ""}, "base_url"),
        ({"base_url": "ftp://models.example"}, "base_url"),
        ({"base_url": "https://models.example/v1?x=1"}, "base_url"),
        ({"base_url": "https://me:word@models.example/v1"}, "base_url"),
        ({"base_url": "http://10.0.0.1/v1"}, "base_url"),
        ({"base_url": "http://169.254.169.254/latest"}, "base_url"),
        ({"secret": "unknown"}, "secret"),
        ({"models": {"small": {"input": 1.0}}}, "models"),
        ({"models": {"small": {"input": -1.0, "output": 1.0}}}, "models.small.input"),
        ({"models": {"small": {"inptu": 1.0}}}, "models.small.inptu"),
        ({"models": {"small": {"context": 3}}}, "models.small.context"),
        ({"models": {"two words": {}}}, "models"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_what_is_no_provider_is_refused_by_the_name_of_the_field(
    api: Client, server: ModelServer, values: dict[str, Any], field: str
) -> None:
    refused = post(api, "providers", form(server, **values))
    assert refused.status_code == 400, refused.content
    assert list(refused.json()["errors"]) == [field]
    assert not Provider.objects.exists()


def test_a_name_is_taken_once_in_a_workspace(api: Client, server: ModelServer) -> None:
    assert post(api, "providers", form(server)).status_code == 201
    again = post(api, "providers", form(server))
    assert (again.status_code, list(again.json()["errors"])) == (400, ["name"])


def test_a_secret_goes_only_where_it_may(api: Client, home: Workspace, server: ModelServer) -> None:
    set_secret(workspace=home, name="narrow", value=VALUE, hosts=["models.example"], by=None)
    refused = post(api, "providers", form(server, secret="narrow"))
    assert "models.example" in refused.json()["errors"]["secret"][0]
    # Narrowed after the provider was made: what is sent is looked at, too.
    assert post(api, "providers", form(server)).status_code == 201
    set_secret(workspace=home, name="house-key", value=VALUE, hosts=["models.example"], by=None)
    with pytest.raises(Permanent, match="may not be sent to") as caught:
        ask(home, "house:small")
    assert caught.value.type == "ModelNotConfigured"
    assert server.requests == []


def test_the_workspaces_own_provider_comes_before_the_operators(
    api: Client, home: Workspace, server: ModelServer
) -> None:
    post(api, "providers", form(server, name="openai"))
    with ModelServer(key="operators-key") as other:
        config = ModelConfig(api_key="operators-key", base_url=other.url, prices={"openai:small": {"input": 1.0}})
        server.script(Answer("ours", usage=(1000, 100)))
        reply = ask(home, "openai:small", config)
        assert (reply.text, reply.context) == ("ours", 8000)
        assert reply.usage.cost_microusd == 1000 * 2 + 100 * 10
        other.script(Answer("the operator's"))
        assert ask(make_workspace("elsewhere"), "openai:small", config).text == "the operator's"


def test_without_a_price_of_its_own_the_operators_counts_and_else_none(
    api: Client, home: Workspace, server: ModelServer
) -> None:
    post(api, "providers", form(server, models={"small": {"context": 8000}}))
    server.script(Answer("a", usage=(1000, 100)), Answer("b", usage=(1000, 100)))
    config = ModelConfig(prices={"house:small": {"input": 1.0, "output": 1.0}})
    assert ask(home, "house:small", config).usage.cost_microusd == 1100
    assert ask(home, "house:small").usage.cost_microusd is None


def test_requests_go_only_where_the_operator_lets_them(
    api: Client, home: Workspace, server: ModelServer, settings: Any
) -> None:
    post(api, "providers", form(server, base_url=server.url.replace("127.0.0.1", "localhost")))
    server.script(Answer("reached"))
    settings.ALLOWED_NETWORKS = ["127.0.0.0/8", "::1/128"]
    assert ask(home, "house:small").text == "reached"
    assert server.requests[0].headers["host"].startswith("localhost:")
    settings.ALLOWED_NETWORKS = []
    with pytest.raises(Permanent, match="may not be reached") as caught:
        ask(home, "house:small")
    assert caught.value.type == "ModelNotConfigured"
    assert len(server.requests) == 1


def test_a_redirect_takes_no_key_anywhere(api: Client, home: Workspace, server: ModelServer) -> None:
    post(api, "providers", form(server))
    with ModelServer(key=VALUE) as other:
        server.script(Status(307, headers=(("Location", f"{other.url}/chat/completions"),)))
        with pytest.raises(ModelUnavailable):
            ask(home, "house:small")
        assert other.requests == []


def test_the_form_of_an_answer_goes_along_where_the_address_takes_it(
    api: Client, home: Workspace, server: ModelServer
) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    post(api, "providers", form(server, takes_schemas=True))
    post(api, "providers", form(server, name="plain"))
    server.script(Answer('{"n": 1}'), Answer('{"n": 1}'))
    ask(home, "house:small", output=schema)
    ask(home, "plain:small", output=schema)
    sent, told = (request.body for request in server.requests)
    assert sent["response_format"]["json_schema"]["schema"]["properties"] == schema["properties"]
    assert "response_format" not in told
    assert "JSON schema below" in told["messages"][0]["content"]


def test_trying_out_says_in_words_what_came_back(api: Client, server: ModelServer) -> None:
    post(api, "providers", form(server))
    server.script(Answer("ready", usage=(12, 1)))
    tried = post(api, "providers/house/test", {}).json()
    assert (tried["ok"], tried["model"]) == (True, "house:small")
    assert "answered “ready”" in tried["words"]
    assert "12 tokens in, 1 out, for $0.000034" in tried["words"]
    server.script(Status(404, "no such model"))
    tried = post(api, "providers/house/test", {"model": "large"}).json()
    assert (tried["ok"], tried["model"]) == (False, "house:large")
    assert "has no model 'large'" in tried["words"]
    assert server.requests[1].body["model"] == "large"


def test_trying_out_takes_its_time_and_no_more(
    api: Client, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(api, "providers", form(server))
    monkeypatch.setattr("agents.services.providers.TRIAL_SECONDS", 0.5)
    server.script(Hang(20))
    tried = post(api, "providers/house/test", {}).json()
    assert not tried["ok"]
    assert "did not answer within 0.5 s" in tried["words"]


def test_trying_out_a_provider_without_a_table_takes_the_name_of_a_model(api: Client, server: ModelServer) -> None:
    post(api, "providers", form(server, models={}))
    refused = post(api, "providers/house/test", {})
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["model"])


def test_a_key_is_found_nowhere_even_when_the_provider_quotes_it(
    api: Client, pages: Client, home: Workspace, server: ModelServer, caplog: pytest.LogCaptureFixture
) -> None:
    answers = [post(api, "providers", form(server))]
    server.script(Status(400, f"{VALUE} is no key of ours"), Answer(f"ready with {VALUE}"), Status(401, f"bad {VALUE}"))
    answers += [post(api, "providers/house/test", {}) for _ in range(2)]
    answers.append(pages.post("/w/home/settings/providers/house/test/", follow=True))
    answers += [api.get("/api/v1/providers"), api.get("/api/v1/providers/house")]
    answers += [pages.get("/w/home/settings/providers/"), pages.get("/w/home/settings/providers/house/")]
    assert [answer.status_code for answer in answers] == [201, *[200] * 7]
    assert [answer.content for answer in answers if b"C4NARY" in answer.content] == []
    assert "[secret house-key]" in str(answers[1].json())
    assert "C4NARY" not in str(list(Provider.objects.values()))
    assert "C4NARY" not in caplog.text
    assert len(server.requests) == 3


def test_the_pages_do_what_the_api_does_without_a_script(pages: Client, home: Workspace, server: ModelServer) -> None:
    rows = {"models-TOTAL_FORMS": "2", "models-INITIAL_FORMS": "0"}
    given = {
        **rows,
        "name": "house",
        "kind": "compatible",
        "base_url": server.url,
        "secret": "house-key",
        "models-0-model": "small",
        "models-0-input": "2",
        "models-0-output": "10",
        "models-0-context": "8000",
    }
    wrong = pages.post("/w/home/settings/providers/add/", given | {"base_url": "http://10.0.0.1/v1"})
    assert wrong.status_code == 422
    assert "may not be reached" in wrong.content.decode()
    nameless = pages.post("/w/home/settings/providers/add/", given | {"models-0-model": ""})
    assert (nameless.status_code, "Name the model." in nameless.content.decode()) == (422, True)
    made = pages.post("/w/home/settings/providers/add/", given)
    assert made["Location"] == "/w/home/settings/providers/house/"
    assert Provider.objects.get().known_models == TABLE
    page = pages.get("/w/home/settings/providers/house/").content.decode()
    assert 'value="8000"' in page
    assert 'placeholder="small"' in page
    server.script(Answer("ready"))
    tried = pages.post("/w/home/settings/providers/house/test/", {"model": ""}, follow=True)
    assert "answered “ready”" in tried.content.decode()
    changed = {**given, "models-INITIAL_FORMS": "1", "models-0-model": "large", "note": "big"}
    assert pages.post("/w/home/settings/providers/house/", changed).status_code == 302
    assert list(Provider.objects.get().known_models) == ["large"]
    removed = pages.post("/w/home/settings/providers/house/remove/", follow=True)
    assert "was removed" in removed.content.decode()
    assert not Provider.objects.exists()


def test_the_operators_page_checks_as_everywhere_else(home: Workspace, server: ModelServer) -> None:
    operator = make_user(home, Role.ADMIN, is_staff=True, is_superuser=True)
    client = Client(raise_request_exception=False)
    client.force_login(operator)
    given = {
        "workspace": home.pk,
        "name": "house",
        "kind": "compatible",
        "base_url": "http://10.0.0.1/v1",
        "secret": "house-key",
        "known_models": "{}",
    }
    assert "may not be reached" in client.post("/admin/agents/provider/add/", given).content.decode()
    good = client.post("/admin/agents/provider/add/", given | {"base_url": server.url})
    assert good.status_code == 302, good.content
    page = client.get("/admin/agents/provider/").content.decode()
    assert "house" in page
