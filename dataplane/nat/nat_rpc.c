/* SPDX-License-Identifier: Apache-2.0 */
#include "nat/nat_rpc.h"

#include <string.h>

#include "base/ip_text.h"
#include "core/rcu.h"
#include "core/rpc.h"
#include "nat/nat_address.h"
#include "nat/nat_gateway.h"

#define RATE_MS 1000u
/* Of each second's figure one part in so many comes in: about ten seconds are what counts. */
#define SMOOTH 8

static const char *const protocols[NAT_SPACES] = {"tcp", "udp", "icmp"};

static void measure(struct nat_gateway *gw, void *arg)
{
	uint32_t now = nat_gateway_sessions(gw);
	int64_t grown = (int64_t)now - gw->sessions_before;

	(void)arg;
	gw->rate_256 += (grown * 256 - gw->rate_256) / SMOOTH;
	gw->sessions_before = now;
}

void nat_rate_turn(uint32_t now_ms)
{
	static uint32_t last_ms;

	if (now_ms - last_ms < RATE_MS)
		return;
	last_ms = now_ms;
	nat_gateway_each(measure, NULL);
}

struct listing {
	const struct nat_gateway *gw;
	json_t *addresses;
};

static void list_address(struct nat_address *a, void *arg)
{
	struct listing *l = arg;
	char text[NET_ADDR_TEXT];

	if (!a->named || a->gateway != l->gw->id)
		return;
	ip_addr_format(&a->ip, text);
	for (unsigned int s = 0; s < NAT_SPACES; s++) {
		struct nat_ports_use use = nat_ports_use(a->ports[s]);

		json_array_append_new(l->addresses,
			json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "eip", a->eip.name,
				"address", text, "protocol", protocols[s], "ports_used",
				(json_int_t)use.used, "ports_total", (json_int_t)use.total,
				"blocks_used", (json_int_t)use.blocks_used, "blocks_total",
				(json_int_t)use.blocks_total, "quarantined",
				(json_int_t)use.resting));
	}
}

struct wanted {
	const json_t *names; /* NULL: all */
	json_t *items;
};

static bool is_wanted(const json_t *names, const char *name)
{
	const json_t *one;
	size_t i;

	if (names == NULL)
		return true;
	json_array_foreach (names, i, one)
		if (strcmp(json_string_value(one), name) == 0)
			return true;
	return false;
}

static void list_gateway(struct nat_gateway *gw, void *arg)
{
	const struct nat_rules *rules = rcu_ptr_get(gw->rules);
	struct wanted *w = arg;
	struct listing l = {gw, NULL};

	if (rules == NULL || !rules->here || !is_wanted(w->names, gw->name))
		return;
	l.addresses = json_array();
	nat_address_each(list_address, &l);
	json_array_append_new(w->items,
		json_pack("{s:s, s:o, s:I, s:I, s:I, s:f}", "nat_gateway", gw->name, "addresses",
			l.addresses, "sessions",
			(json_int_t)nat_gateway_sessions(gw) + (json_int_t)gw->forwarded,
			"forwarded", (json_int_t)gw->forwarded, "refused", (json_int_t)gw->refused,
			"rate_per_s", (double)gw->rate_256 / 256));
}

static void status(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	struct wanted w = {json_object_get(params, "names"), json_array()};

	(void)ctx;
	nat_gateway_each(list_gateway, &w);
	jsonrpc_reply(call, json_pack("{s:o}", "items", w.items));
}

RPC_METHOD(nat_status, "nat.status", status)
