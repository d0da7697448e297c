/* SPDX-License-Identifier: Apache-2.0 */
/* Unasked router advertisements. Every port is a link of its own and has its own clock, so that thousands of
 * ports are not told at once. A little of the table is looked at in each turn. */
#include <rte_random.h>

#include "core/control.h"
#include "vpc/ra.h"

/* RFC 4861 sections 6.2.1, 10; the first ones of a port come sooner than that allows at most. */
#define INTERVAL_MIN_MS 200000u
#define INTERVAL_MAX_MS 600000u
#define INITIAL 3u
#define INITIAL_MAX_MS 16000u
#define FIRST_MAX_MS 500u

#define TURN_PORTS 64u /* looked at a turn */

static struct clock {
	const void *about; /* what it advertises: the subnet's record; NULL: it is silent */
	uint32_t due_ms;
	uint16_t mtu;
	uint8_t told;
} * clocks; /* by port index */

static uint32_t within(uint32_t min_ms, uint32_t max_ms)
{
	return min_ms + (uint32_t)rte_rand_max(max_ms - min_ms);
}

static void send_to(const struct port *port, const struct vnic *vnic)
{
	uint8_t frame[RA_FRAME_MAX] __attribute__((aligned(8)));
	struct icmp6_frame *f = (struct icmp6_frame *)frame;

	f->eth.dst_addr = ether_all_nodes;
	control_send(loc_port(port->index), frame, ra_write(f, vnic, vnic->subnet, &ip_all_nodes));
}

static void look(const struct port *port, struct clock *c, uint32_t now_ms)
{
	const struct vnic *vnic = port != NULL && port->role == PORT_TENANT ? vnic_of(port) : NULL;

	if (vnic == NULL || port->state != PORT_ACTIVE || !port->enabled || !ra_wanted(vnic)) {
		c->about = NULL;
		return;
	}
	if (c->about != vnic->subnet || c->mtu != vnic->vpc->mtu) {
		*c = (struct clock){.about = vnic->subnet,
			.mtu = vnic->vpc->mtu,
			.due_ms = now_ms + within(0, FIRST_MAX_MS)};
		return;
	}
	if ((int32_t)(now_ms - c->due_ms) < 0)
		return;
	send_to(port, vnic);
	c->told += c->told < INITIAL;
	c->due_ms = now_ms + (c->told < INITIAL ? within(INITIAL_MAX_MS / 2, INITIAL_MAX_MS)
						: within(INTERVAL_MIN_MS, INTERVAL_MAX_MS));
}

void ra_tick(uint32_t now_ms)
{
	static uint32_t at;

	if (clocks == NULL && (clocks = calloc(port_table.capacity, sizeof(*clocks))) == NULL)
		return; /* those who ask are answered all the same */
	for (unsigned int n = 0; n < RTE_MIN(TURN_PORTS, port_table.capacity); n++) {
		look(port_get(at), &clocks[at], now_ms);
		at = (at + 1) % port_table.capacity;
	}
}
