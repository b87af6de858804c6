"""Objectives from elsewhere: OpenSLO documents into the rows of seeds/slo_objectives.csv."""
