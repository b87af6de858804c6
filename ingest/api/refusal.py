"""Why a request is not taken, as a value that every way in can word in its own form.

`status` is HTTP's, `code` a word for programs, the sentence is for people and shows nothing of the request's content.
`retry_after_s` is set where the very same request may succeed later.
"""

import math
from typing import Final

RPC_BY_STATUS: Final = {400: 3, 401: 16, 403: 7, 404: 12, 405: 12, 408: 4, 409: 6, 413: 3, 415: 3, 429: 8, 503: 14}
"""google.rpc.Code of an HTTP status: INVALID_ARGUMENT, UNAUTHENTICATED, PERMISSION_DENIED, …"""
_RPC_INTERNAL: Final = 13


class Refusal(Exception):  # noqa: N818 - not an error of the program: the answer to a request
    """Ends a request."""

    def __init__(self, status: int, code: str, sentence: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.sentence = sentence
        self.retry_after_s = retry_after_s

    @property
    def retry_after(self) -> str | None:
        """Whole seconds for the Retry-After header, rounded up, at least one."""
        return None if self.retry_after_s is None else str(max(1, math.ceil(self.retry_after_s)))

    @property
    def rpc_code(self) -> int:
        """google.rpc.Code of this refusal."""
        return RPC_BY_STATUS.get(self.status, _RPC_INTERNAL)


def overloaded(code: str, sentence: str, retry_after_s: float = 1.0) -> Refusal:
    """503: nothing is wrong with the request."""
    return Refusal(503, code, sentence, retry_after_s=retry_after_s)
