"""Everything between an agent's event and `raw.*`: contract, loader, embedded stack, simulator, command line.

Knows nothing of dbt's models and nothing of `orchestration`.
"""
