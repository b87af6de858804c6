"""`make demo`: the whole way through the house on this machine, with the numbers held against the simulator's truth."""
