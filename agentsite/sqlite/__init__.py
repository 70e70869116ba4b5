"""Django's SQLite backend, with another way of waiting for the file."""
