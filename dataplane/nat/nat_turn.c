/* SPDX-License-Identifier: Apache-2.0 */
#include "nat/nat.h"

#include "core/rcu.h"
#include "core/rpc.h"
#include "nat/nat_address.h"
#include "nat/nat_gateway.h"
#include "nat/nat_log.h"
#include "nat/nat_rpc.h"
#include "nat/nat_table.h"

/* Ports that rest are looked at that often. */
#define ADDRESSES_MS 100u
/* A gateway that is short says so at most once that often. */
#define EVENT_MS 10000u

static const char *const reasons[] = {
	[NAT_REFUSED_NOTHING] = "",
	[NAT_REFUSED_PORTS] = "no port is left on its addresses",
	[NAT_REFUSED_PER_PORT] = "a port has as many sessions as limits.per_port allows",
	[NAT_REFUSED_PER_VPC] = "the VPC has as many sessions as limits.per_vpc allows",
	[NAT_REFUSED_RECORDS] = "the node's table of mappings is full",
};

static void tell(struct nat_gateway *gw, void *arg)
{
	uint32_t now_ms = *(const uint32_t *)arg;
	uint8_t why = atomic_load_explicit(&gw->refusal, memory_order_relaxed);

	if (why == NAT_REFUSED_NOTHING || (gw->told && now_ms - gw->told_ms < EVENT_MS))
		return;
	atomic_store_explicit(&gw->refusal, NAT_REFUSED_NOTHING, memory_order_relaxed);
	gw->told = true;
	gw->told_ms = now_ms;
	rpc_event("warning", "nat_gateway", gw->name, "nat_exhausted",
		"NAT gateway %s refuses new flows: %s", gw->name, reasons[why]);
}

void nat_turn(uint32_t now_ms)
{
	static uint32_t addresses_ms;

	if (nat_records == NULL)
		return;
	if (now_ms - addresses_ms >= ADDRESSES_MS) {
		addresses_ms = now_ms;
		rcu_read_enter();
		nat_address_turn(now_ms);
		rcu_read_leave();
	}
	nat_table_turn();
	nat_gateway_each(tell, &now_ms);
	nat_gateway_turn();
	nat_log_turn();
	nat_rate_turn(now_ms);
}
