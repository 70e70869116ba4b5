"""The tools that come with agentsite."""
