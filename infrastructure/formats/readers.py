"""Which reader reads which format, and which writer writes the rows of it that failed."""

from collections.abc import Mapping
from typing import BinaryIO

from application.ports.formats import ErrorWriter, Reader, ReadLimits
from domain.errors import InvalidValue
from domain.import_options import ImportFormat
from infrastructure.formats.archives.ghost import read_ghost
from infrastructure.formats.archives.stackexchange import read_stackexchange
from infrastructure.formats.archives.wxr import read_wxr
from infrastructure.formats.recognise import recognise
from infrastructure.formats.text.csv import read_csv
from infrastructure.formats.text.error_files import CsvErrorWriter, NdjsonErrorWriter
from infrastructure.formats.text.json_array import read_json_array
from infrastructure.formats.text.ndjson import read_ndjson

_READERS: Mapping[ImportFormat, Reader] = {
    ImportFormat.CSV: read_csv,
    ImportFormat.NDJSON: read_ndjson,
    ImportFormat.JSON: read_json_array,
    ImportFormat.WXR: read_wxr,
    ImportFormat.GHOST: read_ghost,
    ImportFormat.STACKEXCHANGE: read_stackexchange,
}
_ERROR_WRITERS: Mapping[ImportFormat, ErrorWriter] = {
    ImportFormat.CSV: CsvErrorWriter(),
    ImportFormat.NDJSON: NdjsonErrorWriter(),
}


class FormatReaders:
    """`Formats`."""

    def recognise(self, file: BinaryIO, *, file_name: str | None, limits: ReadLimits) -> ImportFormat:
        return recognise(file, file_name=file_name, limits=limits)

    def reader(self, name: ImportFormat) -> Reader:
        return _READERS[name]

    def error_writer(self, name: ImportFormat) -> ErrorWriter:
        """Raises InvalidValue, unless it is CSV or NDJSON."""
        if name not in _ERROR_WRITERS:
            raise InvalidValue("format", "Errors are written as CSV or NDJSON.", code="bad_value")
        return _ERROR_WRITERS[name]
