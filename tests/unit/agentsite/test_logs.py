import logging
from logging.config import dictConfig

import orjson
import pytest
import structlog

from agentsite.logs import logging_config


def lines(captured: str) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in captured.splitlines()]


@pytest.fixture(autouse=True)
def json_logs() -> None:
    config = logging_config(readable=False, level="INFO")
    # Only our logger: the handlers of pytest stay where they are.
    config["loggers"] = {"shop": {"handlers": ["stderr"], "level": "INFO", "propagate": False}}
    del config["root"]
    dictConfig(config)


def test_a_line_is_one_json_object(capfd: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger("shop").info("opened", shop="lamps")
    logging.getLogger("shop").warning("closed at %s", 8)
    first, second = lines(capfd.readouterr().err)
    assert first["event"] == "opened"
    assert first["shop"] == "lamps"
    assert second["event"] == "closed at 8"
    assert second["level"] == "warning"


def test_login_links_stay_out_of_the_logs(capfd: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger("shop").info("request_finished", request="GET /welcome/s3cret-token/")
    logging.getLogger("shop").info("GET http://localhost/welcome/s3cret-token failed")
    first, second = lines(capfd.readouterr().err)
    assert first["request"] == "GET /welcome/[hidden]/"
    assert second["event"] == "GET http://localhost/welcome/[hidden] failed"
