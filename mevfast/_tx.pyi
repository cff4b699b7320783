from collections.abc import Sequence
from typing import Any, Never, TypeAlias, final

RlpItem: TypeAlias = int | bytes | bytearray | memoryview | list[Any] | tuple[Any, ...]

@final
class Signer:
    def __init__(
        self, key: bytearray, library: str | None = None, sha_ni: bool = True
    ) -> None: ...
    @property
    def address(self) -> str: ...
    @property
    def backend(self) -> str: ...
    @property
    def locked(self) -> bool: ...
    @property
    def nonces(self) -> str: ...
    @property
    def undumped(self) -> bool: ...
    def sign_digest(self, digest: bytes) -> bytes: ...
    def __reduce__(self) -> Never: ...

def keccak256(data: bytes | bytearray | memoryview) -> bytes: ...
def rlp_encode(item: RlpItem) -> bytes: ...
def to_checksum_address(address: str | bytes) -> str: ...
def to_address_bytes(value: str | bytes, name: str = "address") -> bytes: ...
def encode_type2(
    signer: Signer,
    *,
    chain_id: int,
    nonce: int,
    max_priority_fee: int,
    max_fee: int,
    gas_limit: int,
    to: str | bytes,
    value: int = 0,
    data: bytes = b"",
    hash_later: bool = False,
) -> tuple[bytes, bytes]: ...
def execute_calldata(
    *,
    deadline: int,
    funding: int,
    token: str | bytes,
    amount_in: int,
    min_profit: int,
    hops: Sequence[tuple[str | bytes, int, bool, int]],
) -> bytes: ...
def send_raw_request(request_id: int, raw: bytes) -> bytes: ...
