"""Many calls at one block: every one is answered, whoever fails, and what the node lacks is never
taken for a contract's failure."""

import asyncio
from typing import Any

import pytest
from eth_abi.abi import decode, encode
from hypothesis import given
from hypothesis import strategies as st

from mevfast.chain import multicall
from mevfast.chain.multicall import AGGREGATE3, At, Call, Failed
from mevfast.errors import NodeError, RpcError
from tests.node import Node

MULTICALL = "0x" + "ca" * 20
TARGET = "0x" + "11" * 20
REVERTED = RpcError("eth_call", 3, "execution reverted: no")


class Chain(Node):
    """Contracts that answer their calldata backwards; 'F' fails, 'E' fails without a word, 'B'
    burns all gas there is, 'G' answers only when asked alone."""

    def __init__(self, most: int = 10**9) -> None:
        super().__init__([])
        self.most = most
        self.aggregated: list[int] = []
        self.alone: list[bytes] = []

    def call(self, to: str, data: bytes, block: int) -> bytes:
        if to != MULTICALL:
            self.alone.append(data)
            if data[:1] in (b"F", b"E"):
                raise REVERTED
            if data[:1] == b"B":
                raise RpcError("eth_call", -32000, "out of gas")
            return data[::-1]
        assert data[:4] == AGGREGATE3
        (calls,) = decode(["(address,bool,bytes)[]"], data[4:])
        self.aggregated.append(len(calls))
        if len(calls) > self.most or any(each[:1] == b"B" for _, _, each in calls):
            raise RpcError("eth_call", -32000, "out of gas")
        reason = bytes.fromhex("08c379a0") + encode(["string"], ["no"])
        results = []
        for target, allowed, each in calls:
            assert allowed and target == TARGET
            failed = each[:1] in (b"F", b"E", b"G")
            words = reason if each[:1] == b"F" else b""
            results.append((not failed, words if failed else each[::-1]))
        return encode(["(bool,bytes)[]"], [results])


def ask(node: Any, calls: list[Call], through: str | None = MULTICALL) -> list[bytes]:
    return asyncio.run(At(node, 77, through).call(calls))


def expected(data: bytes) -> bytes:
    return b"" if data[:1] in (b"F", b"E", b"B") else data[::-1]


@given(
    st.lists(st.sampled_from([b"F", b"E", b"B", b"G", b"abc", b"", b"x" * 40_000]), max_size=40),
    st.integers(1, 50),
    st.booleans(),
)
def test_every_call_is_answered_in_its_place(data: list[bytes], most: int, through: bool) -> None:
    numbered = [each + bytes([index]) if each else each for index, each in enumerate(data)]
    calls = [(TARGET, each) for each in numbered]
    answers = ask(Chain(most), calls, MULTICALL if through else None)
    assert answers == [expected(each) for each in numbered]
    failed = [isinstance(answer, Failed) for answer in answers]
    assert failed == [each[:1] in (b"F", b"E", b"B") for each in numbered]


def test_calls_go_through_multicall_in_chunks_of_number_and_size() -> None:
    node = Chain()
    ask(node, [(TARGET, b"abc")] * (2 * multicall.MOST_CALLS + 1))
    assert node.aggregated == [multicall.MOST_CALLS, multicall.MOST_CALLS, 1]
    node = Chain()
    ask(node, [(TARGET, b"x" * (multicall.MOST_BYTES // 2))] * 5)
    assert node.aggregated == [2, 2, 1]
    assert node.alone == []


def test_one_that_burns_all_gas_is_found_by_halves() -> None:
    node = Chain()
    calls = [(TARGET, b"B" if index == 77 else b"abc") for index in range(128)]
    answers = ask(node, calls)
    assert [index for index, answer in enumerate(answers) if answer != b"cba"] == [77]
    assert node.alone == [b"B"]
    assert len(node.aggregated) <= 2 * 8


def test_reasons_are_told() -> None:
    [failed, burnt, _] = ask(Chain(), [(TARGET, b"F"), (TARGET, b"B"), (TARGET, b"a")])
    assert isinstance(failed, Failed) and failed.reason == "reverted: no"
    assert isinstance(burnt, Failed) and burnt.reason == "out of gas"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "reverted"),
        (bytes.fromhex("08c379a0") + encode(["string"], ["TooLate"]), "reverted: TooLate"),
        (bytes.fromhex("4e487b71") + encode(["uint256"], [0x11]), "reverted: Panic(0x11)"),
        (bytes.fromhex("08c379a0") + b"\1", "reverted: 0x08c379a001"),
        (bytes.fromhex("12345678"), "reverted: 0x12345678"),
    ],
)
def test_revert_data_in_words(data: bytes, words: str) -> None:
    assert multicall.revert_reason(data) == words


@pytest.mark.parametrize("through", [None, MULTICALL])
def test_creation_code_is_run_without_an_address(through: str | None) -> None:
    class Code(Node):
        async def request(self, method: str, params: list[Any]) -> Any:
            assert method == "eth_call"
            return "0xaa" if "to" not in params[0] else "0xbb"

    code, call = ("", b"code"), (TARGET, b"data")
    assert ask(Code([]), [call, code], through) == [b"\xbb", b"\xaa"]


@pytest.mark.parametrize(
    "error",
    [
        RpcError("eth_call", -32000, "missing trie node"),
        RpcError("eth_call", -32001, "header not found"),
        RpcError("eth_call", -32603, "internal error"),
        RpcError("eth_call", -32601, "method not found"),
    ],
)
@pytest.mark.parametrize("through", [None, MULTICALL])
def test_a_node_without_the_state_is_named(error: RpcError, through: str | None) -> None:
    class Pruned(Node):
        def call(self, to: str, data: bytes, block: int) -> bytes:
            raise error

    with pytest.raises(NodeError, match=f"reading pools at block 77 failed: {error.message}"):
        ask(Pruned([]), [(TARGET, b"a"), (TARGET, b"b")], through)


@pytest.mark.parametrize("through", [None, MULTICALL])
def test_a_node_without_the_state_is_not_asked_for_every_single_call(through: str | None) -> None:
    class Pruned(Node):
        def call(self, to: str, data: bytes, block: int) -> bytes:
            raise RpcError("eth_call", -32000, "missing trie node")

    node = Pruned([])
    with pytest.raises(NodeError):
        ask(node, [(TARGET, b"a")] * 150, through)
    assert node.calls["eth_call"] <= 150


@pytest.mark.parametrize("through", [None, MULTICALL])
def test_an_unheard_of_error_about_one_call_is_that_calls(through: str | None) -> None:
    class Odd(Chain):
        def call(self, to: str, data: bytes, block: int) -> bytes:
            if data == b"odd" or (to == MULTICALL and b"odd" in data):
                raise RpcError("eth_call", -32000, "the weasel ate it")
            return super().call(to, data, block)

    odd, good = ask(Odd(), [(TARGET, b"odd"), (TARGET, b"abc")], through)
    assert good == b"cba"
    assert isinstance(odd, Failed) and odd.reason == "the weasel ate it"


@pytest.mark.parametrize("answer", [None, 7, {}, "0xno", "0x123"])
def test_an_answer_that_is_no_data_is_named(answer: Any) -> None:
    class Odd(Node):
        async def request(self, method: str, params: list[Any]) -> Any:
            return answer

    with pytest.raises(NodeError, match="eth_call at block 77: expected data in hex") as raised:
        ask(Odd([]), [(TARGET, b"a")])
    assert repr(answer) in str(raised.value)


def test_a_contract_that_is_no_multicall_is_done_without() -> None:
    class Other(Chain):
        def call(self, to: str, data: bytes, block: int) -> bytes:
            return b"" if to == MULTICALL else super().call(to, data, block)

    assert ask(Other(), [(TARGET, b"abc"), (TARGET, b"xyz")]) == [b"cba", b"zyx"]
