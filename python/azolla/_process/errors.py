"""stub"""


def pack(error: BaseException, key: str | None = None) -> bytes:
    """Packs."""
    raise NotImplementedError


def unpack(packed: bytes) -> BaseException:
    """Unpacks."""
    raise NotImplementedError
