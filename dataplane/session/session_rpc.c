/* SPDX-License-Identifier: Apache-2.0 */
/* session.list and session.flush of this node. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip_text.h"
#include "core/config.h"
#include "core/rcu.h"
#include "core/rpc.h"
#include "core/worker.h"
#include "port/port.h"
#include "session/busiest.h"
#include "session/session.h"
#include "session/tcp.h"
#include "vpc/vpc.h"

#define LIMIT_DEFAULT 1000
#define LIMIT_MAX 10000

struct filter {
	json_int_t vni; /* 0: any */
	int proto;      /* -1: any */
	bool has_address;
	struct ip_addr address;
	loc_t port;   /* LOC_NONE: any */
	bool nothing; /* names something that is not here */
};

static int parse_protocol(const json_t *v)
{
	static const struct {
		const char *name;
		int number;
	} names[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"icmp", IPPROTO_ICMP},
		{"icmpv6", IPPROTO_ICMPV6}};

	if (json_is_integer(v))
		return (int)json_integer_value(v);
	for (size_t i = 0; i < RTE_DIM(names); i++)
		if (json_is_string(v) && strcmp(names[i].name, json_string_value(v)) == 0)
			return names[i].number;
	return -1;
}

static bool read_filter(struct jsonrpc_call *call, const json_t *params, struct filter *f)
{
	const char *address = json_string_value(json_object_get(params, "address"));
	const char *port = json_string_value(json_object_get(params, "port"));

	memset(f, 0, sizeof(*f));
	f->vni = json_integer_value(json_object_get(params, "vni"));
	f->proto = parse_protocol(json_object_get(params, "protocol"));
	f->port = LOC_NONE;
	if (address != NULL) {
		f->has_address = true;
		if (!ip_addr_parse(address, &f->address)) {
			rpc_invalid(call, "/address", "is not an IP address");
			return false;
		}
	}
	if (port != NULL) {
		const struct port *p = port_by_name(port);

		f->nothing = p == NULL;
		f->port = p != NULL ? loc_port(p->index) : LOC_NONE;
	}
	return true;
}

static bool matches(const struct filter *f, const struct session_view *v)
{
	const struct vpc *vpc[2] = {
		vpc_get(v->vpc_index), vpc_get(session_key_vpc(&v->dir[1].key))};

	if (f->nothing)
		return false;
	if (f->vni != 0 && (vpc[0] == NULL || vpc[0]->vni != f->vni) &&
		(vpc[1] == NULL || vpc[1]->vni != f->vni))
		return false;
	if (f->proto >= 0 && session_key_proto(&v->dir[0].key) != f->proto)
		return false;
	if (f->port != LOC_NONE && v->dir[0].in != f->port && v->dir[0].out != f->port)
		return false;
	return !f->has_address || ip_addr_equal(&f->address, &v->src[0]) ||
	       ip_addr_equal(&f->address, &v->dst[0]) || ip_addr_equal(&f->address, &v->src[1]) ||
	       ip_addr_equal(&f->address, &v->dst[1]);
}

static json_t *end_text(const struct ip_addr *a, rte_be16_t port)
{
	char addr[NET_ADDR_TEXT], text[NET_ADDR_TEXT + 16];

	snprintf(text, sizeof(text), ip_addr_is_v4(a) ? "%s:%u" : "[%s]:%u",
		ip_addr_format(a, addr), rte_be_to_cpu_16(port));
	return json_string(text);
}

static json_t *protocol(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return json_string("tcp");
	case IPPROTO_UDP:
		return json_string("udp");
	case IPPROTO_ICMP:
		return json_string("icmp");
	case IPPROTO_ICMPV6:
		return json_string("icmpv6");
	default:
		return json_integer(proto);
	}
}

static const char *state_text(const struct session_view *v)
{
	if (session_key_proto(&v->dir[0].key) == IPPROTO_TCP)
		return tcp_state_name((enum tcp_state)v->tcp_state);
	return v->answered ? "active" : "new";
}

/* Ends as people know them: an ICMP flow has one id, in direction 0's source port and direction 1's destination port. */
struct ends {
	rte_be16_t client, server;             /* ports as the initiator has them */
	rte_be16_t moved_client, moved_server; /* as the answers have them */
};

static struct ends ends_of(const struct session_view *v, bool icmp)
{
	const struct session_key *k = &v->dir[0].key, *r = &v->dir[1].key;

	return (struct ends){.client = k->sport,
		.server = icmp ? k->sport : k->dport,
		.moved_client = r->dport,
		.moved_server = icmp ? r->dport : r->sport};
}

static json_t *moved_text(bool moved, const struct ip_addr *a, rte_be16_t port)
{
	return moved ? end_text(a, port) : json_null();
}

static json_t *item(const struct session_view *v, uint32_t now_ms)
{
	const struct vpc *vpc = vpc_get(v->vpc_index);
	uint8_t proto = session_key_proto(&v->dir[0].key);
	bool icmp = proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
	struct ends e = ends_of(v, icmp);
	bool client_moved = !ip_addr_equal(&v->src[0], &v->dst[1]) || e.client != e.moved_client;
	bool server_moved =
		!ip_addr_equal(&v->dst[0], &v->src[1]) || (!icmp && e.server != e.moved_server);

	return json_pack("{s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:f, s:f, s:f}",
		"node", node_config.node, "vpc", vpc != NULL ? vpc->name : "", "protocol",
		protocol(proto), "state", state_text(v), "client", end_text(&v->src[0], e.client),
		"server", end_text(&v->dst[0], e.server), "translated_client",
		moved_text(client_moved, &v->dst[1], e.moved_client), "translated_server",
		moved_text(server_moved, &v->src[1], e.moved_server), "backend",
		moved_text(v->hold.id[HOLD_LB] != 0, &v->src[1], e.moved_server), "packets",
		(json_int_t)v->packets[0] + (json_int_t)v->packets[1], "bytes",
		(json_int_t)v->bytes[0] + (json_int_t)v->bytes[1], "age_s",
		(double)(now_ms - v->created_ms) / 1000, "idle_s", (double)v->idle_ms / 1000,
		"expires_s",
		v->timeout_s * 1000.0 > v->idle_ms ? (v->timeout_s * 1000.0 - v->idle_ms) / 1000
						   : 0.0);
}

static void list(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	const char *from = json_string_value(json_object_get(params, "cursor"));
	const json_t *limit_given = json_object_get(params, "limit");
	uint32_t cursor = from != NULL ? (uint32_t)strtoul(from, NULL, 10) : 0, now_ms = clock_ms();
	size_t limit = json_is_integer(limit_given) ? (size_t)json_integer_value(limit_given)
						    : LIMIT_DEFAULT;
	json_t *items;
	struct session_view v;
	struct filter f;
	char next[16] = "";

	(void)ctx;
	if (!read_filter(call, params, &f))
		return;
	limit = RTE_MIN(RTE_MAX(limit, (size_t)1), (size_t)LIMIT_MAX);
	items = json_array();
	while (session_next(&cursor, now_ms, &v)) {
		if (!matches(&f, &v))
			continue;
		if (json_array_size(items) == limit) {
			snprintf(next, sizeof(next), "%u", v.index);
			break;
		}
		json_array_append_new(items, item(&v, now_ms));
	}
	jsonrpc_reply(call, json_pack("{s:o, s:o}", "items", items, "cursor",
				    next[0] != '\0' ? json_string(next) : json_null()));
}
RPC_METHOD(session_list_method, "session.list", list)

static void flush(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	uint32_t cursor = 0, now_ms = clock_ms();
	struct session_view v;
	struct filter f;
	json_int_t n = 0;

	(void)ctx;
	if (!read_filter(call, params, &f))
		return;
	rcu_read_enter(); /* what is found is still the same session when it is removed */
	while (session_next(&cursor, now_ms, &v))
		if (matches(&f, &v))
			n += session_remove_bulk(&v.index, 1);
	rcu_read_leave();
	jsonrpc_reply(call, json_pack("{s:I}", "flushed", n));
}
RPC_METHOD(session_flush_method, "session.flush", flush)

/* ---- The busiest ---- */

static json_t *busy_item(const struct busy_session *busy, const struct filter *f, uint32_t now_ms)
{
	uint32_t cursor = busy->index;
	struct session_view v;
	json_t *o;

	if (!session_next(&cursor, now_ms, &v) || v.index != busy->index ||
		v.created_ms != busy->created_ms || !matches(f, &v))
		return NULL;
	o = item(&v, now_ms);
	json_object_set_new(o, "packets_per_s", json_real(busy->packets_per_s));
	json_object_set_new(o, "bytes_per_s", json_real(busy->bytes_per_s));
	return o;
}

static void top(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	struct busy_session list[BUSIEST_MAX];
	uint32_t now_ms = clock_ms();
	unsigned int n;
	struct filter f;
	json_t *items;

	(void)ctx;
	if (!read_filter(call, params, &f))
		return;
	busiest_ask(now_ms);
	n = busiest_list(list);
	items = json_array();
	for (unsigned int i = 0; i < n; i++) {
		json_t *o = busy_item(&list[i], &f, now_ms);

		if (o != NULL)
			json_array_append_new(items, o);
	}
	jsonrpc_reply(call, json_pack("{s:o}", "items", items));
}
RPC_METHOD(session_top_method, "session.top", top)
