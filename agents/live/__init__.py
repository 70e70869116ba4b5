"""Live progress: what a run does reaches its watchers while it happens.

The run's event log in the database is the only source. Each web process has one hub that notices changes and feeds
its websocket and SSE clients; a client names the last event it saw and gets everything after it.
"""
