/* SPDX-License-Identifier: Apache-2.0 */
/* The sight thread: takes records out of the rings and hands them to whom they are for. Each observer has a ring with each worker, so what
 * one can not take is lost to it alone; they take turns (drain.c).
 *
 * A worker must not make a system call for each packet that somebody looks at. So while records come the thread looks by itself
 * every millisecond, and only after a pause goes to sleep and lets itself be woken.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <rte_cycles.h>

#include "core/rpc.h"
#include "lib/log.h"
#include "observe/observe_internal.h"
#include "observe/ring.h"

#define LOOK_MS 1
#define LOOKS_MAX 20 /* without a find, before it sleeps */

/* Something for the control thread to do. */
struct call {
	void (*fn)(void *arg);
	void *arg;
	struct call *next;
};

static struct observer *_Atomic open_observers[OBSERVERS_MAX];
static _Atomic bool
	closed[OBSERVERS_MAX]; /* set by the sight thread, taken by the control thread */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int sight_fd = -1; /* eventfd that wakes it */
static struct {
	struct call *head, **tail;
	int fd; /* eventfd, or -1 */
} to_control = {.tail = &to_control.head, .fd = -1};
static struct event *control_event;
static pthread_t thread;
static bool running;
static _Atomic bool stopping, asleep;

/* Sight thread: what observe_time_ns() reckons from. */
static uint64_t base_ns, base_tsc;

void observe_lost_later(struct observer *o, unsigned int n)
{
	atomic_fetch_add_explicit(&o->lost_later, n, memory_order_relaxed);
}

/* --- calls --- */

static struct call *calls_take(void)
{
	struct call *all;

	pthread_mutex_lock(&lock);
	all = to_control.head;
	to_control.head = NULL;
	to_control.tail = &to_control.head;
	pthread_mutex_unlock(&lock);
	return all;
}

static void calls_run(struct call *c)
{
	while (c != NULL) {
		struct call *next = c->next;

		c->fn(c->arg);
		free(c);
		c = next;
	}
}

static void control_called(evutil_socket_t fd, short what, void *arg)
{
	eventfd_t n;

	(void)what;
	(void)arg;
	eventfd_read((int)fd, &n);
	calls_run(calls_take());
}

bool observe_call_control(void (*fn)(void *arg), void *arg)
{
	struct call *c = malloc(sizeof(*c));

	if (c == NULL)
		return false;
	*c = (struct call){.fn = fn, .arg = arg};
	pthread_mutex_lock(&lock);
	*to_control.tail = c;
	to_control.tail = &c->next;
	pthread_mutex_unlock(&lock);
	eventfd_write(to_control.fd, 1);
	return true;
}

/* --- sight thread --- */

uint64_t observe_time_ns(uint64_t tsc)
{
	int64_t ticks = (int64_t)(tsc - base_tsc);

	return base_ns + (uint64_t)(int64_t)((double)ticks * 1e9 / (double)rte_get_tsc_hz());
}

static void set_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	base_tsc = rte_rdtsc();
	base_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct observer *opened(unsigned int id)
{
	return atomic_load_explicit(&open_observers[id], memory_order_acquire);
}

static bool rings_are_empty(void)
{
	for (unsigned int id = 0; id < OBSERVERS_MAX; id++) {
		const struct observer *o = opened(id);

		if (o != NULL && !drain_is_over(o))
			return false;
	}
	return true;
}

static void wait_for_work(bool sleep)
{
	struct pollfd p = {.fd = sight_fd, .events = POLLIN};
	eventfd_t n;

	if (sleep) {
		atomic_store_explicit(&asleep, true, memory_order_relaxed);
		atomic_thread_fence(memory_order_seq_cst);
	}
	if (!sleep || rings_are_empty())
		poll(&p, 1, sleep ? -1 : LOOK_MS);
	atomic_store_explicit(&asleep, false, memory_order_relaxed);
	if (p.revents & POLLIN)
		eventfd_read(sight_fd, &n);
}

/* What that takes is time of its turns. */
static void flush(struct observer *o)
{
	uint64_t began = rte_rdtsc();

	if (o->sink->flush != NULL)
		o->sink->flush(o);
	o->unflushed = false;
	o->credit -= (int64_t)(rte_rdtsc() - began);
}

static void close_here(struct observer *o)
{
	unsigned int id = o->id;

	if (o->unflushed)
		flush(o);
	if (o->sink->close != NULL)
		o->sink->close(o);
	atomic_store_explicit(&open_observers[id], NULL, memory_order_relaxed);
	observer_destroy(o);
	atomic_store_explicit(&closed[id], true, memory_order_release);
}

/* How much there was to do. Whether it ends is asked before its rings are looked at: its end comes behind its last record. */
static unsigned int turn(struct observer *o)
{
	bool ends = atomic_load_explicit(&o->ending, memory_order_acquire);
	unsigned int n = drain_turn(o);

	if (!drain_is_over(o))
		return n;
	if (ends) {
		close_here(o);
		return n + 1;
	}
	if (o->unflushed && o->credit >= 0)
		flush(o);
	return n;
}

static void *sight_main(void *arg)
{
	unsigned int looks = 0;

	(void)arg;
	for (;;) {
		bool last = atomic_load(&stopping);
		unsigned int found = 0;

		set_time();
		for (unsigned int id = 0; id < OBSERVERS_MAX; id++)
			if (opened(id) != NULL)
				found += turn(opened(id));
		looks = found > 0 ? 0 : looks + 1;
		if (last && found == 0)
			return NULL;
		if (!last && found == 0)
			wait_for_work(looks > LOOKS_MAX);
	}
}

/* --- workers --- */

void sight_wake(void)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (unlikely(atomic_load_explicit(&asleep, memory_order_relaxed)) &&
		atomic_exchange(&asleep, false))
		eventfd_write(sight_fd, 1);
}

/* Its place in the ring, its meta filled in; NULL: lost. */
static struct sight_record *reserve(
	struct observer *o, const struct observe_meta *meta, uint32_t len, struct ring **ring)
{
	uint32_t caplen = RTE_MIN(len, o->snaplen);
	struct sight_record *r;

	*ring = o->rings[worker_self->id];
	r = ring_reserve(*ring, (uint32_t)sizeof(*r) + caplen);
	if (unlikely(r == NULL)) {
		observe_lost(o, 1);
		return NULL;
	}
	r->meta = *meta;
	r->meta.len = len;
	r->meta.caplen = caplen;
	return r;
}

struct putting {
	struct observer *o;
	const struct observe_meta *meta;
};

static void put_frame(void *arg, struct rte_mbuf *m)
{
	const struct putting *p = arg;
	struct ring *ring;
	struct sight_record *r = reserve(p->o, p->meta, m->pkt_len, &ring);
	const void *data;

	if (r == NULL)
		return;
	data = rte_pktmbuf_read(m, 0, r->meta.caplen, r->data);
	if (data != NULL && data != r->data)
		memcpy(r->data, data, r->meta.caplen);
	ring_put(ring);
}

void observe_to_ring(struct observer *o, const struct observe_meta *meta, struct rte_mbuf *m)
{
	struct putting p = {o, meta};

	if (!observe_each_frame(m, put_frame, &p))
		observe_lost(o, 1);
}

void observe_bytes_to_ring(struct observer *o, const struct observe_meta *meta, const void *data)
{
	struct ring *ring;
	struct sight_record *r = reserve(o, meta, meta->len, &ring);

	if (r == NULL)
		return;
	if (r->meta.caplen > 0) /* else `data` may be NULL */
		memcpy(r->data, data, r->meta.caplen);
	ring_put(ring);
}

/* --- control thread --- */

static int make_fds(void)
{
	if (sight_fd < 0)
		sight_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (to_control.fd < 0)
		to_control.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (sight_fd < 0 || to_control.fd < 0)
		return -errno;
	if (control_event != NULL || rpc_base() == NULL)
		return 0;
	control_event =
		event_new(rpc_base(), to_control.fd, EV_READ | EV_PERSIST, control_called, NULL);
	return control_event != NULL && event_add(control_event, NULL) == 0 ? 0 : -ENOMEM;
}

/* Signals are the control thread's. */
static int start_thread(void)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, NULL, sight_main, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		pthread_setname_np(thread, "sight");
	return -rc;
}

int sight_start(void)
{
	int rc;

	if (running)
		return 0;
	rc = make_fds();
	if (rc == 0) {
		atomic_store(&stopping, false);
		rc = start_thread();
	}
	running = rc == 0;
	if (rc != 0)
		log_error("packets can not be handed out: no sight thread", LOG_ERRNO(rc));
	return rc;
}

void sight_open(struct observer *o)
{
	atomic_store_explicit(&open_observers[o->id], o, memory_order_release);
}

bool sight_has_closed(unsigned int id)
{
	return atomic_exchange(&closed[id], false);
}

void sight_close(struct observer *o)
{
	if (!running) {
		close_here(o);
		return;
	}
	atomic_store_explicit(&o->ending, true, memory_order_release);
	eventfd_write(sight_fd, 1);
}

void observe_fini(void)
{
	if (running) {
		atomic_store(&stopping, true);
		eventfd_write(sight_fd, 1);
		pthread_join(thread, NULL);
		running = false;
	}
	if (control_event != NULL)
		event_free(control_event);
	control_event = NULL;
	calls_run(calls_take());
}
