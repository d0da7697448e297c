/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/config.h"
#include "flow_log/flow_log_internal.h"
#include "lib/log.h"
#include "session/memory.h"
#include "session/session.h"

struct flow_log *flow_logs[FLOW_LOGS_MAX];
_Atomic uint64_t flow_log_vpcs[VPC_INDEX_MAX];
_Atomic bool flow_log_wants_denied;

struct flow_log *flow_log_find(const char *name)
{
	for (unsigned int i = 0; i < FLOW_LOGS_MAX; i++)
		if (flow_logs[i] != NULL && !flow_logs[i]->leaving &&
			strcmp(flow_logs[i]->name, name) == 0)
			return flow_logs[i];
	return NULL;
}

/* ---- Turns ---- */

struct flow_turns flow_log_now(void)
{
	return (struct flow_turns){true, clock_ms(), flow_watch_turns(), flow_denied_turns()};
}

/* Two turns: the first may have been under way. Without sessions the hand stands; the last ones have been handed over by then. */
bool flow_log_all_passed(const struct flow_turns *since)
{
	bool sessions = flow_watch_turns() - since->sessions >= 2 ||
			(session_used() == 0 && clock_ms() - since->ms >= 1000);

	return sessions && flow_denied_turns() - since->denied >= 2;
}

/* ---- Memory and sinks ---- */

static size_t marks_bytes(void)
{
	return (size_t)session_records() * sizeof(struct flow_mark);
}

static size_t denied_bytes(void)
{
	return flow_denied_entries() * sizeof(struct flow_denied_mark);
}

static bool same_sink(const struct flow_log *a, const struct flow_log *b)
{
	return a->json == b->json && a->biflow == b->biflow && a->vni == b->vni &&
	       strcmp(a->collector, b->collector) == 0;
}

static bool same_scope(const struct flow_log *a, const struct flow_log *b)
{
	return a->vni == b->vni && a->scope == b->scope &&
	       strcmp(a->scope_name, b->scope_name) == 0;
}

/* It goes on as another one with what it knows, and with its sink if that is the same. */
static bool same_log(const struct flow_log *a, const struct flow_log *b)
{
	return same_scope(a, b) && same_sink(a, b);
}

/* Places of those that are prepared and not put yet. */
static unsigned int reserved;

static bool reserve(struct flow_log *log)
{
	unsigned int used = reserved;

	for (unsigned int i = 0; i < FLOW_LOGS_MAX; i++)
		used += flow_logs[i] != NULL && !flow_logs[i]->leaving;
	if (used >= FLOW_LOGS_MAX)
		return false;
	log->reserved = true;
	reserved++;
	return true;
}

static void unreserve(struct flow_log *log)
{
	reserved -= log->reserved;
	log->reserved = false;
}

const char *flow_log_prepare(struct flow_log *log, const struct flow_log *now)
{
	struct flow_sink_config config = {.log = log->name,
		.node = node_config.node,
		.collector = log->collector,
		.json = log->json,
		.biflow = log->biflow,
		.domain = log->vni};

	if (now == NULL && !reserve(log))
		return "there is no room for more flow logs";
	if (flow_ring_init() != 0 || flow_denied_init() != 0)
		return "out of memory";
	if (now == NULL || !same_scope(log, now)) {
		log->marks = memory_map(marks_bytes(), false);
		log->denied_marks = memory_map(denied_bytes(), false);
		if (log->marks == NULL || log->denied_marks == NULL)
			return "out of memory";
	}
	log->tally = config.tally = now != NULL ? flow_tally_ref(now->tally) : flow_tally_new();
	if (log->tally == NULL)
		return "out of memory";
	if (now != NULL && same_log(log, now))
		return NULL;
	log->sink = flow_sink_open(&config);
	if (log->sink == NULL)
		return errno == EINVAL ? "the collector's address is none"
				       : "a thread for the collector can not be made";
	return NULL;
}

void flow_log_free(struct flow_log *log)
{
	unreserve(log);
	if (log->marks != NULL)
		memory_unmap(log->marks, marks_bytes());
	if (log->denied_marks != NULL)
		memory_unmap(log->denied_marks, denied_bytes());
	if (log->sink != NULL)
		flow_sink_close(log->sink);
	flow_tally_put(log->tally);
	free(log);
}

/* ---- Changes ---- */

static void set_vpc(struct flow_log *log, uint32_t vpc_index)
{
	uint64_t bit = 1ull << log->bit;

	if (vpc_index == log->vpc_index)
		return;
	if (log->vpc_index != 0)
		atomic_fetch_and_explicit(
			&flow_log_vpcs[log->vpc_index], ~bit, memory_order_relaxed);
	if (vpc_index != 0)
		atomic_fetch_or_explicit(&flow_log_vpcs[vpc_index], bit, memory_order_release);
	log->vpc_index = vpc_index;
}

static void enter_vpc(struct flow_log *log, const struct vpc *vpc)
{
	set_vpc(log, vpc->index);
	memcpy(log->vpc, vpc->name, sizeof(log->vpc));
	log->left.set = false;
}

static void settle_denied(void)
{
	bool any = false;

	for (unsigned int i = 0; i < FLOW_LOGS_MAX; i++)
		any |= flow_logs[i] != NULL && flow_logs[i]->denied && !flow_logs[i]->leaving;
	atomic_store_explicit(&flow_log_wants_denied, any, memory_order_relaxed);
}

void flow_log_settle(void)
{
	bool any = false;

	for (unsigned int i = 0; i < FLOW_LOGS_MAX; i++) {
		const struct vpc *vpc;

		if (flow_logs[i] == NULL)
			continue;
		any = true;
		if (flow_logs[i]->leaving)
			continue;
		vpc = vpc_by_vni(flow_logs[i]->vni);
		if (vpc != NULL)
			enter_vpc(flow_logs[i], vpc);
		else if (!flow_logs[i]->left.set && flow_logs[i]->vpc_index != 0)
			flow_logs[i]->left = flow_log_now(); /* its flows end in the second after */
	}
	settle_denied();
	if (any) {
		flow_watch_start();
		return;
	}
	flow_watch_stop();
	flow_scope_forget();
}

static void finish(struct flow_log *log)
{
	set_vpc(log, 0);
	flow_logs[log->bit] = NULL;
	flow_log_free(log);
}

static void leave(struct flow_log *log)
{
	log->leaving = true;
	log->left = flow_log_now();
}

/* A place for a new one, if need be that of one that leaves. */
static unsigned int free_bit(void)
{
	struct flow_log *leaving = NULL;

	for (unsigned int i = 0; i < FLOW_LOGS_MAX; i++) {
		if (flow_logs[i] == NULL)
			return i;
		if (flow_logs[i]->leaving)
			leaving = flow_logs[i];
	}
	RTE_VERIFY(leaving != NULL); /* reserve() has seen to it */
	finish(leaving);
	return free_bit();
}

/* What it knows goes over to its successor. */
static void inherit(struct flow_log *log, struct flow_log *old)
{
	log->bit = old->bit;
	log->since_ms = old->since_ms;
	log->marks = old->marks;
	log->denied_marks = old->denied_marks;
	log->vpc_index = old->vpc_index;
	memcpy(log->vpc, old->vpc, sizeof(log->vpc));
	log->left = old->left;
	old->marks = NULL;
	old->denied_marks = NULL;
	if (log->sink != NULL)
		return;
	log->sink = old->sink;
	old->sink = NULL;
}

void flow_log_put(struct flow_log *log)
{
	struct flow_log *old = flow_log_find(log->name);

	unreserve(log);
	if (old != NULL && same_scope(log, old)) {
		inherit(log, old);
		flow_sink_set_sample(log->sink, log->sample);
		flow_logs[log->bit] = log;
		flow_log_free(old);
		return;
	}
	if (old != NULL)
		leave(old);
	log->bit = free_bit();
	log->since_ms = clock_ms();
	flow_sink_set_sample(log->sink, log->sample);
	flow_logs[log->bit] = log;
}

void flow_log_remove(const char *name)
{
	struct flow_log *log = flow_log_find(name);

	if (log != NULL)
		leave(log);
}

/* ---- Small things ---- */

int64_t flow_log_wall_ms(uint32_t ms)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - (int32_t)(clock_ms() - ms);
}

static uint64_t half(const struct ip_addr *a, rte_be16_t port)
{
	return session_mix(session_mix(a->q[0] ^ session_seed[0], a->q[1] ^ session_seed[1]) ^ port,
		session_seed[2]);
}

bool flow_log_is_sampled(const struct flow_log *log, const struct flow_record *r)
{
	return log->sample <= 1 ||
	       session_mix(half(&r->src, r->sport) ^ r->proto, half(&r->dst, r->dport)) %
			       log->sample ==
		       0;
}

/* Logs that have told all, and those whose VPC has been gone for long enough. */
static void end_logs(void)
{
	bool ended = false;

	for (unsigned int i = 0; i < FLOW_LOGS_MAX; i++) {
		struct flow_log *log = flow_logs[i];

		if (log == NULL || !log->left.set || !flow_log_all_passed(&log->left))
			continue;
		ended |= log->leaving;
		if (log->leaving)
			finish(log);
		else
			set_vpc(log, 0);
	}
	if (ended)
		flow_log_settle();
}

void flow_log_turn(uint32_t now_ms)
{
	if (session_watched() == NULL)
		return;
	flow_ring_drain();
	flow_denied_turn(now_ms, false);
	end_logs();
	flow_scope_turn();
}

void flow_log_stop(void)
{
	if (session_watched() != NULL) {
		flow_watch_tell_all();
		flow_watch_stop();
		flow_denied_turn(clock_ms(), true);
	}
	for (unsigned int i = 0; i < FLOW_LOGS_MAX; i++)
		if (flow_logs[i] != NULL)
			finish(flow_logs[i]);
	flow_scope_forget();
	flow_sinks_wait();
}
