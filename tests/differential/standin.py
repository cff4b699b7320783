"""A factory and deployer played by one contract that answers what a pool asks of them."""

from eth_utils.address import to_checksum_address

from mevfast.devnet.contracts import create_address
from tests.differential.evm import Evm, arguments, creation_code, selector, words
from tests.differential.solidity import props


class StandIn:
    """Pools that only their protocol's deployer can create, created here with any parameters."""

    def __init__(self, evm: Evm) -> None:
        self._evm = evm
        self.address = evm.deploy(props()["StandIn"])

    def answer(self, question: str, *values: int) -> None:
        """What a call of this signature is answered from now on."""
        data = arguments("answer(bytes4,bytes)", selector(question), words(*values))
        self._evm.send(self.address, data)

    def create(self, name: str, *values: int) -> str:
        """Address of a new contract of a pinned package, created by the stand-in."""
        code = creation_code(name) + words(*values)
        made = self._evm.send(self.address, arguments("create(bytes)", code))
        return "0x" + made[12:].hex()

    def address_of(self, nth: int) -> str:
        """Where its nth contract, from 1, will stand (a contract's nonces start at 1)."""
        return create_address(to_checksum_address(self.address), nth)
