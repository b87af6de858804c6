"""Runs dbt on the project's models with the loader's own settings, so that nobody types a connection twice."""
