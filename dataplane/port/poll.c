/* SPDX-License-Identifier: Apache-2.0 */
#include "port/poll.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include <rte_cycles.h>

#include "core/rcu.h"

#define EVENTS 128
/* What fd ports give in a turn, before the graph works on it: 256 small frames or a few of 64 kB, which stay in the cache. */
#define TURN_BYTES (256 << 10)
#define FRAME_COST 1024 /* a frame counts as so many bytes at least */
#define WAKE_DATA UINT64_MAX
#define POLL_SLOTS 256
#define UPLINK_WEIGHT 16 /* an underlay or external port counts as so many tenants' */
/* Active entries beyond one a port: further queues, and those of ports that went away and were not looked at since. */
#define ACTIVE_EXTRA 4096

/* A queue without a file descriptor. The control thread fills and empties slots; a slot is used again only after
 * the grace period of port_close(). */
struct poll_slot {
	struct port *_Atomic port; /* NULL: free */
	uint16_t queue;
};

struct poll_set {
	/* Written by the worker. */
	unsigned int slot;        /* next of `slots` in this turn */
	unsigned int active_left; /* of `active`, still to be read in this turn */
	unsigned int budget;      /* frames of active ports left in this turn */
	bool found;               /* this turn gave frames */
	bool more_events;         /* the last answer was full */
	int n_events;             /* in `events`, not taken yet */
	uint64_t asked_tsc;
	uint32_t *active; /* readable queues (queue_ref()), in no order */
	unsigned int n_active, max_active, cursor;
	uint64_t *is_active; /* by port index: a bit a queue */
	struct epoll_event events[EVENTS];
	/* Written by the control thread. */
	int epoll_fd __rte_cache_aligned;
	_Atomic uint32_t fd_queues;
	_Atomic uint32_t n_slots; /* those behind were never used */
	struct poll_slot slots[POLL_SLOTS];
	unsigned int load; /* of this worker, to place new ports */
} __rte_cache_aligned;

static struct poll_set *sets;                 /* [worker_count] */
static uint64_t busy_interval, idle_interval; /* TSC */

/* A queue that is read when its file descriptor says so: the index of its port, which has 16 bits, and its number. */
static uint32_t queue_ref(const struct port *port, uint16_t queue)
{
	return port->index | (uint32_t)queue << 16;
}

static struct port *ref_port(uint32_t ref)
{
	return port_get(ref & 0xffff);
}

static uint16_t ref_queue(uint32_t ref)
{
	return (uint16_t)(ref >> 16);
}

/* The worker of a port's queue. */
static unsigned int owner(const struct port *port, uint16_t queue)
{
	return (port->rx_worker + queue) % worker_count;
}

static void activate(struct poll_set *s, struct worker *w, uint32_t ref)
{
	const struct port *port = ref_port(ref);
	uint64_t bit = UINT64_C(1) << ref_queue(ref);

	if (port == NULL || (s->is_active[port->index] & bit) ||
		owner(port, ref_queue(ref)) != w->id || s->n_active == s->max_active)
		return;
	s->is_active[port->index] |= bit;
	s->active[s->n_active++] = ref;
}

static void take_events(struct poll_set *s, struct worker *w)
{
	for (int i = 0; i < s->n_events; i++) {
		if (s->events[i].data.u64 != WAKE_DATA)
			activate(s, w, (uint32_t)s->events[i].data.u64);
	}
	s->more_events = s->n_events == EVENTS;
	s->n_events = 0;
}

static bool time_to_ask(const struct poll_set *s, uint64_t now)
{
	uint64_t since = now - s->asked_tsc;

	if (s->more_events)
		return true;
	return since > (s->found ? busy_interval : idle_interval);
}

void port_poll_begin(struct worker *w)
{
	struct poll_set *s = &sets[w->id];

	if (s->n_events == 0 && atomic_load_explicit(&s->fd_queues, memory_order_relaxed) > 0 &&
		time_to_ask(s, w->now_tsc)) {
		s->asked_tsc = w->now_tsc;
		s->n_events = RTE_MAX(0, epoll_wait(s->epoll_fd, s->events, EVENTS, 0));
	}
	if (s->n_events > 0)
		take_events(s, w);
	s->slot = 0;
	s->budget = TURN_BYTES;
	s->found = false;
}

static uint16_t read_port(struct worker *w, struct port *port, uint16_t queue,
	struct rte_mbuf **pkts, uint16_t n, uint32_t *bytes)
{
	struct port_counters *c = &port->counters[w->id];
	uint16_t got = port->driver->rx_burst(port, queue, pkts, n);

	*bytes = 0;
	for (uint16_t i = 0; i < got; i++)
		*bytes += pkts[i]->pkt_len;
	c->rx_packets += got;
	c->rx_bytes += *bytes;
	w->count.received += got;
	return got;
}

static void leave(struct poll_set *s, unsigned int pos)
{
	uint32_t ref = s->active[pos];

	s->is_active[ref & 0xffff] &= ~(UINT64_C(1) << ref_queue(ref));
	s->active[pos] = s->active[--s->n_active];
}

/* The next active queue that gives frames, round after round until the turn's budget is used up: a long turn makes long bursts
 * for the nodes behind and for the outputs. A queue that is drained, gone or another worker's leaves the list; one that may not
 * be left to its file descriptor yet stays, and the turn ends when all that are left are such. */
static uint16_t next_active(struct poll_set *s, struct worker *w, struct port **port,
	struct rte_mbuf **pkts, uint16_t n)
{
	unsigned int staying = 0;

	while (staying < s->n_active && s->budget > 0) {
		uint32_t bytes = 0;
		uint16_t got = 0, queue;
		bool stays = false;
		struct port *p;

		if (s->cursor >= s->n_active)
			s->cursor = 0;
		p = ref_port(s->active[s->cursor]);
		queue = ref_queue(s->active[s->cursor]);
		if (p != NULL && owner(p, queue) == w->id &&
			atomic_load_explicit(&p->polled, memory_order_acquire)) {
			got = read_port(w, p, queue, pkts, n, &bytes);
			stays = got == 0 && p->driver->rest != NULL && !p->driver->rest(p, queue);
		}
		if (stays) {
			staying++;
			s->cursor++;
			continue;
		}
		if (got == 0) {
			leave(s, s->cursor);
			continue;
		}
		s->budget -= RTE_MIN(s->budget, RTE_MAX(bytes, got * (uint32_t)FRAME_COST));
		s->cursor++;
		*port = p;
		return got;
	}
	return 0;
}

uint16_t port_poll_next(struct worker *w, struct port **port, struct rte_mbuf **pkts, uint16_t n)
{
	struct poll_set *s = &sets[w->id];
	uint32_t bytes;
	uint16_t got = 0;

	while (got == 0 && s->slot < atomic_load_explicit(&s->n_slots, memory_order_acquire)) {
		struct poll_slot *slot = &s->slots[s->slot++];

		*port = rcu_ptr_get(slot->port);
		if (*port != NULL)
			got = read_port(w, *port, slot->queue, pkts, n, &bytes);
	}
	if (got == 0)
		got = next_active(s, w, port, pkts, n);
	s->found |= got > 0;
	return got;
}

bool port_poll_idle(const struct worker *w)
{
	const struct poll_set *s = &sets[w->id];

	return !s->found && s->n_active == 0 && !s->more_events && s->n_events == 0;
}

void port_poll_wait(struct worker *w, unsigned int timeout_us)
{
	struct poll_set *s = &sets[w->id];
	struct timespec t;

	if (atomic_load_explicit(&s->n_slots, memory_order_relaxed) > 0)
		timeout_us = RTE_MIN(timeout_us, (unsigned int)POLL_TIMER_US);
	t = (struct timespec){timeout_us / 1000000, timeout_us % 1000000 * 1000L};
	s->n_events = RTE_MAX(0, epoll_pwait2(s->epoll_fd, s->events, EVENTS, &t, NULL));
	/* What was readable is known now; asking again at once would only cost. */
	s->asked_tsc = rte_rdtsc();
}

int port_epoll_fd(unsigned int worker)
{
	return sets[worker].epoll_fd;
}

/* --- control thread --- */

static int set_init(struct poll_set *s, const struct worker *w, uint32_t capacity)
{
	struct epoll_event wake = {.events = EPOLLIN | EPOLLET, .data.u64 = WAKE_DATA};

	s->max_active = capacity + ACTIVE_EXTRA;
	s->active = calloc(s->max_active, sizeof(*s->active));
	s->is_active = calloc(capacity, sizeof(*s->is_active));
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->active == NULL || s->is_active == NULL || s->epoll_fd < 0)
		return -ENOMEM;
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &wake) < 0)
		return -errno;
	return 0;
}

int port_poll_init(uint32_t capacity)
{
	uint64_t us = rte_get_tsc_hz() / 1000000;

	busy_interval = POLL_BUSY_INTERVAL_US * us;
	idle_interval = POLL_IDLE_INTERVAL_US * us;
	sets = aligned_alloc(RTE_CACHE_LINE_SIZE, worker_count * sizeof(*sets));
	if (sets == NULL)
		return -ENOMEM;
	memset(sets, 0, worker_count * sizeof(*sets));
	for (unsigned int i = 0; i < worker_count; i++) {
		int rc = set_init(&sets[i], &workers[i], capacity);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static unsigned int least_loaded(void)
{
	unsigned int best = 0;

	for (unsigned int i = 1; i < worker_count; i++) {
		if (sets[i].load < sets[best].load)
			best = i;
	}
	return best;
}

static int add_slot(struct poll_set *s, struct port *port, uint16_t queue)
{
	uint32_t n = s->n_slots;

	for (uint32_t i = 0; i < POLL_SLOTS; i++) {
		struct poll_slot *slot = &s->slots[i];

		if (slot->port != NULL)
			continue;
		slot->queue = queue;
		rcu_ptr_set(slot->port, port);
		if (i == n)
			atomic_store_explicit(&s->n_slots, n + 1, memory_order_release);
		return 0;
	}
	return -ENOSPC;
}

/* All queues of the port at this worker. */
static void remove_slots(struct poll_set *s, const struct port *port)
{
	uint32_t n = s->n_slots;

	for (uint32_t i = 0; i < n; i++) {
		if (s->slots[i].port == port)
			rcu_ptr_set(s->slots[i].port, NULL);
	}
	while (n > 0 && s->slots[n - 1].port == NULL)
		n--;
	atomic_store_explicit(&s->n_slots, n, memory_order_release);
}

static int fd_of(const struct port *port, uint16_t queue)
{
	return port->rx_fds != NULL ? port->rx_fds[queue] : port->rx_fd;
}

static int add_fd(struct poll_set *s, const struct port *port, uint16_t queue)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.u64 = queue_ref(port, queue)};

	if (s->fd_queues == s->max_active)
		return -ENOSPC;
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd_of(port, queue), &e) < 0)
		return -errno;
	atomic_fetch_add_explicit(&s->fd_queues, 1, memory_order_relaxed);
	return 0;
}

static void remove_fd(struct poll_set *s, const struct port *port, uint16_t queue)
{
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, fd_of(port, queue), NULL) == 0)
		atomic_fetch_sub_explicit(&s->fd_queues, 1, memory_order_relaxed);
}

/* The queues' share of their workers' load, put on (1) or taken off (-1). */
static void account(const struct port *port, int sign)
{
	int weight = port->role == PORT_TENANT ? 1 : UPLINK_WEIGHT;

	for (uint16_t q = 0; q < port->n_rx_queues; q++)
		sets[owner(port, q)].load += (unsigned int)(sign * weight);
}

int port_poll_add(struct port *port)
{
	int rc = 0;

	port->rx_worker = (uint8_t)least_loaded();
	account(port, 1);
	atomic_store_explicit(&port->polled, true, memory_order_release);
	for (uint16_t q = 0; rc == 0 && q < port->n_rx_queues; q++) {
		struct poll_set *s = &sets[owner(port, q)];

		rc = port->rx_fd >= 0 ? add_fd(s, port, q) : add_slot(s, port, q);
	}
	if (rc < 0)
		port_poll_remove(port);
	worker_wake_all();
	return rc;
}

void port_poll_remove(struct port *port)
{
	if (!atomic_exchange_explicit(&port->polled, false, memory_order_acq_rel))
		return;
	account(port, -1);
	if (port->rx_fd < 0) {
		for (unsigned int i = 0; i < worker_count; i++)
			remove_slots(&sets[i], port);
		return;
	}
	for (uint16_t q = 0; q < port->n_rx_queues; q++)
		remove_fd(&sets[owner(port, q)], port, q);
}
