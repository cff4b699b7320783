"""The search's C face."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from mevfast._graph cimport advanced_pool
from mevfast._scan cimport MAX_HOPS, Scan, candidate
from mevfast._size cimport lender_fee, sized_cycle, swap_way
from mevfast.types cimport pool_state, swap_plan
from mevfast.u256 cimport u256


cdef enum:
    MAX_PLANS = 16
    N_FUNDINGS = 4
    N_KINDS = 16                  # more than enum pool_kind has
    MAX_ADVANCED = 256            # pools that plans of several rounds go through

# What lenders offer in one start token.
cdef struct lender_terms:
    u256 available[N_FUNDINGS]    # by enum funding; token units (flash swap: unused)
    uint64_t fee_balancer         # 1e-18 of the amount, rounded up
    uint32_t fee_aave             # 1e-4 of the amount
    uint8_t aave_rounds_up        # Pool revision 9 and later; half up before

cdef struct search_settings:
    uint32_t max_sized            # candidates sized exactly per call
    uint32_t max_plans            # plans returned per call
    uint8_t allowed[N_FUNDINGS]   # by enum funding
    uint32_t gas_base             # per transaction
    uint32_t gas_hop[N_KINDS]     # by enum pool_kind
    uint32_t gas_funding[N_FUNDINGS]
    u256 min_profit               # base token wei, after gas
    double max_input              # base token wei, 0: no limit


cdef class Search(Scan):
    cdef search_settings settings
    cdef lender_terms *lenders    # by token id
    cdef uint32_t n_lenders
    cdef double gas_price         # wei, of the call under way
    cdef swap_plan plans[MAX_PLANS]
    cdef double plan_net[MAX_PLANS]         # base token wei after gas
    cdef uint32_t n_plans
    cdef uint16_t *plans_on       # by slot: a bit for each plan that uses the pool, while solving
    cdef double min_net           # settings.min_profit
    cdef swap_plan scratch
    cdef bint unhurried           # Python asks: sizes are taken to the last unit
    cdef uint32_t next_found      # of `found`, sorted: what next_cycle takes
    cdef pool_state states[MAX_HOPS]        # of the cycle looked at last: from `unload` to a write
    cdef uint32_t loaded[MAX_HOPS]          # whose; NO_SLOT: none
    cdef const pool_state *pools[MAX_HOPS]  # `states`
    cdef swap_way ways[MAX_HOPS]
    cdef advanced_pool *advances  # what `advanced` points to while plans are looked beyond
    cdef readonly uint64_t n_quotes

    cdef lender_terms *lender(self, uint32_t token) except NULL
    cdef dict plan_dict(self, const swap_plan *plan)
    cdef list _slots(self, slots)
    cdef bint advance(self) noexcept nogil
    cdef void retreat(self) noexcept nogil
    cdef void unload(self) noexcept nogil
    cdef void load(self, uint32_t i, uint32_t slot, uint8_t index_in, uint8_t index_out) noexcept nogil
    cdef void load_plan(self, const swap_plan *plan) noexcept nogil
    cdef double gas_units(self, const candidate *c, uint32_t funding) noexcept nogil
    cdef bint terms(self, uint32_t token, uint32_t funding, lender_fee *fee,
                    u256 *cap) noexcept nogil
    cdef int fund(self, const candidate *c, swap_plan *plan, double *net) noexcept nogil
    cdef void appraise(self, uint64_t gas_price) noexcept nogil
    cdef int next_cycle(self, double *net) noexcept nogil
    cdef void fill(self, const candidate *c, const sized_cycle *sized, uint32_t funding,
                   swap_plan *plan) noexcept nogil
    cdef void finish(self, swap_plan *plan, double *net) noexcept nogil
    cdef int outdone(self, const candidate *c) noexcept nogil
    cdef int take(self, double net) noexcept nogil
    cdef void mark(self, bint on) noexcept nogil
    cdef uint32_t poorest_plan(self) noexcept nogil
    cdef void sort_plans(self) noexcept nogil
    cdef uint32_t solve(self, uint64_t gas_price, uint64_t deadline) noexcept nogil
    cdef int replay(self, const swap_plan *plan, u256 *out) noexcept nogil
    cdef uint32_t gas_limit(self, const swap_plan *plan) noexcept nogil
