/* Swaps over ready sums: the stops around a pool's price, and what a swap pays from one to another.
 *
 * A step that reaches its target takes and gives amounts that depend on the two prices, the
 * liquidity between them and the fee alone, so sums over such steps can be kept. It is reached where
 * no less than these amounts is left: floor(x * (1 - fee)) >= in just where x >= in + ceil(in *
 * fee / (1 - fee)). What is left to compute of a swap is its last step, in which the amount runs
 * out. Who walks step by step, as v3_quote does without a window and beyond one, gets the same to
 * the unit.
 */
#ifndef MEVFAST_V3_WINDOW_H
#define MEVFAST_V3_WINDOW_H

#include "pool.h"
#include "sqrt_price_math.h"
#include "tick_math.h"

/* A swap under way: where it is, what is left of the specified amount, and the other one so far. */
typedef struct {
    v3_after at;
    u256 remaining, calculated;
    double root; /* the double nearest to the price, without the 2**96; 0 where it is not at hand */
} v3_swap;

/* Three amounts of this many bits make a sum of 128. */
enum { V3_SUM_BITS = 126 };

/* ---- building ---- */

/* What the step from one price to another takes (fee included) and gives: 0, or U256_OVERFLOW where
 * it is more than the sums hold. */
static inline int v3_full_step(u128 *in, u128 *out, const u256 *from, const u256 *to,
                               u128 liquidity, uint32_t fee_pips, int token_in)
{
    const u256 *low = token_in ? from : to, *high = token_in ? to : from;
    u256 paid, fee, given;
    if (get_amount_delta(&paid, low, high, liquidity, token_in, 1) != U256_OK ||
        get_amount_delta(&given, low, high, liquidity, !token_in, 0) != U256_OK ||
        fee_on_top(&fee, &paid, fee_pips) != U256_OK || u256_add(&paid, &paid, &fee))
        return U256_OVERFLOW;
    if (u256_bit_length(&paid) > V3_SUM_BITS || u256_bit_length(&given) > V3_SUM_BITS)
        return U256_OVERFLOW;
    *in = u256_lo128(&paid);
    *out = u256_lo128(&given);
    return U256_OK;
}

/* Adds a stop after the last one, or the first: 0, or U256_OVERFLOW where the sums end. They start
 * from stop 1. Stop 0 only tells how far the stops are known: it is never ahead of a price. */
static inline int v3_way_extend(v3_way *way, int32_t tick, const u256 *price, u128 liquidity,
                                int token_in)
{
    const uint32_t n = way->n_stops, last = n - 1;
    u128 in = 0, out = 0;
    if (n == V3_STOPS)
        return U256_OVERFLOW;
    if (n > 1) {
        if (v3_full_step(&in, &out, &way->sqrt_price_x96[last], price, way->liquidity[last],
                         way->fee_pips, token_in) != U256_OK)
            return U256_OVERFLOW;
        in += way->amount_in[last];
        out += way->amount_out[last];
        if ((in | out) >> V3_SUM_BITS != 0)
            return U256_OVERFLOW;
    }
    way->tick[n] = tick;
    way->sqrt_price_x96[n] = *price;
    way->liquidity[n] = liquidity;
    way->amount_in[n] = in;
    way->amount_out[n] = out;
    way->n_stops = n + 1;
    return U256_OK;
}

/* Adds a stop that is still behind the price: where the sums end, they start again from there. */
static inline void v3_way_add(v3_way *way, int32_t tick, const u256 *price, u128 liquidity,
                              int token_in)
{
    if (v3_way_extend(way, tick, price, liquidity, token_in) != U256_OK) {
        way->n_stops = 0;
        v3_way_extend(way, tick, price, liquidity, token_in);
    }
}

/* Finds the stop ahead of the price of w, and what the swap to it comes to; next is 0 where the
 * stops around the price are not all known, or contradict the state. */
static inline void v3_way_move(v3_way *way, const v3_window *w, int token_in)
{
    const u256 *price = &w->sqrt_price_x96;
    uint32_t i = 1;
    way->next = 0;
    while (i < way->n_stops && (token_in ? way->tick[i] <= w->tick : way->tick[i] > w->tick))
        i++;
    if (i >= way->n_stops || way->liquidity[i - 1] != w->liquidity)
        return;
    const u256 *behind = &way->sqrt_price_x96[i - 1], *ahead = &way->sqrt_price_x96[i];
    if (token_in ? u256_lt(price, behind) || u256_lt(ahead, price)
                 : u256_lt(behind, price) || u256_lt(price, ahead))
        return;
    if (v3_full_step(&way->next_in, &way->next_out, price, ahead, w->liquidity, way->fee_pips,
                     token_in) == U256_OK)
        way->next = i;
}

/* Takes the window to another price of the same ticks. */
static inline void v3_window_move(v3_window *w, const u256 *sqrt_price_x96, u128 liquidity,
                                  int32_t tick)
{
    w->sqrt_price_x96 = *sqrt_price_x96;
    w->liquidity = liquidity;
    w->tick = tick;
    v3_way_move(&w->way[0], w, 0);
    v3_way_move(&w->way[1], w, 1);
}

/* Forgets the stops: ticks or fees have changed. */
static inline void v3_window_void(v3_window *w)
{
    for (int i = 0; i < 2; i++)
        w->way[i].n_stops = w->way[i].next = 0;
}

/* Whether the stops should be found anew: none around the price are known, or few are left where
 * there are more. */
static inline int v3_way_worn(const v3_way *way)
{
    const int cut = way->n_stops != 0 && way->tick[0] > MIN_TICK && way->tick[0] < MAX_TICK;
    return way->next == 0 || (cut && way->next < V3_STOPS_BEHIND / 2) ||
           (way->n_stops == V3_STOPS && way->next > (V3_STOPS + V3_STOPS_BEHIND) / 2);
}

static inline int v3_window_worn(const v3_window *w)
{
    return v3_way_worn(&w->way[0]) || v3_way_worn(&w->way[1]);
}

/* Whether the window stands at the state's price. */
static inline int v3_window_at(const v3_window *w, const v3_state *s)
{
    return w->tick == s->tick && w->liquidity == s->liquidity &&
           u256_eq(&w->sqrt_price_x96, &s->sqrt_price_x96);
}

/* ---- swapping ---- */

/* The sums of one direction, or NULL where the state is not the one that they start from. */
static inline const v3_way *v3_way_of(const v3_state *s, int token_in)
{
    const v3_window *w = s->window;
    if (w == NULL || w->way[token_in].next == 0 ||
        w->way[token_in].fee_pips != s->fee_pips[token_in] || !v3_window_at(w, s))
        return NULL;
    return &w->way[token_in];
}

/* The first stop from `low` on whose sum is not below `goal`; n where there is none. */
static inline uint32_t v3_way_seek(const u128 *sums, uint32_t low, uint32_t n, u128 goal)
{
    while (low < n) {
        uint32_t middle = (low + n) >> 1;
        if (sums[middle] < goal)
            low = middle + 1;
        else
            n = middle;
    }
    return low;
}

/* To stop i, which is crossed. */
static inline void v3_way_stop(v3_after *at, const v3_way *way, uint32_t i, int token_in)
{
    at->sqrt_price_x96 = way->sqrt_price_x96[i];
    at->liquidity = way->liquidity[i];
    at->tick = way->tick[i] - !token_in;
}

/* The last step, which ends before stop `next`, or on it where an output's rounding takes it there:
 * moves the swap, returns the other amount. The amount is below what the step to the stop comes to, so
 * there is liquidity and the contract's arithmetic overflows nowhere. */
static inline u128 v3_last_step(v3_swap *swap, const v3_way *way, uint32_t next, u128 amount,
                                int token_in, int exact_in)
{
    v3_after *at = &swap->at;
    const int token = exact_in ? token_in : !token_in;
    u256 usable, price = at->sqrt_price_x96, other = {{0}};
    u256_from_u128(&usable, exact_in ? amount_less_fee(amount, way->fee_pips) : amount);
    get_next_sqrt_price(&price, &at->sqrt_price_x96, at->liquidity, &usable, token, exact_in);
    get_amount_delta(&other, token_in ? &at->sqrt_price_x96 : &price,
                     token_in ? &price : &at->sqrt_price_x96, at->liquidity, !token, !exact_in);
    if (!exact_in && u256_eq(&price, &way->sqrt_price_x96[next])) {
        v3_way_stop(at, way, next, token_in);
    } else if (!u256_eq(&price, &at->sqrt_price_x96)) {
        swap->root = u256_to_double(&price) * Q96_INVERSE;
        at->tick = tick_math_tick_of(&price, swap->root);
        at->sqrt_price_x96 = price;
    }
    return exact_in ? u256_lo128(&other) : amount_with_fee(u256_lo128(&other), way->fee_pips);
}

/* Swaps `amount` as far as the stops of `way` are known. Where something remains, the caller goes
 * on from `swap->at`, the last of them. Returns 0 where the amount is beyond these sums. */
static inline int v3_way_swap(v3_swap *swap, const v3_way *way, const v3_state *s,
                              const u256 *amount, int token_in, int exact_in)
{
    const u128 first = exact_in ? way->next_in : way->next_out;
    const u128 *sums = exact_in ? way->amount_in : way->amount_out;
    const u128 *others = exact_in ? way->amount_out : way->amount_in;
    const uint32_t next = way->next, n = way->n_stops;
    u128 remaining = u256_lo128(amount), other = 0;
    uint32_t ahead = next;
    /* Going down, the contract multiplies price and amount, and takes another way where that has
     * more than 256 bits; here it has no more than 255. */
    const int most_bits = s->sqrt_price_x96.w[2] == 0 ? 127 : 95;
    if (!u256_fits_u128(amount) || remaining >> most_bits != 0 || remaining == 0)
        return 0;
    swap->root = 0.0;
    swap->at.sqrt_price_x96 = s->sqrt_price_x96;
    swap->at.liquidity = s->liquidity;
    swap->at.tick = s->tick;
    if (remaining >= first) {
        u128 goal;
        if (__builtin_add_overflow(sums[next], remaining - first, &goal))
            goal = ~(u128)0;
        ahead = v3_way_seek(sums, next, n, goal);
        const uint32_t last = ahead < n && sums[ahead] == goal ? ahead : ahead - 1;
        other = (exact_in ? way->next_out : way->next_in) + (others[last] - others[next]);
        remaining = remaining - first - (sums[last] - sums[next]);
        v3_way_stop(&swap->at, way, last, token_in);
    }
    if (remaining != 0 && ahead < n) {
        other += v3_last_step(swap, way, ahead, remaining, token_in, exact_in);
        remaining = 0;
    }
    u256_from_u128(&swap->remaining, remaining);
    u256_from_u128(&swap->calculated, other);
    return 1;
}

#endif
