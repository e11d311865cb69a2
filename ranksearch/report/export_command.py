"""How a reader of the page takes a network away: a command where the study has a file, else a call in the notebook."""

import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class ExportCommand:
    """What stands before a selection and after it.

    >>> ExportCommand.of("my study.toml")("knee")
    "ranksearch export 'my study.toml' --select knee -o ranks.json"
    >>> ExportCommand.of(None)("trial=2")
    'study.export("ranks.json", select="trial=2")'
    """

    before: str
    after: str

    @classmethod
    def of(cls, study_file: str | None) -> "ExportCommand":
        """Of a study by the path of its file; None where it was searched in a notebook."""
        if study_file is None:
            return cls('study.export("ranks.json", select="', '")')
        return cls(f"ranksearch export {shlex.quote(study_file)} --select ", " -o ranks.json")

    def __call__(self, selection: str) -> str:
        return self.before + selection + self.after
