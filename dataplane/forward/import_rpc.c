/* SPDX-License-Identifier: Apache-2.0 */
/* session.import, session.recover: the sessions of a port that has come from another node.
 *
 * A record only says what a session was. Whether it may be one here, and where it leads, the readable road decides as for
 * a first packet of the initiator's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "core/rcu.h"
#include "core/rpc.h"
#include "core/worker.h"
#include "forward/recover.h"
#include "forward/verdict.h"
#include "session/record.h"
#include "session/session.h"
#include "session/tcp.h"
#include "underlay/underlay.h"
#include "vpc/vpc.h"

#define PAGE_MAX 1000u
/* Records before other events get their turn: well under a millisecond. */
#define SLICE 200u

/* A call under way. */
struct import {
	struct jsonrpc_call *call;
	const json_t *items; /* the call's */
	char port[PORT_NAME_MAX];
	size_t at;
	json_int_t imported, present, refused;
};

static const struct vnic *vnic_by_name(const char *name)
{
	const struct port *port = port_by_name(name);

	return port != NULL ? vnic_of(port) : NULL;
}

/* Where the initiator's packets come from when it is not the port that has moved. */
static bool enters_from(struct flow *f, const struct vnic *vnic, const struct record *r)
{
	const struct vtep *far = r->far[0] != '\0' ? vtep_by_name(r->far) : NULL;
	const struct port *port;
	struct origin o;

	origin_find(vnic->vpc, &r->src, &o);
	f->in = o.where;
	if (o.where == LOC_NONE && far != NULL && far->gateway)
		f->in = loc_tunnel(far->index);
	f->vpc_index = vnic->vpc->index;
	f->smac = r->smac;
	f->dmac = vnic->port->mac;
	if (f->in == LOC_NONE || loc_is_tunnel(f->in))
		return f->in != LOC_NONE;
	port = port_get(loc_index(f->in));
	if (port == NULL || vnic_of(port) == NULL)
		return false;
	f->vpc_index = port->vpc_index;
	f->smac = port->mac;
	if (r->crossing)
		f->dmac = port->gw_mac;
	return true;
}

/* The initiator's first packet, as it would arrive here. */
static bool flow_of_record(struct flow *f, const struct vnic *vnic, const struct record *r)
{
	memset(f, 0, sizeof(*f));
	f->v6 = !ip_addr_is_v4(&r->src);
	f->proto = r->proto;
	f->src = r->src;
	f->dst = r->dst;
	f->sport = r->sport;
	f->dport = r->dport;
	verdict_set_icmp(f);
	if (!r->initiator)
		return enters_from(f, vnic, r);
	f->in = loc_port(vnic->port->index);
	f->vpc_index = vnic->vpc->index;
	f->smac = vnic->port->mac;
	f->dmac = r->crossing ? vnic->port->gw_mac : r->dmac;
	return true;
}

static void history_of(struct session_history *h, const struct record *r, uint32_t now_ms)
{
	memset(h, 0, sizeof(*h));
	h->created_ms = now_ms - r->age_ms;
	for (unsigned int d = 0; d < 2; d++) {
		const struct record_side *s = &r->side[d];
		struct session_hot *hot = &h->hot[d];

		atomic_init(&hot->packets, s->packets);
		atomic_init(&hot->bytes, s->bytes);
		atomic_init(&hot->seen_ms, now_ms - s->idle_ms);
		atomic_init(&hot->tcp_end, s->end);
		atomic_init(&hot->tcp_edge, s->edge);
		atomic_init(&hot->tcp_win, s->win);
		atomic_init(&hot->tcp_bits, s->bits);
		atomic_init(&hot->tcp_wscale, s->wscale);
	}
}

static bool is_older(uint32_t index, const struct record *r, uint32_t now_ms)
{
	return session_idle_ms(index, now_ms) >= RTE_MIN(r->side[0].idle_ms, r->side[1].idle_ms);
}

/* One that is there already has been left from an earlier stay, or was made here, by the other end or by a packet that was faster: who
 * has seen the last packet knows more. */
static int restore(const struct flow *f, uint32_t change, const struct record *r, uint32_t now_ms)
{
	struct session_history history;
	uint32_t ref;
	int err;

	history_of(&history, r, now_ms);
	for (unsigned int keys = 0; keys < 2; keys++) {
		err = verdict_restore(f, change, &history, &ref);
		if (err != -EEXIST || !is_older(ref >> 1, r, now_ms))
			return err;
		session_remove(ref >> 1);
	}
	return verdict_restore(f, change, &history, &ref);
}

/* 0, -EEXIST: it is there already; else it can not be one here. */
static int import_record(const struct vnic *vnic, const struct record *r)
{
	uint32_t change = epoch_change();
	loc_t port = loc_port(vnic->port->index);
	struct flow f;
	int err = -EPERM;

	if (!flow_of_record(&f, vnic, r))
		return -EPERM;
	/* One of its ends is the port, or it would be somebody else's. */
	if (road_walk(&f) && (f.in == port || f.out == port))
		err = restore(&f, change, r, clock_ms());
	if (err != 0)
		flow_release(&f);
	return err;
}

static void import_one(struct import *i, const struct vnic *vnic)
{
	const char *text = json_string_value(json_array_get(i->items, i->at));
	struct record r;
	int err = record_parse(text, &r) == NULL ? import_record(vnic, &r) : -EINVAL;

	i->imported += err == 0;
	i->present += err == -EEXIST;
	i->refused += err != 0 && err != -EEXIST;
}

static void go_on(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval now = {0, 0};
	struct import *i = arg;
	const struct vnic *vnic = vnic_by_name(i->port); /* it may have gone meanwhile */
	size_t end = RTE_MIN(i->at + SLICE, json_array_size(i->items));

	(void)fd;
	(void)what;
	rcu_read_enter();
	for (; vnic != NULL && i->at < end; i->at++)
		import_one(i, vnic);
	rcu_read_leave();
	if (vnic != NULL && i->at < json_array_size(i->items) &&
		event_base_once(rpc_base(), -1, EV_TIMEOUT, go_on, i, &now) == 0)
		return;
	jsonrpc_reply(i->call,
		json_pack("{s:I, s:I, s:I}", "imported", i->imported, "present", i->present,
			"refused", i->refused + (json_int_t)(json_array_size(i->items) - i->at)));
	free(i);
}

/* Whether all is of the right form, so that an answer without an error means that it was understood. */
static bool check(struct jsonrpc_call *call, const json_t *items)
{
	const json_t *item;
	struct record r;
	size_t n;

	if (!json_is_array(items) || json_array_size(items) > PAGE_MAX) {
		rpc_invalid(call, "/items", "must be a list of at most %u records", PAGE_MAX);
		return false;
	}
	json_array_foreach (items, n, item) {
		const char *text = json_string_value(item);
		const char *wrong = text != NULL ? record_parse(text, &r) : "the type";
		char path[32];

		if (wrong == NULL)
			continue;
		snprintf(path, sizeof(path), "/items/%zu", n);
		rpc_invalid(call, path, "%s of the session is wrong", wrong);
		return false;
	}
	return true;
}

static const struct vnic *named(struct jsonrpc_call *call, json_t *params)
{
	const char *port = json_string_value(json_object_get(params, "port"));
	const struct vnic *vnic = port != NULL ? vnic_by_name(port) : NULL;

	if (vnic == NULL)
		jsonrpc_fail(call, ERROR_NOT_FOUND, "no such port is here", NULL);
	return vnic;
}

static void import(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	const json_t *items = json_object_get(params, "items");
	const struct vnic *vnic = named(call, params);
	struct import *i;

	(void)ctx;
	if (vnic == NULL || !check(call, items))
		return;
	i = calloc(1, sizeof(*i));
	if (i == NULL) {
		jsonrpc_fail(call, ERROR_UNAVAILABLE, "out of memory", NULL);
		return;
	}
	i->call = call;
	i->items = items;
	memcpy(i->port, vnic->port->name, sizeof(i->port));
	go_on(-1, 0, i);
}
RPC_METHOD(session_import_method, "session.import", import)

static void recover(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	const struct vnic *vnic = named(call, params);

	(void)ctx;
	if (vnic == NULL)
		return;
	recover_port(loc_port(vnic->port->index), clock_ms());
	jsonrpc_reply(call, json_object());
}
RPC_METHOD(session_recover_method, "session.recover", recover)
