"""Prints the sorted names of all assets, checks, jobs, schedules and sensors, one a line, so that a lost one is seen.

`METERHOUSE_ENVIRONMENT=dev python -m orchestration.names > tests/orchestration/names.txt` regenerates the file a test
holds the definitions against.
"""

from dagster import Definitions


def names_of(definitions: Definitions) -> list[str]:
    """`kind name`, sorted."""
    repository = definitions.get_repository_def()
    graph = repository.asset_graph
    names = [f"asset {key.to_user_string()}" for key in graph.materializable_asset_keys]
    names += [f"check {key.asset_key.to_user_string()}:{key.name}" for key in graph.asset_check_keys]
    # Dagster makes jobs of its own, with two underscores, for what is started from the UI.
    names += [f"job {name}" for name in repository.job_names if not name.startswith("__")]
    names += [f"schedule {one.name}" for one in repository.schedule_defs]
    names += [f"sensor {one.name}" for one in repository.sensor_defs]
    return sorted(names)


if __name__ == "__main__":
    from orchestration.definitions import definitions

    for name in names_of(definitions):
        print(name)
