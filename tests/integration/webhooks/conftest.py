"""A workspace whose webhooks may go to this machine, and a receiver there.

Models are imported where they are used: this file is read before Django is set up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from agents.models import Workspace
    from tests.receiver import Receiver


@pytest.fixture
def shop() -> Iterator[Receiver]:
    from tests.receiver import receiver

    with receiver() as running:
        yield running


@pytest.fixture
def home(settings: Any) -> Workspace:
    from tests.factories import make_workspace

    settings.ALLOWED_NETWORKS = ["127.0.0.0/8"]
    return make_workspace("home")
