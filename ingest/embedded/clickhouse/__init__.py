"""ClickHouse on one machine: the chDB engine behind ClickHouse's HTTP interface.

`command.py` is the entry, `server.py` the HTTP side, `engine.py` the engine's side, `statement.py` what a query is.
"""
