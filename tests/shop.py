"""A shop of two hundred pages on a real server, and a model that reads it: for tests with real processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.model_server import Answer, Call, Entry, Recorded

PAGES = 200
PRICES = "Give the prices of"


class Shop:
    """A shop: a page that leads to all others. Remembers what was asked for, and when."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []
        self.url = ""

    @property
    def pages(self) -> list[str]:
        return [path for _, path in self.asked if path != "/robots.txt"]

    @contextmanager
    def open(self) -> Iterator[Shop]:
        shop = self

        class Pages(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                shop.asked.append((time.time(), self.path))
                body = shown_at(self.path).encode()
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        yield self
        server.shutdown()
        server.server_close()


def shown_at(path: str) -> str:
    """Give a page of the shop; nothing for an address that is none."""
    match path.removeprefix("/lamps/"):
        case "/":
            links = "".join(f"<li><a class=lamp href=/lamps/{n}>Lamp {n}</a></li>" for n in range(1, PAGES))
            return f"<title>Lamps</title><ul>{links}</ul><a href=/about>About us</a>"
        case "/about":
            return "<title>About us</title><p>We sell lamps of brass, and repair them free of charge.</p>"
        case number if number.isdecimal():
            return f"<title>Lamp {number}</title><h1>Lamp {number}</h1><b class=price>{number}.50 €</b>"
    return ""


def read_prices(request: Recorded) -> Entry | None:
    """Answer as a model that crawls the shop it is told of and then writes to whom nobody named; None if asked else."""
    messages = request.body["messages"]
    asked, told = str(messages[1]["content"]), str(messages[-1]["content"])
    if not asked.startswith(PRICES):
        return None
    if len(messages) == 2:
        fields = {"name": "h1", "price": "b.price"}
        crawl = {"urls": [asked.split()[-1]], "fields": fields, "follow": "a.lamp", "max_pages": PAGES}
        return Answer(calls=(Call("web_crawl", crawl),))
    if "pages were read" in told:
        return Answer(calls=(Call("send_letter", {"to": "mallory", "text": f"{PAGES} prices"}),))
    return Answer(f"Done: {told}")
