/* SPDX-License-Identifier: Apache-2.0 */
#include "forward/recover.h"

#include <stdatomic.h>
#include <string.h>

#include "forward/verdict.h"
#include "session/port_marks.h"
#include "vpc/vpc.h"

#define REFUSED_BITS (1u << 20)

static uint32_t window_ms;
static _Atomic bool node_open;
static uint32_t node_until_ms;
static struct port_marks ports;
static uint32_t port_until_ms[PORT_MARKS_MAX];
static _Atomic uint64_t refused[REFUSED_BITS / 64];

void recover_start(uint32_t seconds, uint32_t now_ms)
{
	window_ms = seconds * 1000;
	node_until_ms = now_ms + window_ms;
	atomic_store_explicit(&node_open, seconds != 0, memory_order_release);
}

void recover_port(loc_t port, uint32_t now_ms)
{
	if (window_ms == 0 || port >= PORT_MARKS_MAX)
		return;
	port_until_ms[port] = now_ms + window_ms;
	port_marks_set(&ports, port);
}

bool recover_is_open(void)
{
	return atomic_load_explicit(&node_open, memory_order_acquire) || port_marks_any(&ports);
}

static void close_ports(uint32_t now_ms)
{
	for (uint32_t word = 0; word < PORT_MARKS_MAX / 64; word++) {
		uint64_t bits = atomic_load_explicit(&ports.bits[word], memory_order_relaxed);

		for (; bits != 0; bits &= bits - 1) {
			loc_t port = word * 64 + (uint32_t)__builtin_ctzll(bits);

			if ((int32_t)(now_ms - port_until_ms[port]) >= 0)
				port_marks_clear(&ports, port);
		}
	}
}

void recover_turn(uint32_t now_ms)
{
	if (!recover_is_open())
		return;
	if ((int32_t)(now_ms - node_until_ms) >= 0)
		atomic_store_explicit(&node_open, false, memory_order_release);
	close_ports(now_ms);
	if (recover_is_open())
		return;
	for (uint32_t word = 0; word < REFUSED_BITS / 64; word++)
		atomic_store_explicit(&refused[word], 0, memory_order_relaxed);
}

static bool is_open_for(const struct flow *f)
{
	return atomic_load_explicit(&node_open, memory_order_acquire) ||
	       port_marks_has(&ports, f->in) || port_marks_has(&ports, f->out);
}

/* The segment that the receiver of `p` would send back, as it would arrive. */
static bool reverse(const struct flow *p, struct flow *r)
{
	const struct vpc *vpc = vpc_get(p->vpc_index);
	const struct port *port;
	const struct vnic *vnic;
	struct origin o;

	if (vpc == NULL)
		return false;
	origin_find(vpc, &p->dst, &o);
	if (o.where == LOC_NONE || (loc_is_tunnel(o.where) && loc_is_tunnel(p->in)))
		return false;
	memset(r, 0, sizeof(*r));
	r->in = o.where;
	r->vpc_index = p->vpc_index;
	r->v6 = p->v6;
	r->proto = p->proto;
	r->src = p->dst;
	r->dst = p->src;
	r->sport = p->dport;
	r->dport = p->sport;
	r->smac = o.hop != NULL ? o.hop->mac : p->dmac;
	r->dmac = p->smac;
	if (loc_is_tunnel(o.where))
		return true; /* it was routed where it comes from */
	port = port_get(loc_index(o.where));
	vnic = port != NULL ? vnic_of(port) : NULL;
	if (vnic == NULL)
		return false;
	r->vpc_index = vnic->vpc->index;
	r->smac = port->mac;
	if (loc_is_port(p->in) && rte_is_same_ether_addr(&p->dmac, &vpc->gw_mac))
		r->dmac = vnic->vpc->gw_mac;
	return true;
}

static bool by_rules(const struct flow *f)
{
	return f->reason == DROP_POLICY_EGRESS || f->reason == DROP_POLICY_INGRESS;
}

/* Answers of the connection `r` come from where the segment does. */
static bool walk_reverse(const struct flow *packet, struct flow *r)
{
	return reverse(packet, r) && road_walk(r) && r->out == packet->in && is_open_for(r);
}

bool recover_walk(const struct flow *packet, struct flow *f)
{
	bool by_client = rte_be_to_cpu_16(packet->sport) >= rte_be_to_cpu_16(packet->dport);
	struct flow reversed = {.hold = {.part = 0}};
	bool admitted;

	/* First as it is: its sender must be who it says, and there must be a way. */
	*f = *packet;
	admitted = road_walk(f);
	if (!admitted && !by_rules(f))
		return false;
	if (admitted && !is_open_for(f)) {
		f->reason = DROP_NO_SESSION;
		return false;
	}
	if (admitted && by_client)
		return true;
	if (walk_reverse(packet, &reversed)) {
		flow_release(f);
		*f = reversed;
		return true;
	}
	flow_release(&reversed);
	return admitted;
}

void recover_note_refused(const struct session_key *key)
{
	uint32_t bit = session_hash(key) % REFUSED_BITS;

	atomic_fetch_or_explicit(&refused[bit / 64], UINT64_C(1) << bit % 64, memory_order_relaxed);
}

bool recover_was_refused(const struct session_key *key)
{
	uint32_t bit = session_hash(key) % REFUSED_BITS;

	return atomic_load_explicit(&refused[bit / 64], memory_order_relaxed) >> bit % 64 & 1;
}
