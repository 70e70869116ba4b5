"""Settings of an instance, each taken from the environment variable of the same name.

README.md lists them with their meaning. Nothing here needs editing to run the product.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import environ

from agentsite import logs, secret_key

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent

# --- The instance ---------------------------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var"))).expanduser().resolve()
SECRET_KEY = env.str("SECRET_KEY", default="") or secret_key.load_or_make(VAR_DIR / "secret_key")
# Keys for the secrets of workspaces: the first one encrypts, all decrypt. The same on all machines of an instance.
SECRETS_KEYS: list[str] = (
    env.list("SECRETS_KEYS", default=[])
    or secret_key.load_or_make(VAR_DIR / "secrets_keys", secret_key.fernet_key, shortest=44).split()
)
BIND = env.str("BIND", default="127.0.0.1")
PORT = env.int("PORT", default=8000)

# Within how many seconds all of a request must have come.
REQUEST_SECONDS = env.float("REQUEST_SECONDS", default=120.0)

# The address people use. It decides about secure cookies, HSTS, trusted origins and the links the site sends out.
PUBLIC_URL = env.str("PUBLIC_URL", default="").rstrip("/")
_public = urlsplit(PUBLIC_URL)
_is_https = _public.scheme == "https"

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
if _public.hostname and _public.hostname not in ALLOWED_HOSTS:
    ALLOWED_HOSTS = [*ALLOWED_HOSTS, _public.hostname]

# For unattended installs: the first administrator's password. Otherwise the first start prints a log-in link.
ADMIN_PASSWORD = env.str("AGENTSITE_ADMIN_PASSWORD", default="")

# --- Workers --------------------------------------------------------------------------------------------------------

# What people call this machine; in containers its own name says little.
WORKER_HOST = env.str("WORKER_HOST", default="")
WORKERS = env.int("WORKERS", default=min(len(os.sched_getaffinity(0)), 4))
SLOTS = env.int("SLOTS", default=500)
LEASE_SECONDS = env.float("LEASE_SECONDS", default=8.0)
HEARTBEAT_SECONDS = env.float("HEARTBEAT_SECONDS", default=2.0)
GRACE_SECONDS = env.float("GRACE_SECONDS", default=20.0)
# For how many days events and their delivery log are kept.
EVENT_DAYS = env.int("EVENT_DAYS", default=30)
WORKFLOW_MODULES: list[str] = env.list("WORKFLOW_MODULES", default=[])
TOOL_MODULES: list[str] = env.list("TOOL_MODULES", default=[])
# Memory that a tool with a process of its own may take, in MB, unless it declares another figure.
TOOL_MEMORY_MB = env.int("TOOL_MEMORY_MB", default=512)
# Networks (CIDR) that outbound requests may reach although they are private.
ALLOWED_NETWORKS: list[str] = env.list("ALLOWED_NETWORKS", default=[])

# Hosts that agents may send requests to by http_request, besides those of their workspace's secrets.
REQUEST_HOSTS: list[str] = env.list("REQUEST_HOSTS", default=[])
# Whether pages are fetched only where their site's robots.txt allows it.
RESPECT_ROBOTS = env.bool("RESPECT_ROBOTS", default=True)
# A SearXNG server that answers in JSON, for web_search.
SEARXNG_URL = env.str("SEARXNG_URL", default="").rstrip("/")
# What makes vectors of texts for vector_search: the dotted name of a class.
EMBEDDER = env.str("EMBEDDER", default="tools.vectors.HashingEmbedder")
# Apps of the operator's own, whose models may be sources of events.
PROJECT_APPS: list[str] = env.list("PROJECT_APPS", default=[])
# Models whose changes are events, as shop.Order; one without a foreign key `workspace` as shop.Order@slug.
EVENT_MODELS: list[str] = env.list("EVENT_MODELS", default=[])
# A folder with a folder for each workspace, named by its slug: what is put there is taken in as documents and events.
INBOX_FOLDER = env.str("INBOX_FOLDER", default="")
# Databases that agents may read by sql_query, each {"url": …}, perhaps with the "workspaces" that may; else all may.
SQL_CONNECTIONS: dict[str, dict[str, Any]] = env.json("SQL_CONNECTIONS", default={})
# Folders that workspaces may watch, each {"path": …}, perhaps with the "workspaces" that may; else all may.
FOLDERS: dict[str, dict[str, Any]] = env.json("FOLDERS", default={})

# django-q2 runs the processes. A task is a hint or a short chore; the long work happens in the drivers those wake.
Q_CLUSTER: dict[str, Any] = {
    "name": "runs",
    "orm": "default",
    "broker_class": "agents.queue.broker.RunBroker",
    "workers": WORKERS,
    # A worker holds no more than it can start: what waits in the database can still be taken by others.
    "queue_limit": WORKERS,
    "timeout": 60,
    # The retry clock starts when a task is fetched, not when it starts: far beyond the timeout, or it runs twice.
    "retry": 900,
    "max_attempts": 3,
    "ack_failures": True,
    # Saving results and recycling processes cost more than the work itself.
    "save_limit": -1,
    "recycle": 0,
    "guard_cycle": 0.5,
    "catch_up": False,
    # Schedules are rows of our own; django-q2's scheduler would run whatever its rows name.
    "scheduler": False,
    "ALT_CLUSTERS": {"tools": {"timeout": 3600, "retry": 14400}},
}

# --- Models ---------------------------------------------------------------------------------------------------------

OPENAI_API_KEY = env.str("OPENAI_API_KEY", default="")
OPENAI_BASE_URL = env.str("OPENAI_BASE_URL", default="")
ANTHROPIC_API_KEY = env.str("ANTHROPIC_API_KEY", default="")
ANTHROPIC_BASE_URL = env.str("ANTHROPIC_BASE_URL", default="")
# US dollars per million tokens, by model: {"openai:name": {"input": 0.25, "cached": 0.025, "output": 2.0}}.
MODEL_PRICES: dict[str, dict[str, float]] = env.json("MODEL_PRICES", default={})
# The model of the starting agents. Without a key they use the built-in rule-based one.
MODEL = env.str("MODEL", default="") or ("openai:gpt-5-mini" if OPENAI_API_KEY else "offline")

# --- Applications and routes ----------------------------------------------------------------------------------------

INSTALLED_APPS = [
    # Before django_q: its `qcluster` command is replaced by ours.
    "agents",
    "tools",
    "agentsite.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_filters",
    "django_htmx",
    "django_q",
    "django_structlog",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "rest_framework",
    *PROJECT_APPS,
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "agentsite.middleware.ContentSecurityPolicy",
    "agentsite.middleware.RefuseNul",
    "agentsite.middleware.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "agentsite.outages.RequestLog",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "agentsite.urls"
ASGI_APPLICATION = "agentsite.asgi.application"
WSGI_APPLICATION = "agentsite.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Database -------------------------------------------------------------------------------------------------------

_sqlite: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(VAR_DIR / "agentsite.sqlite3")}
_database: dict[str, Any] = env.db("DATABASE_URL") if env.str("DATABASE_URL", default="") else _sqlite
# A unix socket's folder is written percent-encoded in the place of the host.
_database["HOST"] = unquote(_database.get("HOST") or "")
_options: dict[str, Any] = _database.setdefault("OPTIONS", {})
if _database["ENGINE"] == _sqlite["ENGINE"]:
    _database["ENGINE"] = "agentsite.sqlite"
    _options.setdefault("timeout", 20)
    _options.setdefault("init_command", "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY")
else:
    _database["ENGINE"] = "agentsite.postgresql"
    # A network that is cut is noticed within seconds, by whoever waits for an answer and by whoever sends: sooner than
    # a lease ends. connecting.py adds what a statement of a worker may take.
    for _name, _value in (
        ("application_name", "agentsite"),
        ("connect_timeout", 5),
        ("keepalives_idle", 2),
        ("keepalives_interval", 1),
        ("keepalives_count", 3),
        ("tcp_user_timeout", 5000),
    ):
        _options.setdefault(_name, _value)
    # By the server too: it would keep the locks of a machine that is gone for two hours, those of one that hangs for
    # ever.
    _limits = (
        ("tcp_keepalives_idle", 5),
        ("tcp_keepalives_interval", 1),
        ("tcp_keepalives_count", 3),
        ("tcp_user_timeout", 5000),
        ("idle_in_transaction_session_timeout", 60_000),
    )
    # What the operator's own options say comes last, and so counts.
    _own = [f"-c {_name}={_value}" for _name, _value in _limits]
    _options["options"] = " ".join([*_own, _options.get("options", "")])
# Every thread keeps its connection (see agentsite.handler for those of requests); a dead one is noticed before use.
_database["CONN_MAX_AGE"] = None
_database["CONN_HEALTH_CHECKS"] = True
DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- People and programs --------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "agents.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"

# Browsers keep cookies by host name, not by port: instances side by side on one machine need names of their own.
_cookies = "agentsite" if PUBLIC_URL else f"agentsite_{PORT}"
SESSION_ENGINE = "agentsite.sessions"
SESSION_COOKIE_NAME = f"{_cookies}_session"
SESSION_COOKIE_SECURE = _is_https
CSRF_COOKIE_NAME = f"{_cookies}_csrf"
CSRF_COOKIE_SECURE = _is_https
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"] if _public.netloc else []

KNOX_TOKEN_MODEL = "agents.AuthToken"  # noqa: S105 (a table, not a secret)
# Its migrations make a table for the token model that ours replaces: never used, but it refers to the users' table.
MIGRATION_MODULES = {"knox": None}
REST_KNOX = {
    "AUTH_HEADER_PREFIX": "Bearer",
    "TOKEN_TTL": timedelta(days=90),
    "TOKEN_PREFIX": "ags_",
}
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["knox.auth.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "agentsite",
    "DESCRIPTION": "Start durable agent runs, watch them live, stop and resume them.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # Several forms have a status, or a policy, of one of two kinds.
    "ENUM_NAME_OVERRIDES": {
        "RunStatusEnum": "agents.models.RunStatus",
        "ApprovalStatusEnum": "agents.models.ApprovalStatus",
        "ApprovalPolicyEnum": "agents.models.ApprovalPolicy",
        "BusyPolicyEnum": "agents.models.BusyPolicy",
        "ProviderKindEnum": "agents.models.ProviderKind",
        "WatcherKindEnum": "agents.models.WatcherKind",
        "EventStateEnum": "agents.services.event_log.EventState",
        "SubscriptionStateEnum": "agents.models.SubscriptionState",
        "DeliveryStatusEnum": "agents.models.DeliveryStatus",
        "WebhookSchemeEnum": "agents.models.WebhookScheme",
    },
}

# --- Transport security ---------------------------------------------------------------------------------------------

if _is_https:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_SSL_HOST = _public.netloc
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
# HSTS for all subdomains, and for ever by preloading, is for the owner of a domain to decide, not for one site on it.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- Static files, language, logs -----------------------------------------------------------------------------------

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Served from where they lie: no collecting step that could be forgotten after an upgrade.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
logs.configure_structlog()
LOGGING = logs.logging_config(readable=DEBUG or sys.stderr.isatty(), level=LOG_LEVEL)
# One line per request, when it is finished.
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = 10
