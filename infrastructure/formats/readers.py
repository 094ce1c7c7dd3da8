"""Which reader reads which format."""

from collections.abc import Mapping

from application.ports.formats import Reader
from domain.imports import ImportFormat
from infrastructure.formats.csv import read_csv
from infrastructure.formats.ndjson import read_ndjson

_READERS: Mapping[ImportFormat, Reader] = {ImportFormat.CSV: read_csv, ImportFormat.NDJSON: read_ndjson}


class FormatReaders:
    def of(self, name: ImportFormat) -> Reader:
        return _READERS[name]
