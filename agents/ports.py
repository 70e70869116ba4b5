"""The product's ports: what the engine needs, bound to models, tools, documents and files."""

from __future__ import annotations

from agents.engine.beside import in_rounds
from agents.engine.partials import DatabasePartials
from agents.engine.ports import Ports
from agents.llm.port import ModelAccess
from agents.queue.messages import call_message
from agents.services.artifacts import RunFiles, artifact_store
from agents.services.dispatching import Dispatcher
from agents.services.documents import find_passages
from agents.services.duties import duties
from agents.services.listening import Listeners
from agents.services.policies import approval_policy
from agents.services.providers import known_providers
from agents.services.vectors import find_alike
from agents.triggers.delivering import deliver_forever
from agents.workflows.redacting import RedactingTools
from agents.workflows.toolport import RegistryToolPort
from tools.limits.limiter import limiter
from tools.secrets import vault


def make_ports() -> Ports:
    """Give the ports of one worker process."""
    artifacts = artifact_store()
    return Ports(
        model=ModelAccess(secret=vault.lend, limits=limiter, providers=known_providers),
        tools=RedactingTools(
            RegistryToolPort(
                search=find_passages,
                search_alike=find_alike,
                secrets=vault,
                files=RunFiles(artifacts),
                policy=approval_policy,
                limits=limiter,
            ),
            vault.redactor,
        ),
        partials=DatabasePartials(),
        artifacts=artifacts,
        processes=call_message,
        events=Listeners(),
        beside={"webhooks": deliver_forever, "events": in_rounds(Dispatcher()), **duties()},
    )
