"""From candidates to plans: exact size, funding, net profit, ranking.

What the edge scan of `_graph` lets through is sized by `_size` for every allowed way to fund the
first hop, priced net of gas and lender's fee in the base token, and taken best first; plans
returned together share no pool. Same table, same calls: same plans in the same order.
"""

import heapq

from libc.math cimport INFINITY, exp, fmax, fmin
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from mevfast._graph cimport (
    DROP_BELOW_MINIMUM,
    DROP_CANDIDATE_LIMIT,
    DROP_NO_FUNDING,
    DROP_NO_PRICE,
    DROP_PLAN_LIMIT,
    DROP_REFUSED_QUOTE,
    DROP_SHARES_POOL,
    DROP_UNPROFITABLE,
    MAX_HOPS,
    Graph,
    candidate,
)
from mevfast._chain cimport CYCLE_HOPS, lender_fee, sized_cycle, swap_way
from mevfast._math cimport u256_from_pyint, u256_to_pyint
from mevfast._size cimport chain_quote, finish_cycle, size_cycle
from mevfast._slots cimport slot_body, table_view_swaps
from mevfast.types cimport (
    FUNDING_AAVE,
    FUNDING_BALANCER,
    FUNDING_FLASH_SWAP,
    FUNDING_OWN,
    POOL_UNISWAP_V2,
    plan_hop,
    pool_state,
    swap_plan,
)
from mevfast.u256 cimport (
    u256,
    u256_from_double,
    u256_from_u64,
    u256_is_zero,
    u256_lt,
    u256_to_double,
)

from mevfast._slots import KIND_NAMES

# Without fee or limit first, so that what it sizes serves the others.
cdef uint32_t[4] FUNDING_ORDER = [
    <uint32_t>FUNDING_FLASH_SWAP, <uint32_t>FUNDING_OWN, <uint32_t>FUNDING_BALANCER,
    <uint32_t>FUNDING_AAVE]

cdef enum:
    NONE_LEFT = -2  # of next_cycle, beside the reasons, which are not negative

cdef uint64_t ONE_ETHER = 1000000000000000000

FUNDING_NAMES = ("own", "flash_swap", "balancer", "aave")


cdef class Search(Graph):
    """The graph with prices on top: what a cycle nets, and which plans to send."""

    def __cinit__(self, *args):
        self.plans_on = <uint16_t *>calloc(self.table.t.capacity, sizeof(uint16_t))
        if self.plans_on == NULL:
            raise MemoryError(f"search over {self.table.t.capacity} pools")
        memset(&self.settings, 0, sizeof(search_settings))
        self.settings.max_sized = 64
        self.settings.max_plans = 4
        self.settings.allowed[<int>FUNDING_FLASH_SWAP] = True

    def __dealloc__(self):
        free(self.lenders)
        free(self.plans_on)

    cdef lender_terms *lender(self, uint32_t token) except NULL:
        """The terms for a token id; nothing to be had until `lend` says otherwise."""
        cdef uint32_t i
        if token >= self.n_lenders:
            lenders = realloc(self.lenders, (token + 1) * sizeof(lender_terms))
            if lenders == NULL:
                raise MemoryError(f"{token + 1} tokens")
            self.lenders = <lender_terms *>lenders
            for i in range(self.n_lenders, token + 1):
                memset(&self.lenders[i], 0, sizeof(lender_terms))
            self.n_lenders = token + 1
        return &self.lenders[token]

    def configure(self, *, uint32_t max_hops=4, uint32_t max_sized=64, uint32_t max_plans=4,
                  double min_log_gain=0.0, fundings=("flash_swap",), min_profit=0,
                  uint32_t gas_base=0, uint32_t gas_v2=0, uint32_t gas_v3=0,
                  gas_funding=(0, 0, 0, 0)):
        """Settings of the search; `min_profit` in base token wei after gas, gas in units.

        `gas_funding` is by FUNDING_NAMES. Raises ValueError on values outside their range.
        """
        cdef uint32_t i
        if not 2 <= max_hops <= MAX_HOPS:
            raise ValueError(f"max_hops: expected 2 to {MAX_HOPS}, was {max_hops}")
        if not 1 <= max_plans <= MAX_PLANS:
            raise ValueError(f"max_plans: expected 1 to {MAX_PLANS}, was {max_plans}")
        if not min_log_gain >= 0.0:
            raise ValueError(f"min_log_gain: expected 0 or more, was {min_log_gain}")
        self.max_hops, self.min_log_gain = max_hops, min_log_gain
        self.settings.max_sized, self.settings.max_plans = max_sized, max_plans
        for i, name in enumerate(FUNDING_NAMES):
            self.settings.allowed[i] = name in fundings
            self.settings.gas_funding[i] = gas_funding[i]
        u256_from_pyint(&self.settings.min_profit, min_profit)
        self.min_net = u256_to_double(&self.settings.min_profit)
        self.settings.gas_base = gas_base
        self.settings.gas_hop[1], self.settings.gas_hop[2] = gas_v2, gas_v3

    def lend(self, bytes token, *, own=0, balancer=0, aave=0, uint64_t fee_balancer=0,
             uint32_t fee_aave=0, bint aave_rounds_up=False):
        """What can be had of a start token: own balance and lenders' liquidity, token units.

        Fees as the contracts hold them: Balancer's in 1e-18, Aave's premium in 1e-4.
        """
        cdef uint32_t id = self.table.add_token(token)
        cdef lender_terms *terms = self.lender(id)
        u256_from_pyint(&terms.available[<int>FUNDING_OWN], own)
        u256_from_pyint(&terms.available[<int>FUNDING_BALANCER], balancer)
        u256_from_pyint(&terms.available[<int>FUNDING_AAVE], aave)
        terms.fee_balancer, terms.fee_aave = fee_balancer, fee_aave
        terms.aave_rounds_up = aave_rounds_up

    def find(self, slots=None, uint64_t gas_price=0, uint64_t deadline=0):
        """Every plan through any of `slots` (all of the graph by default), best net first.

        `gas_price` in wei. Each plan is a dict: token, funding, amount_in, amount_out, profit
        (after the lender's fee, token units), min_profit, net (base token wei after gas),
        gas_units, deadline, hops; each hop: pool, slot, kind, zero_for_one, fee_pips, token_in,
        token_out, amount_in, amount_out. Addresses are bytes, amounts token units. What else was
        found is counted by `dropped`. IndexError where a slot is not in the graph.
        """
        cdef uint32_t n = 0, i
        cdef uint32_t *wanted
        if slots is None:
            slots = [i for i in range(self.table.t.head.n_slots) if self.known[i]]
        else:
            slots = list(dict.fromkeys(slots))
        wanted = <uint32_t *>malloc(max(len(slots), 1) * sizeof(uint32_t))
        if wanted == NULL:
            raise MemoryError(f"{len(slots)} slots")
        try:
            for n, slot in enumerate(slots):
                if not 0 <= slot < self.table.t.head.n_slots or not self.known[<uint32_t>slot]:
                    raise IndexError(f"slot {slot}: expected one that add_pool was called with")
                wanted[n] = slot
            n = len(slots)
            with nogil:
                self.bloom = NULL
                self.begin()
                self.collect(wanted, n)
                n = self.solve(gas_price, deadline)
        finally:
            free(wanted)
        return [self.plan_dict(&self.plans[i]) | {"net": self.plan_net[i]} for i in range(n)]

    def cycles(self, slots, uint64_t gas_price=0, most=None):
        """Every cycle through any of `slots` that pays on the table as it is, best net first.

        For looking at a market: unlike the plans of `find`, cycles may share pools, and the table
        holds for each as if it were alone. The entries are those of `find`; with `most` only so many
        of the best. A pool's candidates beyond max_sized are counted by `dropped`.
        """
        cdef uint32_t slot, sized
        cdef int why
        cdef double net = 0.0, floor = self.min_net
        best = []  # a heap of (net, - place in the order of finding, plan)
        found = 0
        slots = list(dict.fromkeys(slots))
        for number in slots:
            if not 0 <= number < self.table.t.head.n_slots or not self.known[<uint32_t>number]:
                raise IndexError(f"slot {number}: expected one that add_pool was called with")
        try:
            for slot in slots:
                self.bloom = NULL
                self.begin()
                self.collect(&slot, 1)
                self.scanned[slot] = True  # its cycles are not found again from their other pools
                self.appraise(gas_price)
                sized = 0
                while sized < self.settings.max_sized:
                    with nogil:
                        why = self.next_cycle(&net)
                    if why == NONE_LEFT:
                        break
                    sized += 1
                    if why >= 0:
                        self.drops[why] += 1
                        continue
                    found += 1
                    entry = (net, -found, self.plan_dict(&self.scratch) | {"net": net})
                    if most is None or len(best) < most:
                        heapq.heappush(best, entry)
                    else:
                        heapq.heappushpop(best, entry)
                    if len(best) == most:  # what cannot get among them is not sized
                        self.min_net = fmax(floor, best[0][0])
                self.drops[<int>DROP_CANDIDATE_LIMIT] += self.n_found
        finally:
            self.min_net = floor
            for slot in slots:
                self.scanned[slot] = False
        return [plan for _, _, plan in sorted(best, reverse=True)]

    cdef dict plan_dict(self, const swap_plan *plan):
        """A plan as `find` says, without what it nets."""
        cdef const plan_hop *hop
        cdef uint32_t i
        hops = []
        for i in range(plan.n_hops):
            hop = &plan.hop[i]
            hops.append({
                "pool": (<const char *>hop.pool)[:20], "slot": hop.slot,
                "kind": KIND_NAMES[hop.kind], "zero_for_one": bool(hop.zero_for_one),
                "fee_pips": hop.fee_pips, "token_in": self.table.token_addresses[hop.token_in],
                "token_out": self.table.token_addresses[hop.token_out],
                "amount_in": u256_to_pyint(&hop.amount_in),
                "amount_out": u256_to_pyint(&hop.amount_out)})
        return {
            "token": (<const char *>plan.token)[:20], "funding": FUNDING_NAMES[plan.funding],
            "amount_in": u256_to_pyint(&plan.amount_in),
            "amount_out": u256_to_pyint(&plan.amount_out), "profit": u256_to_pyint(&plan.profit),
            "min_profit": u256_to_pyint(&plan.min_profit), "gas_units": self.gas_limit(plan),
            "deadline": plan.deadline, "hops": hops,
        }

    # ---- sizing, funding, ranking ----

    cdef void load_pools(self, const candidate *c, pool_state *states, const pool_state **pools,
                         swap_way *ways) noexcept nogil:
        cdef uint32_t i
        for i in range(c.n_hops):
            table_view_swaps(&self.table.t, c.hop[i].slot, &states[i])
            pools[i] = &states[i]
            ways[i].token_in, ways[i].token_out = 1 - c.hop[i].zero_for_one, c.hop[i].zero_for_one

    cdef double gas_units(self, const candidate *c, uint32_t funding) noexcept nogil:
        cdef double units = self.settings.gas_base + self.settings.gas_funding[funding]
        cdef uint32_t i
        for i in range(c.n_hops):
            units += self.settings.gas_hop[self.table.t.slots[c.hop[i].slot].body.kind]
        return units

    cdef bint terms(self, uint32_t token, uint32_t funding, lender_fee *fee,
                    u256 *cap) noexcept nogil:
        """Fee and limit of one way to fund the first hop; False where it is not to be had."""
        cdef lender_terms *t
        memset(fee, 0, sizeof(lender_fee))
        if not self.settings.allowed[funding]:
            return False
        if funding == <uint32_t>FUNDING_FLASH_SWAP:
            memset(cap, 0xff, sizeof(u256))
            cap.w[3] >>= 1  # amounts are int256 in V3 pools
            return True
        if token >= self.n_lenders:
            return False
        t = &self.lenders[token]
        cap[0] = t.available[funding]
        if funding == <uint32_t>FUNDING_BALANCER and t.fee_balancer != 0:
            u256_from_u64(&fee.numerator, t.fee_balancer)
            u256_from_u64(&fee.denominator, ONE_ETHER)
            fee.rate = t.fee_balancer * 1e-18
        elif funding == <uint32_t>FUNDING_AAVE:
            u256_from_u64(&fee.numerator, t.fee_aave)
            u256_from_u64(&fee.denominator, 10000)
            fee.half_up = not t.aave_rounds_up
            fee.rate = t.fee_aave * 1e-4
        return not u256_is_zero(cap)

    cdef int fund(self, const candidate *c, swap_plan *plan, double *net) noexcept nogil:
        """Sizes a candidate by each way to fund it and fills the plan that nets most.

        Returns -1 with `plan` filled, or the drop_reason.
        """
        cdef pool_state states[CYCLE_HOPS]
        cdef const pool_state *pools[CYCLE_HOPS]
        cdef swap_way ways[CYCLE_HOPS]
        cdef uint32_t token = c.hop[0].token_in, funding, i
        cdef double rate = self.price_in_base(token), value, gas, best = -INFINITY
        cdef double margin = exp(c.log_gain) - 1.0, most = INFINITY
        cdef lender_fee fee
        cdef u256 cap, floor
        cdef sized_cycle sized, free_sized
        cdef int status, why = <int>DROP_NO_FUNDING
        cdef bint have_free = False
        if rate <= 0.0:
            return <int>DROP_NO_PRICE
        self.load_pools(c, states, pools, ways)
        for i in range(N_FUNDINGS):
            funding = FUNDING_ORDER[i]
            if not self.terms(token, funding, &fee, &cap):
                continue
            gas = self.gas_units(c, funding) * self.gas_price
            # Profit is concave: no input up to the cap earns more than the margin on all of it.
            if margin * fmin(u256_to_double(&cap), most) / rate - gas < best:
                continue
            if have_free and fee.rate == 0.0 and not u256_lt(&cap, &free_sized.amount[0]):
                sized = free_sized  # the same problem as before: only the gas differs
            else:
                status = size_cycle(pools, ways, c.n_hops, &fee, &cap, &sized)
                self.n_quotes += sized.quotes
                if status != 0:
                    if why == <int>DROP_NO_FUNDING:
                        why = <int>DROP_REFUSED_QUOTE if status < 0 else <int>DROP_UNPROFITABLE
                    continue
                # The peak itself and not the end of a purse: no lender's money earns more.
                if fee.rate == 0.0 and not have_free and \
                        2.0 * u256_to_double(&sized.amount[0]) < u256_to_double(&cap):
                    free_sized, have_free = sized, True
                    most = u256_to_double(&sized.profit) / margin
            value = u256_to_double(&sized.profit) / rate - gas
            if value > best:
                best = value
                self.fill(c, &sized, funding, plan)
        if best == -INFINITY:
            return why
        if best < u256_to_double(&self.settings.min_profit):
            return <int>DROP_BELOW_MINIMUM
        # The executor's own floor: what it takes to come out even with gas and the minimum.
        if u256_from_double(&floor, (self.gas_units(c, plan.funding) * self.gas_price
                                     + u256_to_double(&self.settings.min_profit)) * rate) != 0:
            return <int>DROP_BELOW_MINIMUM
        plan.min_profit = plan.profit if u256_lt(&plan.profit, &floor) else floor
        net[0] = best
        return -1

    cdef void fill(self, const candidate *c, const sized_cycle *sized, uint32_t funding,
                   swap_plan *plan) noexcept nogil:
        cdef uint32_t i
        cdef slot_body *body
        cdef plan_hop *hop
        plan.funding, plan.n_hops = <uint8_t>funding, <uint8_t>c.n_hops
        plan.amount_in, plan.amount_out = sized.amount[0], sized.amount[c.n_hops]
        plan.profit = sized.profit
        for i in range(c.n_hops):
            body = &self.table.t.slots[c.hop[i].slot].body
            hop = &plan.hop[i]
            memcpy(hop.pool, body.address, 20)
            hop.kind, hop.zero_for_one = body.kind, c.hop[i].zero_for_one
            hop.fee_pips = body.v2.fee_pips if body.kind == POOL_UNISWAP_V2 else 0
            hop.slot = c.hop[i].slot
            hop.token_in = body.token0 if hop.zero_for_one else body.token1
            hop.token_out = body.token1 if hop.zero_for_one else body.token0
            hop.amount_in, hop.amount_out = sized.amount[i], sized.amount[i + 1]

    cdef uint32_t solve(self, uint64_t gas_price, uint64_t deadline) noexcept nogil:
        """Sizes what `collect` found since `begin`; returns how many plans it made of it.

        `gas_price` in wei. plans[0..n) share no pool, best net profit first; every other
        candidate is counted under a drop reason. Candidates are taken by their estimate; one whose
        bound does not beat what is there is not sized.
        """
        cdef uint32_t i, at, sized = 0
        cdef double net
        cdef int why
        self.appraise(gas_price)
        while True:
            at = self.next_candidate()
            if at == self.n_found:
                break
            if sized == self.settings.max_sized:
                self.drops[<int>DROP_CANDIDATE_LIMIT] += self.n_found
                break
            sized += 1
            why = self.fund(&self.found[at], &self.scratch, &net)
            self.forget(at)
            if why < 0:
                self.scratch.deadline = deadline
                self.mark(False)
                why = self.take(net)
                self.mark(True)
            if why >= 0:
                self.drops[why] += 1
        for i in range(self.n_plans):
            self.finish(&self.plans[i], &self.plan_net[i])
        self.mark(False)
        self.sort_plans()
        for i in range(self.n_plans):
            memcpy(self.plans[i].token, self.token_bytes + 20 * self.plans[i].hop[0].token_in, 20)
        return self.n_plans

    cdef void appraise(self, uint64_t gas_price) noexcept nogil:
        """Notes the most that each of the found can net, and that there are no plans yet."""
        cdef uint32_t i, cheapest = 0
        self.gas_price = <double>gas_price
        self.n_plans = 0
        for i in range(N_FUNDINGS):
            if self.settings.allowed[i] and (
                    not self.settings.allowed[cheapest]
                    or self.settings.gas_funding[i] < self.settings.gas_funding[cheapest]):
                cheapest = i
        for i in range(self.n_found):
            self.found[i].most = self.found[i].bound \
                - self.gas_units(&self.found[i], cheapest) * self.gas_price

    cdef int next_cycle(self, double *net) noexcept nogil:
        """Sizes the candidate with the best estimate, alone, into `scratch`.

        Returns -1 with it and what it nets, the drop_reason, or NONE_LEFT.
        """
        cdef uint32_t at = self.next_candidate()
        cdef int why
        if at == self.n_found:
            return NONE_LEFT
        why = self.fund(&self.found[at], &self.scratch, net)
        self.forget(at)
        if why >= 0:
            return why
        self.scratch.deadline = 0
        self.finish(&self.scratch, net)
        memcpy(self.scratch.token, self.token_bytes + 20 * self.scratch.hop[0].token_in, 20)
        return why

    cdef void finish(self, swap_plan *plan, double *net) noexcept nogil:
        """Takes a plan that will be returned from nearly to exactly the best input."""
        cdef pool_state states[CYCLE_HOPS]
        cdef const pool_state *pools[CYCLE_HOPS]
        cdef swap_way ways[CYCLE_HOPS]
        cdef lender_fee fee
        cdef u256 cap
        cdef sized_cycle sized
        cdef uint32_t i
        for i in range(plan.n_hops):
            table_view_swaps(&self.table.t, plan.hop[i].slot, &states[i])
            pools[i] = &states[i]
            ways[i].token_in = 1 - plan.hop[i].zero_for_one
            ways[i].token_out = plan.hop[i].zero_for_one
            sized.amount[i] = plan.hop[i].amount_in
        sized.amount[plan.n_hops] = plan.amount_out
        sized.profit = plan.profit
        sized.quotes = 0
        self.terms(plan.hop[0].token_in, plan.funding, &fee, &cap)
        finish_cycle(pools, ways, plan.n_hops, &fee, &cap, &sized)
        self.n_quotes += sized.quotes
        net[0] += (u256_to_double(&sized.profit) - u256_to_double(&plan.profit)) \
            / self.price_in_base(plan.hop[0].token_in)
        plan.amount_in, plan.amount_out = sized.amount[0], sized.amount[plan.n_hops]
        plan.profit = sized.profit
        for i in range(plan.n_hops):
            plan.hop[i].amount_in, plan.hop[i].amount_out = sized.amount[i], sized.amount[i + 1]

    cdef void forget(self, uint32_t at) noexcept nogil:
        """Takes a candidate out of the list."""
        self.n_found -= 1
        self.found[at] = self.found[self.n_found]

    cdef uint32_t next_candidate(self) noexcept nogil:
        """The candidate with the best estimate, n_found where none is left.

        Drops on its way those that cannot beat the plans taken so far. Ties go to the candidate
        whose pools come first, so that the order never depends on where it stands.
        """
        cdef uint32_t i = 0, best = 0, j
        cdef candidate *c
        cdef double most, taken, floor = -INFINITY
        cdef uint32_t shared
        if self.n_plans == self.settings.max_plans:
            floor = self.plan_net[self.poorest_plan()]
        while i < self.n_found:
            c = &self.found[i]
            most = c.most
            shared = 0
            for j in range(c.n_hops):
                shared |= self.plans_on[c.hop[j].slot]
            taken = 0.0
            if shared:
                for j in range(self.n_plans):
                    if shared >> j & 1:
                        taken += self.plan_net[j]
            if most < self.min_net:
                self.drops[<int>DROP_BELOW_MINIMUM] += 1
                self.forget(i)
            elif shared and most <= taken:
                self.drops[<int>DROP_SHARES_POOL] += 1
                self.forget(i)
            elif not shared and most <= floor:
                self.drops[<int>DROP_PLAN_LIMIT] += 1
                self.forget(i)
            else:
                if i > best and before(c, &self.found[best]):
                    best = i
                i += 1
        return best if self.n_found else 0

    cdef int take(self, double net) noexcept nogil:
        """Adds the scratch plan, in place of those it shares pools with where it nets more than
        they do together, else in place of the poorest where there is no room. Returns -1, or the
        drop_reason of what loses."""
        cdef uint32_t i, kept = 0, lost = 0, poorest
        cdef double taken = 0.0
        for i in range(self.n_plans):
            if share_pool(&self.plans[i], &self.scratch):
                taken += self.plan_net[i]
                lost += 1
        if lost and net <= taken:
            return <int>DROP_SHARES_POOL
        if not lost and self.n_plans == self.settings.max_plans:
            poorest = self.poorest_plan()
            if net <= self.plan_net[poorest]:
                return <int>DROP_PLAN_LIMIT
            self.drops[<int>DROP_PLAN_LIMIT] += 1
            self.plans[poorest] = self.scratch
            self.plan_net[poorest] = net
            return -1
        for i in range(self.n_plans):
            if not share_pool(&self.plans[i], &self.scratch):
                self.plans[kept] = self.plans[i]
                self.plan_net[kept] = self.plan_net[i]
                kept += 1
        self.drops[<int>DROP_SHARES_POOL] += lost
        self.plans[kept] = self.scratch
        self.plan_net[kept] = net
        self.n_plans = kept + 1
        return -1

    cdef void mark(self, bint on) noexcept nogil:
        """Notes for each pool which plans use it, or forgets it again."""
        cdef uint32_t i, j
        for i in range(self.n_plans):
            for j in range(self.plans[i].n_hops):
                self.plans_on[self.plans[i].hop[j].slot] = <uint16_t>(1 << i) if on else 0

    cdef uint32_t poorest_plan(self) noexcept nogil:
        cdef uint32_t i, poorest = 0
        for i in range(1, self.n_plans):
            if self.plan_net[i] < self.plan_net[poorest]:
                poorest = i
        return poorest

    cdef void sort_plans(self) noexcept nogil:
        cdef uint32_t i, j
        for i in range(1, self.n_plans):
            j = i
            while j > 0 and self.plan_net[j - 1] < self.plan_net[j]:
                self.scratch = self.plans[j]
                self.plans[j] = self.plans[j - 1]
                self.plans[j - 1] = self.scratch
                self.plan_net[j - 1], self.plan_net[j] = self.plan_net[j], self.plan_net[j - 1]
                j -= 1

    cdef int replay(self, const swap_plan *plan, u256 *out) noexcept nogil:
        """What the plan's input would pay on the table as it is now: 0, or -1 where refused."""
        cdef pool_state states[CYCLE_HOPS]
        cdef const pool_state *pools[CYCLE_HOPS]
        cdef swap_way ways[CYCLE_HOPS]
        cdef u256 amounts[CYCLE_HOPS + 1]
        cdef uint32_t i
        for i in range(plan.n_hops):
            table_view_swaps(&self.table.t, plan.hop[i].slot, &states[i])
            pools[i] = &states[i]
            ways[i].token_in = 1 - plan.hop[i].zero_for_one
            ways[i].token_out = plan.hop[i].zero_for_one
        if chain_quote(pools, ways, plan.n_hops, &plan.amount_in, amounts) != 0:
            return -1
        out[0] = amounts[plan.n_hops]
        return 0

    cdef uint32_t gas_limit(self, const swap_plan *plan) noexcept nogil:
        """Gas a plan is expected to use, units."""
        cdef uint32_t units = self.settings.gas_base + self.settings.gas_funding[plan.funding], i
        for i in range(plan.n_hops):
            units += self.settings.gas_hop[plan.hop[i].kind]
        return units


cdef bint before(const candidate *a, const candidate *b) noexcept nogil:
    """Better estimate first, then fewer hops, then lower slots."""
    cdef uint32_t i
    if a.estimate != b.estimate:
        return a.estimate > b.estimate
    if a.n_hops != b.n_hops:
        return a.n_hops < b.n_hops
    for i in range(a.n_hops):
        if a.hop[i].slot != b.hop[i].slot:
            return a.hop[i].slot < b.hop[i].slot
    return False


cdef bint share_pool(const swap_plan *a, const swap_plan *b) noexcept nogil:
    cdef uint32_t i, j
    for i in range(a.n_hops):
        for j in range(b.n_hops):
            if a.hop[i].slot == b.hop[j].slot:
                return True
    return False
