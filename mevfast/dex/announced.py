"""What the logs of factories, vaults and registries have in common: their words, and a record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mevfast.errors import DataError, NodeError
from mevfast.model import PoolRecord


@dataclass(frozen=True, slots=True)
class Log:
    """A log as eth_getLogs answers it, decoded down to its words."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block: int
    index: int

    @property
    def topic0(self) -> str:
        """What event it is, in hex."""
        return "0x" + self.topics[0].hex()

    def word(self, nth: int) -> bytes:
        """The nth word of the data; DataError where it is shorter."""
        found = self.data[32 * nth : 32 * nth + 32]
        if len(found) < 32:
            raise DataError(
                f"a log {self.topic0} of 0x{self.address.hex()} in block {self.block}: expected "
                f"{32 * nth + 32} bytes of data or more, was {len(self.data)}"
            )
        return found

    def topic(self, nth: int) -> bytes:
        """The nth topic, 0 being the event's; DataError where there are fewer."""
        if nth >= len(self.topics):
            raise DataError(
                f"a log {self.topic0} of 0x{self.address.hex()} in block {self.block}: expected "
                f"{nth + 1} topics or more, was {len(self.topics)}: another event of this name?"
            )
        return self.topics[nth]


def parsed(log: Mapping[str, Any]) -> Log:
    """A log of eth_getLogs or a subscription. NodeError where it is none."""
    try:
        topics = tuple(bytes.fromhex(topic[2:]) for topic in log["topics"])
        return Log(
            bytes.fromhex(log["address"][2:]),
            topics,
            bytes.fromhex(log["data"][2:]),
            int(log["blockNumber"], 16),
            int(log.get("logIndex") or "0x0", 16),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NodeError(f"expected a log, node answered {log!r:.200} ({error!r:.60})") from None


def address(word: bytes) -> bytes:
    """The address in a word."""
    return word[12:]


def number(word: bytes, bits: int = 256) -> int:
    """The unsigned integer in a word, of which the low bits count."""
    return int.from_bytes(word, "big") & (1 << bits) - 1


def signed(word: bytes) -> int:
    """The signed integer in a word."""
    return int.from_bytes(word, "big", signed=True)


def pair_of(log: Log, kind: str, pool: bytes, first_token: int = 1, **facts: object) -> PoolRecord:
    """A pool at the address in a word, of the two tokens that are indexed from that topic on."""
    tokens = (address(log.topic(first_token)), address(log.topic(first_token + 1)))
    return PoolRecord(address(pool), kind, tokens, "", log.block, facts)
