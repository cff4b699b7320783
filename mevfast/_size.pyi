from mevfast._pool import Pool

def lender_fee_on(amount: int, lender: tuple[int, int, bool]) -> int: ...
def size(
    pools: list[Pool],
    zero_for_one: list[bool],
    *,
    cap: int = (1 << 255) - 1,
    lender: tuple[int, int, bool] = (0, 0, False),
) -> tuple[list[int], int, int] | None: ...
