"""One verb per function: all that the API, the pages, the admin and the command line call."""
