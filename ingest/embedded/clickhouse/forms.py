"""multipart/form-data: fields that are the query, its parameters and settings, and files that are external tables.

A file part named `t` needs `t_structure` ("a Int8, b String") or `t_types` ("Int8, String", columns _1, _2 …) may have
`t_format`, in the URL or the form. Raises ClickHouseError when the form or a table cannot be read.
"""

from dataclasses import dataclass, replace
from email.message import Message
from email.parser import BytesHeaderParser

from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.request import Request, format_name
from ingest.embedded.clickhouse.statement import parse, tokens


@dataclass(frozen=True)
class ExternalTable:
    """A temporary table of one request."""

    name: str
    structure: str
    format: str
    data: bytes


def read_form(request: Request, body: bytes) -> tuple[Request, list[ExternalTable]]:
    """The request with the form's fields in it, and its tables."""
    fields, files = dict(request.settings), {}
    parameters, query = dict(request.parameters), request.query
    for head, data in _parts(request.headers["content-type"], body):
        name = str(head.get_param("name", "", "content-disposition"))
        if head.get_param("filename", None, "content-disposition") is not None:
            files[name] = data
        elif name == "query":
            query += data.decode(errors="replace")
        elif name.startswith("param_"):
            parameters[name[6:]] = data.decode(errors="replace")
        else:
            fields[name] = data.decode(errors="replace")
    tables = []
    for name, data in files.items():
        structure = fields.pop(f"{name}_structure", "") or _named(fields.pop(f"{name}_types", ""))
        if not structure:
            message = f"External table {name!r} needs {name}_structure or {name}_types"
            raise ClickHouseError(36, "BAD_ARGUMENTS", message)
        # Structure and format become part of a statement: no more of it than they are, and no way to this host.
        parse(f"CREATE TEMPORARY TABLE x ({structure})")
        if any(token.depth < 0 for token in tokens(structure)):
            raise ClickHouseError(36, "BAD_ARGUMENTS", f"External table {name!r}: unbalanced brackets in its structure")
        wanted = format_name(fields.pop(f"{name}_format", "TabSeparated"))
        tables.append(ExternalTable(name, structure, wanted, data))
    return replace(request, query=query, settings=fields, parameters=parameters), tables


def _named(types: str) -> str:
    """`Int8, Array(String)` as columns _1 and _2."""
    if not types.strip():
        return ""
    cuts = [token.start for token in tokens(types) if token.text == "," and token.depth == 0]
    pieces = [types[begin:end] for begin, end in zip([0, *(cut + 1 for cut in cuts)], [*cuts, len(types)], strict=True)]
    return ", ".join(f"_{number} {piece.strip()}" for number, piece in enumerate(pieces, start=1))


def _parts(content_type: str, body: bytes) -> list[tuple[Message, bytes]]:
    head = Message()
    head["content-type"] = content_type
    boundary = head.get_param("boundary")
    if not boundary:
        raise ClickHouseError(36, "BAD_ARGUMENTS", "A form needs a boundary in its Content-Type")
    pieces = (b"\r\n" + body).split(b"\r\n--" + str(boundary).encode())
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise ClickHouseError(36, "BAD_ARGUMENTS", "The form does not end with its boundary")
    found = []
    for piece in pieces[1:-1]:
        raw, _, data = piece.lstrip(b" \t").removeprefix(b"\r\n").partition(b"\r\n\r\n")
        found.append((BytesHeaderParser().parsebytes(raw + b"\r\n"), data))
    return found
