"""The raw and ops tables: numbered SQL files, what turns them into statements, and what applies them."""
