"""How the product logs: one JSON object per line for machines, coloured lines for people."""

import logging
import re
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from tools.redaction import everywhere

LOGIN_LINK = re.compile(r"/welcome/[^/\s]+")


def hide_login_links(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep one-time log-in links out of the logs: who reads those must not be able to log in."""
    for name, value in event.items():
        if isinstance(value, str) and "/welcome/" in value:
            event[name] = LOGIN_LINK.sub("/welcome/[hidden]", value)
    return event


def hide_secrets(_logger: WrappedLogger, _method: str, line: Any) -> Any:
    """Keep secrets out of the logs, wherever in the finished line they stand: a traceback's text too."""
    return everywhere.text(line) if isinstance(line, str) else line


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    hide_login_links,
]


def configure_structlog() -> None:
    """Send structlog's loggers through the standard library, where `logging_config` renders everything alike."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what is stderr at that moment: who redirects it later, like a test, still gets the lines."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def logging_config(*, readable: bool, level: str) -> dict[str, Any]:
    """Return Django's LOGGING: everything to stderr, for people when `readable`, else as JSON."""
    if readable:
        rendering: list[Processor] = [structlog.dev.ConsoleRenderer()]
    else:
        rendering = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering, hide_secrets],
            }
        },
        "handlers": {"stderr": {"()": StderrHandler, "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django's own set-up would print a second copy of these on a developer's console.
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "level": level, "propagate": True},
            # One line for each request of each client library is noise: failures reach the steps anyway.
            "httpx": {"level": "WARNING"},
            "httpcore": {"level": "WARNING"},
            "daphne": {"level": "WARNING"},
            # It warns of each pipeline that ends with its connection, which whoever uses it is told anyway.
            "psycopg": {"level": "ERROR"},
            # Two lines for every hint that wakes a worker.
            "django-q": {"level": "WARNING"},
        },
    }
