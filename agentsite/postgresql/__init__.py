"""Django's PostgreSQL backend, with another way of noticing a connection that is dead."""
