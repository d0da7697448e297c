// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "lib/address_limit.h"

#define BUCKETS 256
#define ADDRESSES_MAX 4096

struct address_limit_entry {
	LIST_ENTRY(address_limit_entry) link;
	struct net_addr address;
	unsigned connections;
	uint64_t milli_tokens; /* as of */
	uint64_t at_ms;
};

LIST_HEAD(entry_list, address_limit_entry);

struct address_limit {
	unsigned connections, rate, burst;
	unsigned count;
	uint64_t seed; /* so that nobody can choose addresses of one bucket */
	struct entry_list buckets[BUCKETS];
};

struct address_limit *address_limit_new(unsigned connections, unsigned rate, unsigned burst)
{
	struct address_limit *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->connections = connections;
	l->rate = rate;
	l->burst = burst;
	if (getrandom(&l->seed, sizeof(l->seed), GRND_NONBLOCK) < 0)
		l->seed = (uintptr_t)l;
	return l;
}

static void forget(struct address_limit *l, struct address_limit_entry *e)
{
	LIST_REMOVE(e, link);
	l->count--;
	free(e);
}

void address_limit_free(struct address_limit *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while (!LIST_EMPTY(&l->buckets[i]))
			forget(l, LIST_FIRST(&l->buckets[i]));
	free(l);
}

static struct entry_list *bucket_of(struct address_limit *l, const struct net_addr *address)
{
	uint64_t h = l->seed;

	for (size_t i = 0; i < sizeof(address->bytes); i++) {
		h = (h ^ address->bytes[i]) * 0x100000001b3ULL;
		h ^= h >> 29;
	}
	return &l->buckets[h % BUCKETS];
}

static struct net_addr holder(const struct net_addr *address)
{
	struct net_addr a = *address;

	if (a.family == NET_IPV6)
		memset(a.bytes + 8, 0, 8);
	return a;
}

static void refill(const struct address_limit *l, struct address_limit_entry *e, uint64_t now_ms)
{
	uint64_t full = (uint64_t)l->burst * 1000, more = (now_ms - e->at_ms) * l->rate;

	e->milli_tokens = more >= full - e->milli_tokens ? full : e->milli_tokens + more;
	e->at_ms = now_ms;
}

/* Those that are as good as new. */
static void forget_idle(struct address_limit *l, uint64_t now_ms)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct address_limit_entry *e = LIST_FIRST(&l->buckets[i]), *next;

		for (; e != NULL; e = next) {
			next = LIST_NEXT(e, link);
			refill(l, e, now_ms);
			if (e->connections == 0 && e->milli_tokens == (uint64_t)l->burst * 1000)
				forget(l, e);
		}
	}
}

static struct address_limit_entry *find(
	struct address_limit *l, const struct net_addr *address, uint64_t now_ms)
{
	struct entry_list *bucket = bucket_of(l, address);
	struct address_limit_entry *e;

	LIST_FOREACH (e, bucket, link) {
		if (net_addr_equal(&e->address, address))
			return e;
	}
	if (l->count >= ADDRESSES_MAX)
		forget_idle(l, now_ms);
	e = l->count < ADDRESSES_MAX ? calloc(1, sizeof(*e)) : NULL;
	if (e == NULL)
		return NULL;
	e->address = *address;
	e->milli_tokens = (uint64_t)l->burst * 1000;
	e->at_ms = now_ms;
	l->count++;
	LIST_INSERT_HEAD(bucket, e, link);
	return e;
}

struct address_limit_entry *address_limit_enter(
	struct address_limit *l, const struct net_addr *address, uint64_t now_ms, const char **why)
{
	struct net_addr who = holder(address);
	struct address_limit_entry *e = find(l, &who, now_ms);

	if (e == NULL) {
		*why = "too many addresses at once";
		return NULL;
	}
	refill(l, e, now_ms);
	if (e->connections >= l->connections) {
		*why = "too many connections of this address";
		return NULL;
	}
	if (e->milli_tokens < 1000) {
		*why = "too many new connections of this address";
		return NULL;
	}
	e->milli_tokens -= 1000;
	e->connections++;
	return e;
}

void address_limit_leave(struct address_limit_entry *e)
{
	e->connections--;
}
