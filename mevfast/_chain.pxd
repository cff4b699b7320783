"""Swaps one after another: what sizing asks of a cycle's pools."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mevfast.types cimport pool_state
from mevfast.u256 cimport u128, u256


cdef extern from "v2_chain.h" nogil:
    enum:
        CYCLE_HOPS

    # A swap's direction: indices into the pool's own tokens.
    ctypedef struct swap_way:
        uint8_t token_in
        uint8_t token_out

    ctypedef struct v2_hop:
        u128 reserve_in
        u128 reserve_out
        uint64_t kept

    bint v2_chain_load(
        v2_hop *hops, const pool_state **pools, const swap_way *ways, uint32_t n,
    ) noexcept
    double v2_chain_best(
        const v2_hop *hops, uint32_t n, double target, const u256 *cap, double *most,
    ) noexcept
    u128 v2_chain_amount(double x, const u256 *cap) noexcept
    bint v2_chain_run(const v2_hop *hops, uint32_t n, u128 x, u256 *amounts) noexcept


# What run_chain answers where it carries no amounts to the end.
cdef enum chain_status:
    CHAIN_OK
    CHAIN_TOO_LITTLE              # some pool pays nothing for what reaches it
    CHAIN_REFUSED                 # some pool refuses what reaches it, or cannot take it all
    CHAIN_ODD                     # some pool's own search fails at this very amount

cdef struct sized_cycle:
    u256 amount[CYCLE_HOPS + 1]   # into hop 0, between the hops, out of the last one
    u256 profit                   # out - in - lender's fee
    double price_after[CYCLE_HOPS] # of each hop's quote; 0 where it was not kept
    uint32_t quotes               # exact quotes it took
    bint finished                 # a finish would leave it as it is

# What borrowing the input costs: fee = amount * numerator / denominator, rounded as said.
cdef struct lender_fee:
    u256 numerator
    u256 denominator              # 0: no fee
    uint8_t half_up               # else rounded up
    double rate

# How long the integer finish may look: up to what matters, or for as long as is left before a
# transaction must be on its way.
cdef struct pace:
    double enough                 # of the profit: what more is not looked for,
    double enough_units           # or where a unit is more than 1e-9 of it, this of a unit
    double left                   # ns of quotes, about

# The curve at a cycle's best amounts, by swap.
cdef struct tangent:
    double slope[CYCLE_HOPS]      # what the last unit into a pool adds to what it pays
    double fee[CYCLE_HOPS]        # of a fee that moves, else 0: in the units it is rounded down to,
    double rise[CYCLE_HOPS]       # and what a unit of input adds to it

# A cycle being sized.
cdef struct cycle:
    const pool_state **pools
    const swap_way *ways
    uint32_t n
    const lender_fee *fee
    const u256 *cap
    double target                 # the price of the whole cycle at the best input: 1 + the fee
    double most                   # what no input pays more than; infinity where that is unknown
    sized_cycle *best             # what pays most of all that was tried
    pace pace                     # of the finish
    double cost                   # ns of a quote of the whole cycle, about; 0 before the finish
    double quote_cost[CYCLE_HOPS] # the same of each pool
    double least_in[CYCLE_HOPS]   # the last least input that was found by quotes alone,
    double least_out[CYCLE_HOPS]  # and what it is the least for; 0 where there is none

cdef int lender_fee_of(const lender_fee *fee, const u256 *amount, u256 *out) noexcept nogil
cdef void count_costs(cycle *c) noexcept nogil
cdef bint has_exact_out(const pool_state *s) noexcept nogil
cdef int run_chain(const pool_state **pools, const swap_way *ways, uint32_t n,
                   const u256 *amount_in, u256 *amounts, double *prices) noexcept nogil
cdef int keep_better(cycle *c, const u256 *amounts, const double *prices) noexcept nogil
cdef int try_amount(cycle *c, const u256 *x, double *slope) noexcept nogil
cdef void tangent_of(const cycle *c, tangent *at) noexcept nogil
cdef int least_input(cycle *c, uint32_t place, const u256 *want, double tolerance,
                     const double *slopes, u256 *x) noexcept nogil
