"""The books: a trade that no log explains is judged once the table is true again, not before."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from mevfast.execution.receipts import TRANSFER
from mevfast.execution.settlement import Settlement

TOKEN, EXECUTOR = bytes([0xEE]) * 20, "0x" + "77" * 20
TX = bytes(31) + b"\1"


class Stage:
    """One transaction under way, a node that has its receipt, and a core that the test moves."""

    def __init__(self) -> None:
        self.trade: dict[str, Any] = {
            "tx": TX, "nonce": 7, "request_id": 1, "block": 10, "landed_block": None,
            "token": TOKEN, "funding": "own", "amount_in": 5, "predicted": 9, "explained": None,
            "net": 9.0, "gas_units": 1, "gas_price": 1, "latency_ns": 1, "hops": [],
        }  # fmt: skip
        self.pending = [self.trade]
        self.doubts: list[tuple[Any, ...]] = []
        self.receipt: dict[str, Any] | None = self.landed(4)
        self.core: Any = SimpleNamespace(
            trades=lambda: list(self.pending), head_number=12, verified=8, live=True,
            resolve=lambda nonce, **_: self.pending.clear(),
        )  # fmt: skip
        market = SimpleNamespace(base_token="0x" + TOKEN.hex())
        config: Any = SimpleNamespace(
            market=market, executor_address=EXECUTOR, execution=SimpleNamespace(deadline_blocks=2)
        )
        risk: Any = SimpleNamespace(landed=lambda gas: None, refused=lambda: None)
        self.books = Settlement(self.core, config, risk, self.doubt)

    def doubt(self, *why: Any) -> None:
        self.doubts.append(why)
        self.core.live = False

    def landed(self, realised: int) -> dict[str, Any]:
        """A receipt whose transfers leave the executor so much richer."""
        to = "0x" + "0" * 24 + EXECUTOR[2:]
        log = {
            "address": "0x" + TOKEN.hex(), "topics": [TRANSFER, "0x" + "0" * 64, to],
            "data": f"0x{realised:064x}",
        }  # fmt: skip
        return {
            "status": "0x1", "blockNumber": "0xb", "gasUsed": "0x1", "effectiveGasPrice": "0x1",
            "logs": [log],
        }  # fmt: skip

    def follow(self) -> None:
        """Reads the receipts that are due."""

        async def answer(method: str, params: list[Any]) -> Any:
            return self.receipt

        async def whole() -> None:
            self.books.follow(SimpleNamespace(request=answer))  # type: ignore[arg-type]
            await asyncio.gather(*self.books.tasks)

        asyncio.run(whole())


def test_what_no_log_explains_is_judged_once_the_table_is_true_again() -> None:
    stage = Stage()
    stage.follow()
    [(why, block)] = stage.doubts
    assert "is not explained" in why
    assert block == 9  # from the first block on that may miss a log
    stage.follow()  # the table is still in doubt
    assert stage.books.outcomes == {}
    stage.core.live, stage.trade["explained"] = True, 4
    stage.follow()
    assert stage.books.outcomes == {"explained": 1}
    assert stage.pending == []


def test_what_the_logs_do_not_explain_either_is_unexplained() -> None:
    stage = Stage()
    stage.follow()
    stage.core.live = True
    stage.follow()
    assert stage.books.outcomes == {"unexplained": 1}
    assert len(stage.doubts) == 1


def test_mending_waits_for_what_may_be_mined_and_not_for_what_is() -> None:
    """Behind a nonce that was not used the first would stay for ever, the second wait for us."""
    stage = Stage()
    assert stage.books.some_may_be_mined
    stage.follow()
    assert stage.pending == [stage.trade]
    assert not stage.books.some_may_be_mined
    stage.receipt = None  # a reorg took it back
    stage.follow()
    assert stage.books.some_may_be_mined
    stage.core.head_number = 20
    stage.follow()
    assert stage.books.outcomes == {"expired": 1}
    assert not stage.books.some_may_be_mined


@pytest.mark.parametrize(("realised", "outcome"), [(9, "exact"), (4, "explained")])
def test_what_is_explained_is_booked_at_once(realised: int, outcome: str) -> None:
    stage = Stage()
    stage.receipt, stage.trade["explained"] = stage.landed(realised), 4
    stage.core.live = False
    stage.follow()
    assert stage.books.outcomes == {outcome: 1}
    assert stage.doubts == []
