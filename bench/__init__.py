"""What Meterhouse costs and how fast it is, measured: `python -m bench`."""
