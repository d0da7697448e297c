/* SPDX-License-Identifier: Apache-2.0 */
/* session.keep, session.export: the sessions of a port that moves to another node, on the node that it leaves.
 *
 * Export is asked for page by page. The first call of a port waits for a walk over the table that began after the port
 * had left; one walk serves all such ports. What carried packets lately comes first.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/event.h>

#include "core/config.h"
#include "core/rcu.h"
#include "core/rpc.h"
#include "core/worker.h"
#include "session/parked.h"
#include "session/record.h"
#include "session/session.h"
#include "session/tcp.h"
#include "underlay/underlay.h"

#define PAGE_MAX 500u
/* Records before other events get their turn: well under a millisecond, looked at or written. */
#define SLICE_VISITS 2048u
#define SLICE_WRITTEN 100u

/* A call under way. */
struct export
{
	LIST_ENTRY(export) link; /* while it waits for the walk */
	struct jsonrpc_call *call;
	char port[PORT_NAME_MAX];
	json_t *items;
	unsigned int pass;
	uint32_t at;
};

static LIST_HEAD(, export) waiting;
static bool looking;

static const struct timeval now = {0, 0};

static void keep(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	const char *port = json_string_value(json_object_get(params, "port"));
	int err;

	(void)ctx;
	if (port == NULL) {
		rpc_invalid(call, "/port", "a port's name is missing");
		return;
	}
	err = parked_add(port, clock_ms());
	if (err == -ENOENT)
		jsonrpc_failf(call, ERROR_NOT_FOUND, NULL, "no port `%s` is here", port);
	else if (err != 0)
		jsonrpc_fail(call, ERROR_UNAVAILABLE, "out of memory", NULL);
	else
		jsonrpc_reply(call, json_object());
}
RPC_METHOD(session_keep_method, "session.keep", keep)

static const char *far_name(loc_t where)
{
	const struct vtep *vtep = loc_is_tunnel(where) ? vtep_get(loc_index(where)) : NULL;

	return vtep != NULL ? vtep->name : "";
}

static void side_of(struct record_side *s, uint32_t ref, uint32_t now_ms)
{
	struct session_hot *hot = session_hot_of(ref);
	uint32_t seen_ms = atomic_load_explicit(&hot->seen_ms, memory_order_relaxed);

	/* Bits first, what they speak of was stored before. */
	s->bits = atomic_load_explicit(&hot->tcp_bits, memory_order_acquire);
	s->idle_ms = (uint32_t)RTE_MAX((int32_t)(now_ms - seen_ms), 0);
	s->packets = atomic_load_explicit(&hot->packets, memory_order_relaxed);
	s->bytes = atomic_load_explicit(&hot->bytes, memory_order_relaxed);
	s->wscale = atomic_load_explicit(&hot->tcp_wscale, memory_order_relaxed);
	s->win = atomic_load_explicit(&hot->tcp_win, memory_order_relaxed);
	s->end = atomic_load_explicit(&hot->tcp_end, memory_order_relaxed);
	s->edge = atomic_load_explicit(&hot->tcp_edge, memory_order_relaxed);
}

static struct ip_addr key_address(uint32_t ref, bool src)
{
	const struct session_key *key = &session_dir_of(ref)->key;
	const struct session_ext *ext = &session_exts[ref >> 1];

	if (!session_key_is_v6(key))
		return ip_addr_from_v4(src ? key->src : key->dst);
	return src ? ext->src[ref & 1] : ext->dst[ref & 1];
}

/* The tuple on the port's side: what it sends as the initiator, or what it answers, turned round. */
static void put_tuple(struct record *r, uint32_t index, bool initiator)
{
	uint32_t ref = index << 1 | !initiator;
	const struct session_key *key = &session_dir_of(ref)->key;

	r->proto = session_key_proto(key);
	r->src = key_address(ref, initiator);
	r->dst = key_address(ref, !initiator);
	r->sport = initiator ? key->sport : key->dport;
	r->dport = initiator ? key->dport : key->sport;
}

/* What is translated here stays here: its packets come to the port by us from now on, or go from it to us. */
static void record_of(struct record *r, uint32_t index, bool initiator, uint32_t now_ms)
{
	const struct session_dir *d = session_dir_of(index << 1);
	bool translated = d[0].flags & (SESSION_F_SRC | SESSION_F_DST);

	memset(r, 0, sizeof(*r));
	r->initiator = initiator;
	r->crossing = translated || ((d[0].flags | d[1].flags) & SESSION_F_ROUTED);
	put_tuple(r, index, initiator);
	r->dmac = d[0].dmac;
	r->smac = translated && !initiator ? d[0].smac : d[1].dmac;
	snprintf(r->far, sizeof(r->far), "%s",
		translated ? node_config.node : far_name(initiator ? d[0].out : d[0].in));
	r->age_ms = (uint32_t)RTE_MAX((int32_t)(now_ms - session_colds[index].created_ms), 0);
	for (unsigned int dir = 0; dir < 2; dir++)
		side_of(&r->side[dir], index << 1 | dir, now_ms);
}

static void take(struct export *e, const struct parked *parked, uint32_t index, uint32_t now_ms)
{
	char text[RECORD_TEXT_MAX];
	bool initiator;
	struct record r;

	/* It may have ended since it was found, its index may be another's. */
	if (!session_alive(index) || !parked_matches(parked, index, &initiator))
		return;
	record_of(&r, index, initiator, now_ms);
	atomic_thread_fence(memory_order_acquire);
	if (session_alive(index)) /* else it may be a mixture */
		json_array_append_new(e->items, json_stringn(text, record_format(&r, text)));
}

/* True when there are more. */
static bool take_slice(struct export *e, const struct parked *parked)
{
	const struct parked_list *found = &parked->found[e->pass];
	uint32_t end = RTE_MIN(found->n, e->at + SLICE_WRITTEN), now_ms = clock_ms();

	rcu_read_enter();
	for (; e->at < end; e->at++)
		take(e, parked, found->indexes[e->at], now_ms);
	rcu_read_leave();
	if (e->at < found->n)
		return true;
	e->at = 0;
	return ++e->pass < PARKED_PASSES;
}

static void answer(struct export *e, bool more)
{
	char cursor[32];

	snprintf(cursor, sizeof(cursor), "%u %" PRIu32, e->pass, e->at);
	jsonrpc_reply(e->call, json_pack("{s:o, s:o}", "items", e->items, "cursor",
				       more ? json_string(cursor) : json_null()));
	free(e);
}

static void go_on(evutil_socket_t fd, short what, void *arg)
{
	struct export *e = arg;
	struct parked *parked = parked_find(e->port);
	bool more = parked != NULL && parked->state == PARKED_FOUND && take_slice(e, parked);

	(void)fd;
	(void)what;
	if (more && json_array_size(e->items) <= PAGE_MAX - SLICE_WRITTEN &&
		event_base_once(rpc_base(), -1, EV_TIMEOUT, go_on, e, &now) == 0)
		return;
	if (parked != NULL && more)
		parked_keep(parked, clock_ms());
	else if (parked != NULL)
		parked_remove(parked);
	answer(e, more);
}

static bool waits(const struct export *e)
{
	const struct parked *parked = parked_find(e->port);

	return parked != NULL && parked->state != PARKED_FOUND;
}

static void look(evutil_socket_t fd, short what, void *arg)
{
	uint32_t walks = parked_walks;
	struct export *e, *next;
	bool more;

	(void)fd;
	(void)what;
	(void)arg;
	rcu_read_enter();
	more = parked_look(SLICE_VISITS, clock_ms());
	rcu_read_leave();
	looking = more && event_base_once(rpc_base(), -1, EV_TIMEOUT, look, NULL, &now) == 0;
	if (looking && parked_walks == walks)
		return;
	for (e = LIST_FIRST(&waiting); e != NULL; e = next) {
		next = LIST_NEXT(e, link);
		if (looking && waits(e))
			continue;
		LIST_REMOVE(e, link);
		event_base_once(rpc_base(), -1, EV_TIMEOUT, go_on, e, &now);
	}
}

static void start(struct export *e)
{
	if (!waits(e)) {
		go_on(-1, 0, e);
		return;
	}
	LIST_INSERT_HEAD(&waiting, e, link);
	if (!looking)
		look(-1, 0, NULL);
}

static bool read_cursor(const char *text, struct export *e)
{
	char end;

	return sscanf(text, "%u %" SCNu32 "%c", &e->pass, &e->at, &end) == 2 &&
	       e->pass < PARKED_PASSES;
}

static void export(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	const char *port = json_string_value(json_object_get(params, "port"));
	const char *cursor = json_string_value(json_object_get(params, "cursor"));
	const struct parked *parked = port != NULL ? parked_find(port) : NULL;
	struct export *e;

	(void)ctx;
	if (parked == NULL || !parked_has_left(parked)) {
		jsonrpc_fail(call, ERROR_NOT_FOUND, "no sessions of such a port are kept", NULL);
		return;
	}
	e = calloc(1, sizeof(*e));
	if (e == NULL || (e->items = json_array()) == NULL) {
		free(e);
		jsonrpc_fail(call, ERROR_UNAVAILABLE, "out of memory", NULL);
		return;
	}
	if (cursor != NULL && !read_cursor(cursor, e)) {
		json_decref(e->items);
		free(e);
		rpc_invalid(call, "/cursor", "is none of ours");
		return;
	}
	e->call = call;
	snprintf(e->port, sizeof(e->port), "%s", port);
	start(e);
}
RPC_METHOD(session_export_method, "session.export", export)
