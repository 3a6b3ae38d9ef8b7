"""What can go wrong, in words that say what to do about it.

DocsQAError
├── SettingsError            a setting is missing or wrong
├── DatasetError             there are no documents to read, or none could be fetched
│   └── DocumentError            a file cannot be taken as a document
├── ModelError               the embedding model cannot be found, verified or loaded
│   └── EmbeddingApiError        the embedding model's API does not answer, or not as it should
├── IndexUnavailableError    no question can be answered from the index at present
│   ├── IndexMissingError        nothing was built there yet
│   ├── IndexMismatchError       it was built with another model or other settings
│   ├── IndexDamagedError        it is there and cannot be read
│   └── StoreUnreachableError    the Chroma server does not answer
├── IndexLockedError         another build or change is writing the index
├── SnapshotError            a snapshot cannot be written, read or trusted
└── GenerationError          the language model gave no usable answer

Every message is one line that a person can act on. Nothing here knows of HTTP; the table in
inference_worker/http/problems.py maps these to responses.
"""


class DocsQAError(Exception):
    """The root of everything this project raises on purpose."""


class SettingsError(DocsQAError):
    """A setting is missing or wrong; the message names it and says what to set."""


class DatasetError(DocsQAError):
    """There are no documents to read, or none could be fetched."""


class DocumentError(DatasetError):
    """A file cannot be taken as a document; the message says why, and does not name the file."""


class ModelError(DocsQAError):
    """The embedding model cannot be found, verified or loaded."""


class EmbeddingApiError(ModelError):
    """The embedding model's API does not answer, or refuses; nothing of its answer is quoted."""


class EmbeddingRefusedError(EmbeddingApiError):
    """The embedding model's API refuses these texts: asked again, it would again."""


class IndexUnavailableError(DocsQAError):
    """No question can be answered from the index at present."""


class IndexMissingError(IndexUnavailableError):
    """Nothing was built at this place yet."""


class IndexMismatchError(IndexUnavailableError):
    """The index was built with another model or other settings than the reader's."""


class IndexDamagedError(IndexUnavailableError):
    """The index is there and cannot be read."""


class StoreUnreachableError(IndexUnavailableError):
    """The Chroma server does not answer."""


class IndexLockedError(DocsQAError):
    """Another build or change is writing the index; the message says who."""


class SnapshotError(DocsQAError):
    """A snapshot of an index cannot be written, read or trusted."""


class GenerationError(DocsQAError):
    """The language model gave no usable answer; the message is fit for a caller's eyes."""
