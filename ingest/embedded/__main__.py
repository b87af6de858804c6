"""`python -m ingest.embedded kafka --port N`: what the stack runs for its parts."""

import sys

from ingest.embedded.command import embedded
from ingest.errors import MeterhouseError

if __name__ == "__main__":
    try:
        embedded()
    except MeterhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
