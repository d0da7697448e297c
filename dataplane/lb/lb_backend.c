/* SPDX-License-Identifier: Apache-2.0 */
/* Back ends: their ids, connections and health, and how they leave. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/rcu.h"
#include "core/worker.h"
#include "lb/lb_internal.h"
#include "lb/persist.h"

/* What a thread writes for itself, by id: no line is written by two. */
struct thread {
	_Atomic uint32_t *open; /* connections, less those that others opened and this one closed */
	_Atomic uint32_t *turns; /* by listener */
};

static struct thread threads[RCU_THREADS_MAX];
static unsigned int n_threads;
static struct lb_backend *_Atomic backends[LB_BACKENDS_MAX];
static bool ids[LB_BACKENDS_MAX];
static struct hash_table by_address;
static struct lb_backend *leaving, *gone, *to_tell;
static uint64_t seed;
static uint32_t turn_ms; /* the clock at the last turn */
static const struct lb_watcher *watcher;

int lb_init(void)
{
	n_threads = rcu_threads();
	for (unsigned int t = 0; t < n_threads; t++) {
		threads[t].open = calloc(LB_BACKENDS_MAX, sizeof(*threads[t].open));
		threads[t].turns = calloc(LB_LISTENERS_MAX, sizeof(*threads[t].turns));
		if (threads[t].open == NULL || threads[t].turns == NULL)
			return -ENOMEM;
	}
	if (hash_table_init(&by_address) != 0)
		return -ENOMEM;
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = (uintptr_t)threads[0].open;
	return lb_persist_init();
}

struct lb_backend *lb_backend_get(uint32_t id)
{
	return id < LB_BACKENDS_MAX ? rcu_ptr_get(backends[id]) : NULL;
}

/*
 * Connections.
 */

static void add(uint32_t id, uint32_t n)
{
	_Atomic uint32_t *open = &threads[rcu_thread].open[id];

	atomic_store_explicit(
		open, atomic_load_explicit(open, memory_order_relaxed) + n, memory_order_relaxed);
}

void lb_connection_opened(uint32_t id)
{
	add(id, 1);
}

void lb_connection_closed(uint32_t id)
{
	add(id, UINT32_MAX);
}

uint32_t lb_connections_of(uint32_t id)
{
	uint32_t sum = 0;

	for (unsigned int t = 0; t < n_threads; t++)
		sum += atomic_load_explicit(&threads[t].open[id], memory_order_relaxed);
	/* Read in the midst of changes it may be off by some. */
	return (int32_t)sum > 0 ? sum : 0;
}

uint32_t lb_connections(const struct lb_backend *backend)
{
	return lb_connections_of(backend->id);
}

_Atomic uint32_t *lb_turn_of(const struct lb_listener *l)
{
	return &threads[rcu_thread].turns[l->id];
}

/* Anywhere in the round: not all threads, nor all nodes, begin with the same back end. */
void lb_turns_start(const struct lb_listener *l)
{
	for (unsigned int t = 0; t < n_threads; t++)
		threads[t].turns[l->id] = hash_fold(seed = hash_mix(seed, l->id));
}

/*
 * Records.
 */

static uint32_t hash_of(
	const struct lb_listener *l, const struct ip_addr *addr, rte_be16_t port_number)
{
	uint64_t hash = hash_mix(hash_mix(0, addr->q[0]), addr->q[1]);

	return hash_fold(hash_mix(hash, (uint64_t)l->id << 16 | port_number));
}

struct lb_backend *lb_backend_of(
	const struct lb_listener *l, const struct ip_addr *addr, rte_be16_t port_number)
{
	struct hash_node *n = hash_table_find(&by_address, hash_of(l, addr, port_number));

	for (; n != NULL; n = hash_node_same(n)) {
		struct lb_backend *b = HASH_OBJECT(n, struct lb_backend, node);

		if (b->listener == l && b->port_number == port_number &&
			ip_addr_equal(&b->addr, addr))
			return b;
	}
	return NULL;
}

struct lb_backend *lb_backend_find(const char *lb, uint8_t protocol, rte_be16_t port,
	const struct ip_addr *addr, rte_be16_t port_number)
{
	const struct lb *balancer = lb_by_name(lb);
	const struct lb_listener *l =
		balancer != NULL ? lb_listener_at(balancer, protocol, port) : NULL;
	struct lb_backend *b = l != NULL ? lb_backend_of(l, addr, port_number) : NULL;

	return b != NULL && !b->leaving ? b : NULL;
}

struct visit {
	void (*fn)(struct lb_backend *backend, void *arg);
	void *arg;
};

static void visit_backends(struct lb *lb, void *arg)
{
	const struct visit *v = arg;

	for (struct lb_listener *l = lb->listeners; l != NULL; l = l->next)
		for (struct lb_backend *b = l->backends; b != NULL && l->config != NULL;
			b = b->next)
			if (!b->leaving)
				v->fn(b, v->arg);
}

void lb_each_backend(void (*fn)(struct lb_backend *backend, void *arg), void *arg)
{
	lb_each(visit_backends, &(struct visit){fn, arg});
}

/* Of one that is gone, and has no connections. */
static uint32_t take_id(void)
{
	static uint32_t last;

	for (uint32_t n = 1; n < LB_BACKENDS_MAX; n++) {
		last = last + 1 < LB_BACKENDS_MAX ? last + 1 : 1;
		if (!ids[last]) {
			ids[last] = true;
			return last;
		}
	}
	return 0;
}

struct lb_backend *lb_backend_new(const struct ip_addr *addr, rte_be16_t port_number)
{
	struct lb_backend *b = calloc(1, sizeof(*b));

	if (b == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	b->id = take_id();
	if (b->id == 0) {
		free(b);
		errno = ENOSPC;
		return NULL;
	}
	b->addr = *addr;
	b->port_number = port_number;
	b->epoch = epoch_take();
	if (b->epoch == EPOCH_NO_SLOT) /* all are taken: its flows are asked at every change */
		b->epoch = EPOCH_ANY_SLOT;
	return b;
}

void lb_backend_free(struct lb_backend *b)
{
	if (b->epoch != EPOCH_ANY_SLOT)
		epoch_free(b->epoch);
	ids[b->id] = false;
	free(b);
}

void lb_backend_put(struct lb_listener *l, struct lb_backend *b)
{
	b->listener = l;
	b->since_ms = clock_ms();
	b->next = l->backends;
	b->at = &l->backends;
	if (b->next != NULL)
		b->next->at = &b->next;
	l->backends = b;
	hash_table_insert(&by_address, &b->node, hash_of(l, &b->addr, b->port_number));
	rcu_ptr_set(backends[b->id], b);
	lb_tell(b);
	lb_choice_changed(l);
}

static void forget_leaving(const struct lb_backend *b)
{
	struct lb_backend **at = &leaving;

	while (*at != b)
		at = &(*at)->next_leaving;
	*at = b->next_leaving;
}

void lb_backend_set(struct lb_backend *b, uint8_t weight, const char *port_name)
{
	if (b->leaving) {
		forget_leaving(b);
		b->drained = false;
		b->leaving = false;
		b->health = LB_HEALTH_UNKNOWN;
		b->since_ms = clock_ms();
		lb_tell(b);
	}
	b->weight = weight;
	memset(b->port_name, 0, sizeof(b->port_name));
	memcpy(b->port_name, port_name, strnlen(port_name, PORT_NAME_MAX - 1));
	lb_choice_changed(b->listener);
}

/* Its running connections are asked again, and are over. */
static void cut(struct lb_backend *b)
{
	b->drained = true;
	epoch_bump(b->epoch);
}

void lb_backend_leave(struct lb_backend *b)
{
	const struct lb_config *config = b->listener->config;
	uint32_t drain_s = config != NULL ? config->drain_s : 0;

	if (!b->leaving) {
		b->leaving = true;
		b->drain_until_ms = turn_ms + drain_s * 1000;
		b->next_leaving = leaving;
		leaving = b;
		lb_tell(b);
		lb_choice_changed(b->listener);
	}
	if (drain_s == 0 && !b->drained)
		cut(b);
}

/* No worker chooses it any more. One may just have done so: then the id is its session's as long as that lives. */
static void retire(void *arg)
{
	struct lb_backend *b = arg;

	if (lb_connections(b) == 0) {
		lb_backend_free(b);
		return;
	}
	b->next_leaving = gone;
	gone = b;
}

static void turn_gone(void)
{
	for (struct lb_backend **at = &gone, *b; (b = *at) != NULL;) {
		if (lb_connections(b) != 0) {
			at = &b->next_leaving;
			continue;
		}
		*at = b->next_leaving;
		lb_backend_free(b);
	}
}

/* Nobody has a connection to it, and nobody gets one. */
static void reap(struct lb_backend *b)
{
	struct lb_listener *l = b->listener;

	*b->at = b->next;
	if (b->next != NULL)
		b->next->at = b->at;
	hash_table_remove(&by_address, &b->node);
	rcu_ptr_set(backends[b->id], NULL);
	rcu_defer(retire, b);
	if (!l->lb->removed)
		lb_listener_reap(l);
}

static void turn_drains(uint32_t now_ms)
{
	for (struct lb_backend **at = &leaving, *b; (b = *at) != NULL;) {
		if (!b->drained && (int32_t)(now_ms - b->drain_until_ms) >= 0)
			cut(b);
		if (b->to_tell || lb_connections(b) != 0) {
			at = &b->next_leaving;
			continue;
		}
		*at = b->next_leaving;
		reap(b);
	}
}

void lb_turn(uint32_t now_ms)
{
	turn_ms = now_ms;
	turn_drains(now_ms);
	turn_gone();
	lb_table_reap();
	(void)lb_choice_work(LB_WORK_TURN);
}

/*
 * Health.
 */

void lb_watch(const struct lb_watcher *w)
{
	watcher = w;
}

void lb_tell(struct lb_backend *b)
{
	if (b->to_tell)
		return;
	b->to_tell = true;
	b->next_told = to_tell;
	to_tell = b;
}

/* Of a listener without an item nothing is known. */
static bool is_unchecked(const struct lb_backend *b)
{
	const struct lb_config *config = b->listener->config;
	const char *type;

	if (config == NULL)
		return false;
	type = json_string_value(json_object_get(config->health_check, "type"));
	return type == NULL || strcmp(type, "none") == 0;
}

static void set_health(struct lb_backend *b, enum lb_health health)
{
	if (b->health == health)
		return;
	atomic_store_explicit(&b->health, (uint8_t)health, memory_order_release);
	b->since_ms = clock_ms();
	if (health == LB_HEALTH_DOWN)
		epoch_bump(b->epoch);
	lb_choice_changed(b->listener);
}

static void tell(struct lb_backend *b)
{
	b->to_tell = false;
	if (!b->leaving && is_unchecked(b))
		set_health(b, LB_HEALTH_UP);
	if (watcher == NULL)
		return;
	if (b->leaving || b->listener->config == NULL)
		watcher->removed(b);
	else
		watcher->changed(b);
}

/* Most transactions' choices are made by their end. So are all of the first one, by which a dataplane starts: connections from before
 * are picked up by them. */
void lb_settle(void)
{
	static bool settled;
	struct lb_backend *b;

	while ((b = to_tell) != NULL) {
		to_tell = b->next_told;
		tell(b);
	}
	(void)lb_choice_work(settled ? LB_WORK_TURN : UINT32_MAX);
	settled = true;
}

void lb_health_set(struct lb_backend *b, enum lb_health health, const char *reason)
{
	snprintf(b->reason, sizeof(b->reason), "%s", reason != NULL ? reason : "");
	if (b->health == health)
		return;
	set_health(b, health);
	lb_choice_judge(b->listener);
}
