"""From Kafka to `raw.*`, exactly once: docs/guarantees.md is the design this package carries out.

run.py names the parts, intake.py cuts runs, ledger.py remembers them, decode*.py turns messages into columns, lander.py
takes one run through the protocol, loop.py reads and hands out, service.py puts it together.
"""
