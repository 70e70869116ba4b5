"""The offline model: rule-based and extractive, the default where no key is set.

goal     what is asked: questions, addresses, sums, a pause
plan     which tools to call next
sources  what the tools have found
rank     which sentences answer
answer   the quotes and their citations
roles    the planner and the reviewer of a team
reports  the writer of a team
"""

from agents.llm.offline.model import OfflineModel, is_heavy

__all__ = ["OfflineModel", "is_heavy"]
