/* SPDX-License-Identifier: Apache-2.0 */
#include "session/account.h"

#include <string.h>

#include "session/session.h"

/* After these one whole turn has begun and ended since: each session was asked again, or is gone. */
#define TURNS 2u

static struct account {
	_Atomic uint64_t packets[2], bytes[2]; /* [inward] */
	/* Control thread. */
	void (*ended)(void *arg);
	void *arg;
	uint32_t closed; /* the turn in which it was */
	bool used, closing;
} accounts[ACCOUNTS_MAX];

static uint32_t turns, next_id = 1, n_closing;

uint16_t account_new(void)
{
	for (uint32_t n = 1; n < ACCOUNTS_MAX; n++) {
		uint32_t id = next_id;

		next_id = next_id + 1 < ACCOUNTS_MAX ? next_id + 1 : 1;
		if (accounts[id].used)
			continue;
		memset(&accounts[id], 0, sizeof(accounts[id]));
		accounts[id].used = true;
		return (uint16_t)id;
	}
	return ACCOUNT_NONE;
}

static uint64_t get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

struct account_figures account_figures(uint16_t id)
{
	const struct account *a = &accounts[id];

	return (struct account_figures){
		.in_packets = get(&a->packets[1]),
		.in_bytes = get(&a->bytes[1]),
		.out_packets = get(&a->packets[0]),
		.out_bytes = get(&a->bytes[0]),
	};
}

void account_close(uint16_t id, void (*ended)(void *arg), void *arg)
{
	struct account *a = &accounts[id];

	if (id == ACCOUNT_NONE)
		return;
	a->ended = ended;
	a->arg = arg;
	a->closed = turns;
	a->closing = true;
	n_closing++;
}

bool account_waits(void)
{
	return n_closing != 0;
}

void account_turned(void)
{
	turns++;
	for (uint32_t id = 1, left = n_closing; left > 0; id++) {
		struct account *a = &accounts[id];

		if (!a->closing)
			continue;
		left--;
		if (turns - a->closed < TURNS)
			continue;
		a->used = a->closing = false;
		n_closing--;
		if (a->ended != NULL)
			a->ended(a->arg);
	}
}

/* Of two who do so at once each counts what the other has not. */
static uint64_t advance64(_Atomic uint64_t *told, uint64_t now)
{
	uint64_t old = get(told);

	while ((int64_t)(now - old) > 0)
		if (atomic_compare_exchange_weak_explicit(
			    told, &old, now, memory_order_relaxed, memory_order_relaxed))
			return now - old;
	return 0;
}

static uint32_t advance32(_Atomic uint32_t *told, uint32_t now)
{
	uint32_t old = atomic_load_explicit(told, memory_order_relaxed);

	while ((int32_t)(now - old) > 0)
		if (atomic_compare_exchange_weak_explicit(
			    told, &old, now, memory_order_relaxed, memory_order_relaxed))
			return now - old;
	return 0;
}

static void add(const struct session_account *s, unsigned int dir, uint32_t packets, uint64_t bytes)
{
	for (unsigned int i = 0; i < SESSION_ACCOUNTS && s->id[i] != ACCOUNT_NONE; i++) {
		struct account *a = &accounts[s->id[i] & ~ACCOUNT_INWARD];
		bool inward = (dir == 0) == ((s->id[i] & ACCOUNT_INWARD) != 0);

		atomic_fetch_add_explicit(&a->packets[inward], packets, memory_order_relaxed);
		atomic_fetch_add_explicit(&a->bytes[inward], bytes, memory_order_relaxed);
	}
}

void account_settle(uint32_t index)
{
	struct session_account *s = &session_accounts[index];

	for (unsigned int dir = 0; dir < 2; dir++) {
		const struct session_hot *hot = &session_hots[dir][index];
		uint32_t packets = advance32(&s->packets[dir], (uint32_t)get(&hot->packets));
		uint64_t bytes = advance64(&s->bytes[dir], get(&hot->bytes));

		if ((packets | bytes) != 0)
			add(s, dir, packets, bytes);
	}
}

void account_begin(uint32_t index, const uint16_t ids[SESSION_ACCOUNTS])
{
	struct session_account *s = &session_accounts[index];

	for (unsigned int dir = 0; dir < 2; dir++) {
		const struct session_hot *hot = &session_hots[dir][index];

		atomic_store_explicit(
			&s->packets[dir], (uint32_t)get(&hot->packets), memory_order_relaxed);
		atomic_store_explicit(&s->bytes[dir], get(&hot->bytes), memory_order_relaxed);
	}
	memcpy(s->id, ids, sizeof(s->id));
}
