/* SPDX-License-Identifier: Apache-2.0 */
#include "vpc/claim.h"

#include <stdatomic.h>
#include <string.h>

#include <rte_arp.h>

#include "base/ip_text.h"
#include "core/control.h"
#include "core/rpc.h"
#include "vpc/icmp6.h"
#include "vpc/vnic.h"
#include "vpc/vpc_internal.h"

#define NA_OVERRIDE RTE_BE32(1u << 29)

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_FULL };

static struct {
	_Atomic uint32_t state;
	uint32_t port;
	uint32_t vpc_index;
	struct ip_addr addr;
} mailbox[64];
static _Atomic uint32_t next_slot;
static _Atomic bool pending;

void claim_note(const struct vnic *vnic, const struct ip_addr *addr)
{
	const struct endpoint *e = endpoint_get(vnic->vpc->index, addr);
	uint32_t n, free_slot = SLOT_FREE;

	if (e != NULL && e->where == loc_port(vnic->port->index))
		return;
	n = atomic_fetch_add_explicit(&next_slot, 1, memory_order_relaxed) % RTE_DIM(mailbox);
	if (!atomic_compare_exchange_strong(&mailbox[n].state, &free_slot, SLOT_FILLING))
		return;
	mailbox[n].port = vnic->port->index;
	mailbox[n].vpc_index = vnic->vpc->index;
	mailbox[n].addr = *addr;
	atomic_store_explicit(&mailbox[n].state, SLOT_FULL, memory_order_release);
	atomic_store_explicit(&pending, true, memory_order_release);
}

/* The last claims, control thread; a ring. */
static struct {
	uint32_t port;
	uint32_t vpc_index;
	struct ip_addr addr;
} heard[256];
static uint32_t n_heard;

/* Somebody's own address is not to be had, whoever is allowed to use it. */
static bool is_owned_here(uint32_t vpc_index, const struct ip_addr *addr)
{
	const struct endpoint *e = endpoint_get(vpc_index, addr);
	const struct port *owner =
		e != NULL && loc_is_port(e->where) ? port_get(loc_index(e->where)) : NULL;

	return owner != NULL && vnic_of(owner) != NULL && vnic_owns(vnic_of(owner), addr);
}

static void do_claim(const struct port *port, uint32_t vpc_index, const struct ip_addr *addr)
{
	struct vnic *vnic = port != NULL ? vnic_of(port) : NULL;
	const struct endpoint *e;
	char text[NET_ADDR_TEXT];

	if (vnic == NULL || vnic->vpc->index != vpc_index || vnic_owns(vnic, addr) ||
		!vnic_may_use(vnic, addr) || is_owned_here(vpc_index, addr))
		return; /* it has changed since */
	heard[n_heard % RTE_DIM(heard)].port = port->index;
	heard[n_heard % RTE_DIM(heard)].vpc_index = vpc_index;
	heard[n_heard++ % RTE_DIM(heard)].addr = *addr;
	e = endpoint_get(vpc_index, addr);
	if (e == NULL || loc_is_port(e->where))
		vnic_claim(vnic, addr);
	rpc_event("info", "port", port->name, "address_claimed", "%s", ip_addr_format(addr, text));
}

static const struct vnic *vnic_at(const struct port *port)
{
	return port != NULL && port->role == PORT_TENANT ? vnic_of(port) : NULL;
}

static const struct vnic *last_claimant(uint32_t vpc_index, const struct ip_addr *addr)
{
	for (uint32_t n = 0; n < RTE_MIN(n_heard, (uint32_t)RTE_DIM(heard)); n++) {
		uint32_t at = (n_heard - 1 - n) % RTE_DIM(heard);
		const struct vnic *vnic = vnic_at(port_get(heard[at].port));

		if (heard[at].vpc_index == vpc_index && ip_addr_equal(&heard[at].addr, addr) &&
			vnic != NULL && vnic_shares(vnic, vpc_index, addr))
			return vnic;
	}
	return NULL;
}

void claim_adopt(uint32_t vpc_index, const struct ip_addr *addr)
{
	const struct vnic *vnic = last_claimant(vpc_index, addr);
	const struct endpoint *e;

	if (endpoint_get(vpc_index, addr) != NULL)
		return;
	for (const struct vnic *v = vnic_next_sharing(NULL); v != NULL && vnic == NULL;
		v = vnic_next_sharing(v))
		if (vnic_shares(v, vpc_index, addr))
			vnic = v;
	if (vnic == NULL)
		return;
	vnic_put_endpoint(vnic, addr);
	e = endpoint_get(vpc_index, addr);
	if (e != NULL)
		claim_announce(e); /* neighbours have the MAC of who had it before */
}

/* Each one is told to a whole subnet: two ports that quarrel about addresses must not keep this thread busy. */
#define TURN_MAX 8

void claim_take(void)
{
	static unsigned int at; /* everybody's turn comes */
	unsigned int left = TURN_MAX;

	if (!atomic_exchange_explicit(&pending, false, memory_order_acquire))
		return;
	for (unsigned int n = 0; n < RTE_DIM(mailbox) && left > 0; n++) {
		unsigned int slot = at++ % RTE_DIM(mailbox);

		if (atomic_load_explicit(&mailbox[slot].state, memory_order_acquire) != SLOT_FULL)
			continue;
		do_claim(
			port_get(mailbox[slot].port), mailbox[slot].vpc_index, &mailbox[slot].addr);
		atomic_store_explicit(&mailbox[slot].state, SLOT_FREE, memory_order_release);
		left--;
	}
	if (left == 0)
		atomic_store_explicit(&pending, true, memory_order_relaxed);
}

/* RFC 5227 section 2.3. */
static uint16_t arp_announcement(uint8_t *frame, const struct endpoint *e)
{
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)frame;
	struct rte_arp_hdr *arp = (struct rte_arp_hdr *)(eth + 1);

	memset(&eth->dst_addr, 0xff, sizeof(eth->dst_addr));
	eth->src_addr = e->mac;
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_ARP);
	*arp = (struct rte_arp_hdr){
		.arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER),
		.arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4),
		.arp_hlen = RTE_ETHER_ADDR_LEN,
		.arp_plen = sizeof(rte_be32_t),
		.arp_opcode = RTE_BE16(RTE_ARP_OP_REQUEST),
		.arp_data = {.arp_sha = e->mac,
			.arp_sip = ip_addr_v4(&e->addr),
			.arp_tip = ip_addr_v4(&e->addr)},
	};
	return sizeof(*eth) + sizeof(*arp);
}

/* RFC 4861 section 7.2.6. */
static uint16_t nd_announcement(uint8_t *frame, const struct endpoint *e)
{
	struct icmp6_frame *f = (struct icmp6_frame *)frame;
	uint8_t *body = (uint8_t *)(f + 1);

	f->eth.dst_addr = ether_all_nodes;
	f->eth.src_addr = e->mac;
	f->icmp = (struct icmp6_hdr){.type = ICMP6_NA, .body = NA_OVERRIDE};
	memcpy(body, e->addr.bytes, 16);
	body[16] = ICMP6_OPT_TLLA;
	body[17] = 1;
	memcpy(body + 18, &e->mac, sizeof(e->mac));
	icmp6_finish(f, &e->addr, &ip_all_nodes, sizeof(f->icmp) + 24);
	return sizeof(*f) + 24;
}

void claim_announce(const struct endpoint *endpoint)
{
	uint8_t frame[128] __attribute__((aligned(8)));
	uint16_t len = 0;

	for (struct port *port = port_next(NULL); port != NULL; port = port_next(port)) {
		const struct vnic *vnic = port->role == PORT_TENANT ? vnic_of(port) : NULL;

		if (vnic == NULL || vnic->vpc->index != endpoint->vpc_index ||
			vnic->subnet != endpoint->subnet || port->state != PORT_ACTIVE ||
			endpoint->where == loc_port(port->index))
			continue;
		if (len == 0)
			len = ip_addr_is_v4(&endpoint->addr) ? arp_announcement(frame, endpoint)
							     : nd_announcement(frame, endpoint);
		control_send(loc_port(port->index), frame, len);
	}
}
