"""What is wrong with a document: every fault, each at its path."""


class InvalidDocument(Exception):
    """A document that can't be applied. `faults` are lines such as `paywalls[0].name: must not be empty`."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Faults:
    """Collects faults, so that one run tells them all. Paths are `paywalls[0].models[2].pricing.prompt`."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, path: str, message: str) -> None:
        """Note a fault; an empty path is the document itself."""
        self._lines.append(f"{path or 'document'}: {message}")

    def raise_any(self) -> None:
        """Raise InvalidDocument if there are any."""
        if self._lines:
            raise InvalidDocument(self._lines)


def join(path: str, key: str) -> str:
    """The path of a key under a path."""
    return f"{path}.{key}" if path else key
