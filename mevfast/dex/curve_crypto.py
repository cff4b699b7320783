"""Curve tricrypto-ng and twocrypto-ng: events and state. Semantics: CurveTricryptoOptimizedWETH,
CurveTricryptoOptimized, CurveTwocryptoOptimized v2.0.0 and v2.1.0.

No event carries the whole state: a swap moves d, and may move price_scale, by an oracle that the
kernel does not follow. A pool must be read again after each of its events, and in every block
while A and gamma are ramping.
"""

from mevfast.dex.reads import Read, calldata, value
from mevfast.errors import DataError

KINDS = ("curve_tricrypto_ng", "curve_twocrypto_ng")

EVENTS = (
    # TokenExchange(address,uint256 x 6): the last two are the fee and packed_price_scale
    "0x143f1f8e861fbdeddd5b46e844b7d3ac7b86a122f36e8c463859ee6811b1f29c",
    # AddLiquidity(address,uint256[3],uint256,uint256,uint256), and the same of uint256[2]
    "0xe1b60455bd9e33720b547f60e4e0cfbf1252d0f2ee0147d53029945f39fe3c1a",
    "0x7196cbf63df1f2ec20638e683ebe51d18260be510592ee1e2efe3f3cfd4c33e9",
    # RemoveLiquidity(address,uint256[3],uint256), and the same of uint256[2]
    "0xd6cc314a0b1e3b2579f8e64248e82434072e8271290eef8ad0886709304195f5",
    "0xdd3c0336a16f1b64f172b7bb0dad5b2b3c7c76f91e8c4aafd6aae60dce800153",
    "0xe200e24d4a4c7cd367dd9befe394dc8a14e6d58c88ff5e2f512d65a9e0aa9c5c",  # RemoveLiquidityOne
    # ClaimAdminFee(address,uint256), and the same of uint256[3] and uint256[2]
    "0x6059a38198b1dc42b3791087d1ff0fbd72b3179553c25f678cd246f52ffaaf59",
    "0x5ebe66c628d0969a211b99673a322baa5fc8a62baf286c175e254daef76f5bcc",
    "0x3bbd5f2f4711532d6e9ee88dfdf2f1468e9a4c3ae5e14d2e1a67bf4242d008d0",
    "0xe35f0559b0642164e286b30df2077ec3a05426617a25db7578fd20ba39a6cd05",  # RampAgamma
    "0x5f0e7fba3d100c9e19446e1c92fe436f0a9a22fe99669360e4fdd6d3de2fc284",  # StopRampA
    # NewParameters(uint256 x 6), and x 7 where the pool has an oracle of its size
    "0xa32137411fc7c20db359079cd84af0e2cad58cd7a182a8a5e23e08e554e88bf0",
    "0x1c65bbdc939f346e5d6f0bde1f072819947438d4fc7b182cc59c2f6dc5504087",
)

_VERSIONS = {"curve_tricrypto_ng": ("v2.0.0",), "curve_twocrypto_ng": ("v2.0.0", "v2.1.0")}
_GETTERS = {
    "amp": "A()",
    "gamma": "gamma()",
    "d": "D()",
    "mid_fee": "mid_fee()",
    "out_fee": "out_fee()",
    "fee_gamma": "fee_gamma()",
    "total_supply": "totalSupply()",
    "virtual_price": "virtual_price()",
    "future_A_gamma_time": "future_A_gamma_time()",
}


def read(pool: str, kind: str, timestamp: int) -> Read:
    """The state of a pool for swaps in a block of this timestamp.

    The answers should come from a call at that timestamp: while A and gamma are ramping the getters
    compute them from the block's. DataError for a pool whose maths is of another version.
    """
    n = 3 if kind == "curve_tricrypto_ng" else 2
    balances = [calldata("balances(uint256)", k) for k in range(n)]
    scales = [calldata("price_scale(uint256)", k) for k in range(2)]
    answers = yield [
        (pool, data)
        for data in (
            calldata("MATH()"),
            calldata("precisions()"),
            *balances,
            *(scales if n == 3 else [calldata("price_scale()")]),
            *(calldata(getter) for getter in _GETTERS.values()),
        )
    ]
    numbers = [value("uint256", answer, f"a getter of {pool}") for answer in answers[2:]]
    fields = dict(zip(_GETTERS, numbers[2 * n - 1 :], strict=True))
    math = value("address", answers[0], f"MATH of {pool}")
    (answer,) = yield [(math, calldata("version()"))]
    version = value("string", answer, f"version of {math}, the maths of {pool}")
    if version not in _VERSIONS[kind]:
        raise DataError(
            f"version of {math}, the maths of {pool}: expected "
            f"{' or '.join(_VERSIONS[kind])}, was {version!r:.20}"
        )
    ramp_end = fields.pop("future_A_gamma_time")
    return {
        **fields,
        "ramping": ramp_end > timestamp,
        "version": version,
        "balances": numbers[:n],
        "price_scale": numbers[n : 2 * n - 1],
        "precisions": list(value(f"uint256[{n}]", answers[1], f"precisions of {pool}")),
    }
