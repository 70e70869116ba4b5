"""How fast the product is: `python -m benchmarks [NAME…] [--database sqlite|postgresql|both]`.

Each benchmark is one module with `TARGETS` and `measure(bench)`. It runs on an instance of its own and prints one line
of JSON per database. Nothing here fails because of a time: figures are read by people.
"""
