"""Resources, translators and pure helpers that the definitions are made with."""
