"""What Dagster knows, a package a concern; each exports `definitions`."""
