/* SPDX-License-Identifier: Apache-2.0 */
#include "nat/nat_hold.h"

#include <netinet/in.h>

#include "base/prefetch.h"
#include "nat/nat_log.h"
#include "session/hold.h"
#include "session/tcp.h"

/* LOGGED, REMOTE, BOTH lead to what they stand on. */
static bool is_root(const struct nat_record *r)
{
	return r->kind == NAT_MAPPING || r->kind == NAT_FLOW || r->kind == NAT_FORWARD ||
	       r->kind == NAT_HOST;
}

rte_be16_t nat_hold_outside(const struct nat_record *root, uint32_t part)
{
	return part != 0 ? rte_cpu_to_be_16(nat_part_port(part)) : root->outside;
}

const struct nat_record *nat_hold_root(uint32_t id)
{
	const struct nat_record *r = id != 0 ? nat_record_of(id) : NULL;

	while (r != NULL && !is_root(r))
		r = r->parent != 0 ? nat_record_of(r->parent) : NULL;
	return r;
}

static void count(uint32_t id, uint32_t by)
{
	const struct nat_record *root = nat_hold_root(id);
	struct nat_gateway *gw = root != NULL ? nat_gateway_at(root->gateway) : NULL;
	const struct nat_record *host;
	struct nat_record *owner;

	if (gw == NULL)
		return;
	if (root->kind == NAT_FORWARD) {
		atomic_fetch_add_explicit(&gw->forwarded, by, memory_order_relaxed);
		return;
	}
	host = root->kind == NAT_HOST ? root : nat_record_of(root->parent);
	owner = nat_record_of(host->parent);
	nat_gateway_count(gw, by);
	atomic_fetch_add_explicit(&owner->sessions, by, memory_order_relaxed);
}

void nat_hold_begin(uint32_t id)
{
	count(id, 1);
}

uint32_t nat_hold_new(enum nat_kind kind, uint16_t gateway)
{
	struct nat_gateway *gw = nat_gateway_at(gateway);
	uint32_t id = gw != NULL ? nat_record_new() : 0;

	if (id == 0)
		return 0;
	nat_record_of(id)->kind = (uint8_t)kind;
	nat_record_of(id)->gateway = gateway;
	atomic_fetch_add_explicit(&gw->records, 1, memory_order_relaxed);
	return id;
}

static void leave_gateway(const struct nat_record *r)
{
	struct nat_gateway *gw = nat_gateway_at(r->gateway);

	if (gw != NULL)
		atomic_fetch_sub_explicit(&gw->records, 1, memory_order_release);
}

void nat_hold_discard(uint32_t id)
{
	leave_gateway(nat_record_of(id));
	nat_record_free(id);
}

uint32_t nat_hold_forward(uint16_t gateway, struct nat_address *a)
{
	uint32_t id = nat_hold_new(NAT_FORWARD, gateway);

	if (id == 0)
		return 0;
	nat_record_of(id)->address = a->id;
	atomic_fetch_add_explicit(&a->records, 1, memory_order_relaxed);
	return id;
}

static void leave_address(uint32_t address)
{
	struct nat_address *a = nat_address_at(address);

	if (a != NULL)
		atomic_fetch_sub_explicit(&a->records, 1, memory_order_release);
}

/* The port of a mapping or flow is free again; of a mapping after a rest. */
static void free_port(uint32_t id, const struct nat_record *r)
{
	struct nat_address *a = nat_address_at(r->address);
	uint16_t port = rte_be_to_cpu_16(r->outside);

	if (a == NULL)
		return;
	if (r->kind == NAT_MAPPING) {
		atomic_compare_exchange_strong(&a->mapped[nat_space_of(r)][port], &id, 0);
		nat_ports_put(a->ports[nat_space_of(r)], port, true);
	} else {
		nat_ports_unshare(a->ports[nat_space_of(r)], port);
	}
}

/* Nobody refers to it any more. */
static void end(uint32_t id)
{
	struct nat_record *r = nat_record_of(id);

	switch ((enum nat_kind)r->kind) {
	case NAT_MAPPING:
	case NAT_FLOW:
		free_port(id, r);
		leave_address(r->address);
		break;
	case NAT_HOST:
	case NAT_FORWARD:
		leave_address(r->address);
		break;
	case NAT_LOGGED:
		nat_log_session(r, false);
		break;
	case NAT_BOTH:
		nat_hold_drop(r->address);
		break;
	default:
		break;
	}
}

void nat_hold_drop(uint32_t id)
{
	while (id != 0 && nat_record_put(id)) {
		uint32_t parent = nat_record_of(id)->parent;

		end(id);
		nat_hold_discard(id);
		id = parent;
	}
}

static void free_part(uint32_t id, uint32_t part)
{
	const struct nat_address *a = nat_address_at(nat_record_of(id)->address);

	if (a != NULL)
		nat_ports_unshare(a->ports[nat_part_space(part)], nat_part_port(part));
}

static void release(uint32_t id, uint32_t part)
{
	count(id, UINT32_MAX);
	if (part != 0)
		free_part(id, part);
	nat_hold_drop(id);
}

static void foresee(uint32_t id, uint32_t part, unsigned int step)
{
	const struct nat_record *r = nat_record_of(id);
	const struct nat_address *a;

	if (step == 0) {
		prefetch_own(r);
		return;
	}
	a = part != 0 ? nat_address_at(r->address) : NULL;
	if (a != NULL)
		nat_ports_prefetch(a->ports[nat_part_space(part)], nat_part_port(part));
}

/* The host that has it logged, and stays as long as it has a block. */
void nat_hold_block_returned(void *arg, uint32_t owner, uint16_t from, uint16_t to)
{
	const struct nat_address_space *in = arg;

	nat_log_block(in->address, in->space, owner, from, to, false);
	nat_hold_drop(owner);
}

/* RFC 5382 REQ-5, RFC 7857 section 2: a connection that is opening or closing, by RST too, keeps its port as long as others. */
static uint32_t timeout_s(uint32_t id, uint8_t proto, uint8_t tcp_state, bool answered)
{
	const struct nat_record *root = nat_hold_root(id);
	const struct nat_gateway *gw = root != NULL ? nat_gateway_at(root->gateway) : NULL;
	const struct nat_rules *rules = gw != NULL ? rcu_ptr_get(gw->rules) : NULL;

	(void)answered;
	if (rules == NULL)
		return 0;
	switch (proto) {
	case IPPROTO_TCP:
		return tcp_state == TCP_ESTABLISHED ? rules->timeouts.tcp_established_s
						    : rules->timeouts.tcp_transitory_s;
	case IPPROTO_UDP:
		return rules->timeouts.udp_s;
	default:
		return rules->timeouts.icmp_s;
	}
}

static void began(uint32_t id, uint32_t index)
{
	(void)index;
	for (const struct nat_record *r; id != 0; id = r->parent) {
		r = nat_record_of(id);
		if (r->kind == NAT_LOGGED)
			nat_log_session(r, true);
		if (is_root(r))
			break;
	}
}

static const struct session_hold_ops ops = {
	.release = release, .foresee = foresee, .timeout_s = timeout_s, .began = began};
HOLD_OWNER(HOLD_NAT, &ops)
