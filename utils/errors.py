"""The exceptions of this project.

DocsQAError
├── SettingsError            a setting is missing or wrong
├── DatasetError             no documents can be read or fetched
│   └── DocumentError            a file cannot be read as a document
├── ModelError               the embedding model cannot be found, verified or loaded
│   └── EmbeddingApiError        the embedding API does not answer, or its answer is invalid
│       └── EmbeddingRefusedError    the embedding API refuses the texts
├── IndexUnavailableError    the index cannot be used at present
│   ├── IndexMissingError        no index has been built
│   ├── IndexMismatchError       it was built with another model or other settings
│   ├── IndexDamagedError        it exists and cannot be read
│   └── StoreUnreachableError    the Chroma server does not answer
│       └── StoreProcessError        the process of an embedded index died, or hung and was ended
├── IndexLockedError         another build or change is writing the index
├── OverloadedError          more work waits than can begin in time
├── DiskFullError            a disk has no room for what is to be written
├── SnapshotError            a snapshot cannot be written, read or trusted
└── GenerationError          the language model gave no usable answer

Every message is one line that states what happened and what to do. HTTP does not belong here; the
table in inference_worker/http/problems.py maps these exceptions to responses.
"""


class DocsQAError(Exception):
    """Base class of all errors that this project raises."""

    def __init__(self, message: str = "", detail: str = "") -> None:
        """Create the error.

        Args:
            message: What happened and what to do, for the operator.
            detail: The message for clients, without paths; "" if that of its kind suffices.
        """
        super().__init__(message)
        self.detail = detail


class SettingsError(DocsQAError):
    """A setting is missing or wrong; the message names it and its valid values."""


class DatasetError(DocsQAError):
    """No documents can be read or fetched."""


class DocumentError(DatasetError):
    """A file cannot be read as a document; the message states why, without naming the file."""


class ModelError(DocsQAError):
    """The embedding model cannot be found, verified or loaded."""


class EmbeddingApiError(ModelError):
    """The embedding API does not answer, or its answer is invalid; its text is never quoted."""


class EmbeddingRefusedError(EmbeddingApiError):
    """The embedding API refuses these texts; a retry would fail too."""


class IndexUnavailableError(DocsQAError):
    """The index cannot be used at present."""


class IndexMissingError(IndexUnavailableError):
    """No index has been built."""


class IndexMismatchError(IndexUnavailableError):
    """The index was built with another model or other settings than the reader's."""


class IndexDamagedError(IndexUnavailableError):
    """The index exists and cannot be read."""


class StoreUnreachableError(IndexUnavailableError):
    """The Chroma server does not answer."""


class StoreProcessError(StoreUnreachableError):
    """The process of an embedded index died, or hung and was ended."""


class IndexLockedError(DocsQAError):
    """Another build or change is writing the index; the message names the process."""


class OverloadedError(DocsQAError):
    """More work waits than can begin in time."""


class DiskFullError(DocsQAError):
    """A disk has no room for what is to be written; the message states how much to free."""


class SnapshotError(DocsQAError):
    """A snapshot of an index cannot be written, read or trusted."""


class GenerationError(DocsQAError):
    """The language model gave no usable answer; the message may be shown to the caller."""
