from mevfast._pool import Pool

def lender_fee_on(amount: int, lender: tuple[int, int, bool]) -> int: ...
def size(
    pools: list[Pool],
    ways: list[tuple[int, int]],
    *,
    cap: int = (1 << 255) - 1,
    lender: tuple[int, int, bool] = (0, 0, False),
    hurried: bool = False,
) -> tuple[list[int], int, int] | None: ...
def virtual_pools(
    pool: Pool, token_in: int, token_out: int | None = None
) -> tuple[tuple[float, float, float], tuple[float, float, float]]: ...
def time_sizes(
    pools: list[Pool],
    ways: list[tuple[int, int]],
    count: int,
    *,
    finish: bool = True,
    hurried: bool = False,
) -> float: ...
