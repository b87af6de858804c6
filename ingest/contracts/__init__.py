"""What an event must be, where its fields land, and what never lands. One table (fields.py) feeds all of it."""
