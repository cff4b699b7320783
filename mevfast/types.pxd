"""The structs of pool.h, event.h and plan.h for Cython. The headers are the truth; the field
comments are there."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from mevfast.u256 cimport i128, u128, u256


cdef extern from "pool.h" nogil:
    enum pool_kind:
        POOL_NONE
        POOL_UNISWAP_V2
        POOL_UNISWAP_V3
        POOL_PANCAKE_V3
        POOL_ALGEBRA_V1
        POOL_ALGEBRA_INTEGRAL
        POOL_UNISWAP_V4
        POOL_CAMELOT_V2
        POOL_SOLIDLY
        POOL_CURVE_STABLE
        POOL_CURVE_STABLE_NG
        POOL_CURVE_TRICRYPTO_NG
        POOL_CURVE_TWOCRYPTO_NG
        POOL_BALANCER_WEIGHTED
        POOL_BALANCER_COMPOSABLE_STABLE

    enum:
        POOL_MAX_TOKENS

    enum quote_status:
        QUOTE_OK
        QUOTE_ZERO_AMOUNT
        QUOTE_NO_OUTPUT
        QUOTE_NO_LIQUIDITY
        QUOTE_OVERFLOW
        QUOTE_PRICE_LIMIT
        QUOTE_UNKNOWN_KIND
        QUOTE_INVARIANT
        QUOTE_UNSUPPORTED

    ctypedef struct v2_state:
        u128 reserve0
        u128 reserve1
        uint32_t fee_pips

    ctypedef struct v3_tick:
        i128 liquidity_net
        u128 liquidity_gross
        int32_t tick

    enum:
        V3_STOPS
        V3_STOPS_BEHIND

    ctypedef struct v3_way:
        uint32_t n_stops
        uint32_t next
        uint32_t fee_pips
        int32_t tick[40]
        u128 next_in
        u128 next_out
        u128 liquidity[40]
        u128 amount_in[40]
        u128 amount_out[40]
        u256 sqrt_price_x96[40]

    ctypedef struct v3_window:
        u256 sqrt_price_x96
        u128 liquidity
        int32_t tick
        v3_way way[2]

    enum:
        V4_SWAP_HOOKS
        V4_MAX_PROTOCOL_FEE

    enum v3_form:
        V3_POOL
        V3_INTEGRAL
        V3_SINGLETON

    ctypedef struct v3_state:
        u256 sqrt_price_x96
        u128 liquidity
        int32_t tick
        int32_t tick_spacing
        int32_t bitmap_spacing
        uint32_t fee_pips[2]
        uint32_t lp_fee_pips[2]
        uint32_t protocol_fee
        uint32_t hooks
        uint32_t n_ticks
        uint32_t form
        const v3_tick *ticks
        const v3_window *window

    uint32_t v4_protocol_part(uint32_t protocol_fee, int token_in) noexcept
    uint32_t v4_swap_fee(uint32_t lp_fee, uint32_t protocol_fee, int token_in) noexcept

    enum solidly_form:
        SOLIDLY_VELODROME
        SOLIDLY_VELODROME_F
        SOLIDLY_CAMELOT

    ctypedef struct solidly_state:
        u256 reserve[2]
        u256 decimals[2]
        uint32_t fee[2]
        uint32_t fee_denominator
        uint32_t owner_fee_share
        uint8_t stable
        uint8_t form

    enum curve_form:
        CURVE_3POOL
        CURVE_Y_POOL
        CURVE_PLAIN
        CURVE_NG

    ctypedef struct curve_state:
        u256 balance[8]
        u256 rate[8]
        u256 amp
        u256 fee
        u256 admin_fee
        u256 offpeg_fee_multiplier
        u256 xp[8]
        u256 d
        uint8_t n_tokens
        uint8_t form
        uint8_t status

    enum twocrypto_version:
        TWOCRYPTO_V2_0
        TWOCRYPTO_V2_1

    ctypedef struct crypto_state:
        u256 balance[3]
        u256 precision[3]
        u256 price_scale[2]
        u256 amp
        u256 gamma
        u256 d
        u256 mid_fee
        u256 out_fee
        u256 fee_gamma
        u256 total_supply
        u256 virtual_price
        uint8_t n_tokens
        uint8_t version
        uint8_t ramping

    enum balancer_form:
        BALANCER_WEIGHTED
        BALANCER_STABLE
        BALANCER_STABLE_ROUND_UP

    ctypedef struct balancer_state:
        u256 balance[8]
        u256 scaling_factor[8]
        u256 weight[8]
        u256 swap_fee
        u256 amp
        u256 amp_precision
        uint8_t n_tokens
        uint8_t bpt_index
        uint8_t form
        uint8_t pow_shortcuts

    ctypedef struct pool_state:
        uint32_t kind
        v2_state v2
        v3_state v3
        solidly_state solidly
        curve_state curve
        crypto_state crypto
        balancer_state balancer

    ctypedef struct v2_after:
        u128 reserve0
        u128 reserve1

    ctypedef struct v3_after:
        u256 sqrt_price_x96
        u128 liquidity
        int32_t tick

    ctypedef struct balances_after:
        u256 balance_in
        u256 balance_out
        u256 d

    # Anonymous in C: reach through `quote.after.v2.reserve0`, never copy it whole.
    ctypedef union pool_after:
        v2_after v2
        v3_after v3
        balances_after balances

    ctypedef struct pool_quote:
        u256 amount_in
        u256 amount_out
        double price_after
        pool_after after


cdef extern from "event.h" nogil:
    enum wire_message:
        WIRE_OTHER
        WIRE_LOG
        WIRE_HEAD

    enum event_kind:
        EVENT_UNKNOWN
        EVENT_V2_SYNC
        EVENT_V2_SWAP
        EVENT_V3_INITIALIZE
        EVENT_V3_MINT
        EVENT_V3_BURN
        EVENT_V3_SWAP
        EVENT_PANCAKE_SWAP
        EVENT_ALGEBRA_SWAP
        EVENT_ALGEBRA_BURN
        EVENT_ALGEBRA_FEE
        EVENT_ALGEBRA_FEES
        EVENT_ALGEBRA_TICK_SPACING
        EVENT_ALGEBRA_PLUGIN
        EVENT_V4_INITIALIZE
        EVENT_V4_MODIFY_LIQUIDITY
        EVENT_V4_SWAP
        EVENT_V4_DONATE
        EVENT_V4_PROTOCOL_FEE
        EVENT_SOLIDLY_SYNC
        EVENT_SOLIDLY_SWAP
        EVENT_SOLIDLY_FEE
        EVENT_CAMELOT_FEES
        EVENT_CAMELOT_TYPE
        EVENT_CURVE_EXCHANGE
        EVENT_CURVE_OTHER
        EVENT_CRYPTO_EXCHANGE
        EVENT_CRYPTO_OTHER
        EVENT_BALANCER_SWAP
        EVENT_BALANCER_CHANGED
        EVENT_BALANCER_MANAGED
        EVENT_BALANCER_SWAP_FEE
        EVENT_BALANCER_OTHER
        EVENT_KINDS

    enum:
        EVENT_MAX_WORDS

    ctypedef struct log_event:
        uint32_t kind
        uint32_t log_index
        uint32_t tx_index
        uint8_t removed
        uint8_t n_topics
        uint8_t n_words
        uint8_t truncated
        uint8_t misshapen
        uint64_t block_number
        uint8_t address[20]
        uint8_t block_hash[32]
        uint8_t tx_hash[32]
        uint8_t topic0[32]
        u256 topic[3]
        u256 word[30]

    ctypedef struct head_event:
        uint64_t number
        uint64_t timestamp
        uint8_t hash[32]
        uint8_t parent_hash[32]
        uint64_t base_fee
        uint64_t gas_limit
        uint8_t has_bloom
        uint8_t logs_bloom[256]


cdef extern from "plan.h" nogil:
    enum:
        PLAN_MAX_HOPS

    enum funding:
        FUNDING_OWN
        FUNDING_FLASH_SWAP
        FUNDING_BALANCER
        FUNDING_AAVE

    ctypedef struct plan_hop:
        uint8_t pool[20]
        uint8_t kind
        uint8_t zero_for_one
        uint8_t index_in
        uint8_t index_out
        uint32_t fee_pips
        uint32_t slot
        uint32_t token_in
        uint32_t token_out
        u256 amount_in
        u256 amount_out
        double price_after

    ctypedef struct swap_plan:
        uint8_t token[20]
        uint8_t funding
        uint8_t n_hops
        uint8_t finished
        uint64_t deadline
        u256 amount_in
        u256 amount_out
        u256 min_profit
        u256 profit
        plan_hop hop[4]
