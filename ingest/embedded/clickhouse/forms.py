"""multipart/form-data: fields that are the query, its parameters and settings, and files that are external tables.

A file part named `t` needs `t_structure` ("a Int8, b String") or `t_types` ("Int8, String", columns _1, _2 …) and may
have `t_format`, in the URL or the form. Files go to the spool folder as they come. Raises ClickHouseError when the form
or a table cannot be read.
"""

import os
import tempfile
from dataclasses import dataclass, replace
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path

from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.request import Request, format_name
from ingest.embedded.clickhouse.statement import parse, tokens

_MAX_FIELD_BYTES = 32 << 20
_MAX_HEAD_BYTES = 64 << 10
# ClickHouse's http_max_multipart_form_data_size.
_MAX_FORM_BYTES = 1 << 30


@dataclass(frozen=True)
class ExternalTable:
    """A temporary table of one request; its data are in a file of the spool."""

    name: str
    structure: str
    format: str
    file: Path


class FormReader:
    """Takes the form's bytes in any pieces; `finish` gives the request with its fields, and the tables.

    `close` removes what it wrote.
    """

    def __init__(self, request: Request, spool: Path) -> None:
        self._request, self._spool = request, spool
        head = Message()
        head["content-type"] = request.headers["content-type"]
        boundary = head.get_param("boundary")
        if not boundary:
            raise ClickHouseError(36, "BAD_ARGUMENTS", "A form needs a boundary in its Content-Type")
        self._boundary = b"\r\n--" + str(boundary).encode("latin-1")
        self._held = bytearray(b"\r\n")
        # "before" the first boundary, behind a "boundary", in a part's "head", in its "field" or "file", at the "end".
        self._place = "before"
        self._name, self._handle = "", -1
        self._seen = 0
        self._field = bytearray()
        self._fields: dict[str, str] = {}
        self.files: dict[str, Path] = {}

    def feed(self, data: bytes) -> None:
        self._seen += len(data)
        if self._seen > _MAX_FORM_BYTES:
            raise ClickHouseError(131, "TOO_LARGE_STRING_SIZE", f"A form has at most {_MAX_FORM_BYTES} bytes here")
        self._held += data
        while self._step():
            pass

    def _step(self) -> bool:
        """Takes one thing off what is held; False when it is not all there."""
        if self._place == "end":
            self._held.clear()
            return False
        if self._place == "boundary":
            return self._after_boundary()
        if self._place == "head":
            at = self._held.find(b"\r\n\r\n")
            if at < 0:
                if len(self._held) > _MAX_HEAD_BYTES:
                    raise ClickHouseError(36, "BAD_ARGUMENTS", "The head of a form's part does not end")
                return False
            self._begin(BytesHeaderParser().parsebytes(bytes(self._held[2:at]) + b"\r\n"))
            del self._held[: at + 4]
            return True
        at = self._held.find(self._boundary)
        # What may be the beginning of a boundary stays.
        end = at if at >= 0 else max(0, len(self._held) - len(self._boundary))
        self._put(bytes(self._held[:end]))
        del self._held[:end]
        if at < 0:
            return False
        del self._held[: len(self._boundary)]
        self._close_part()
        self._place = "boundary"
        return True

    def _after_boundary(self) -> bool:
        if len(self._held) < 2:
            return False
        if self._held.startswith(b"--"):
            self._place = "end"
            return True
        at = self._held.find(b"\r\n")
        if at < 0:
            return False
        # The line's end stays: a part without headers has nothing between it and the empty line.
        del self._held[:at]
        self._place = "head"
        return True

    def _begin(self, head: Message) -> None:
        self._name = str(head.get_param("name", "", "content-disposition"))
        if head.get_param("filename", None, "content-disposition") is None:
            self._place = "field"
            return
        self._place = "file"
        self._handle, path = tempfile.mkstemp(prefix="table-", dir=self._spool)
        if self._name in self.files:
            self.files[self._name].unlink(missing_ok=True)
        self.files[self._name] = Path(path)

    def _put(self, data: bytes) -> None:
        if self._place == "file":
            view = memoryview(data)
            while view:
                view = view[os.write(self._handle, view) :]
        elif self._place == "field":
            self._field += data
            if len(self._field) > _MAX_FIELD_BYTES:
                message = f"Field {self._name!r} of the form has more than {_MAX_FIELD_BYTES} bytes"
                raise ClickHouseError(131, "TOO_LARGE_STRING_SIZE", message)

    def _close_part(self) -> None:
        if self._place == "file":
            os.close(self._handle)
            self._handle = -1
        elif self._place == "field":
            self._fields[self._name] = self._field.decode(errors="replace")
            self._field.clear()

    def finish(self) -> tuple[Request, list[ExternalTable]]:
        """The request with the form's fields in it, and its tables."""
        if self._place != "end":
            raise ClickHouseError(36, "BAD_ARGUMENTS", "The form does not end with its boundary")
        settings, parameters, query = dict(self._request.settings), dict(self._request.parameters), self._request.query
        for name, value in self._fields.items():
            if name == "query":
                query += value
            elif name.startswith("param_"):
                parameters[name[6:]] = value
            else:
                settings[name] = value
        tables = [self._table(name, file, settings) for name, file in self.files.items()]
        return replace(self._request, query=query, settings=settings, parameters=parameters), tables

    @staticmethod
    def _table(name: str, file: Path, fields: dict[str, str]) -> ExternalTable:
        structure = fields.pop(f"{name}_structure", "") or _named(fields.pop(f"{name}_types", ""))
        fields.pop(f"{name}_types", "")
        if not structure:
            message = f"External table {name!r} needs {name}_structure or {name}_types"
            raise ClickHouseError(36, "BAD_ARGUMENTS", message)
        # Structure and format become part of a statement: no more of it than they are, and no way to this host.
        parse(f"CREATE TEMPORARY TABLE x ({structure})")
        if any(token.depth < 0 for token in tokens(structure)):
            raise ClickHouseError(36, "BAD_ARGUMENTS", f"External table {name!r}: unbalanced brackets in its structure")
        wanted = format_name(fields.pop(f"{name}_format", "TabSeparated"))
        return ExternalTable(name, structure, wanted, file)

    def close(self) -> None:
        """Removes the files; may be called more than once."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        for file in self.files.values():
            file.unlink(missing_ok=True)


def _named(types: str) -> str:
    """`Int8, Array(String)` as columns _1 and _2."""
    if not types.strip():
        return ""
    cuts = [token.start for token in tokens(types) if token.text == "," and token.depth == 0]
    pieces = [types[begin:end] for begin, end in zip([0, *(cut + 1 for cut in cuts)], [*cuts, len(types)], strict=True)]
    return ", ".join(f"_{number} {piece.strip()}" for number, piece in enumerate(pieces, start=1))
