"""Commands of the `agentsite` script."""
