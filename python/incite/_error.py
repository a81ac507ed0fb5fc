"""What Incite raises and warns with."""


class Error(Exception):
    """A run of the program that failed, or something that can't be given to it.

    `code` is the exit code of the program (docs/exit-codes.md): 2 an option, 3 the model's file, 4 the data, 5 data that does not fit the
    model, 6 a model that can't be decomposed, 7 the output, 8 the device, 130 stopped, 1 a defect of Incite. `message` is its one line.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type["Error"], tuple[int, str]]:
        return type(self), (self.code, self.message)


class InciteWarning(UserWarning):
    """A likely problem that does not stop a run, such as a wrong scale of the input."""


USAGE = 2
MODEL_FILE = 3
DATA_FILE = 4
DATA_MISMATCH = 5
UNSUPPORTED = 6
OUTPUT = 7
INTERRUPTED = 130
INTERNAL = 1
