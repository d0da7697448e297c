/* SPDX-License-Identifier: Apache-2.0 */
/* A network's port: an interface's frames with one VLAN tag, or with none. What it sends gets the tag and leaves by the
 * interface; what the interface receives is given to it by external_rx, without the tag. */
#include <errno.h>
#include <string.h>

#include <rte_errno.h>

#include "external/external_internal.h"
#include "external/external_vlan.h"
#include "port/offload.h"

/* Tagged frames are cut into segments here: not every device does it behind a tag. */
#define TAGGED_CAPS (PORT_CAP_CSUM | PORT_CAP_MULTI_SEG)

struct member {
	const struct port *trunk;
	uint16_t vlan; /* 0: untagged */
};

static int member_open(struct port *port, const struct port_spec *spec)
{
	struct member *s = port->priv;

	s->trunk = port_by_name(spec->ifname);
	s->vlan = (uint16_t)spec->id;
	port->n_rx_queues = 0;
	return s->trunk != NULL ? 0 : port_fail(port, -ENODEV, "no interface");
}

static void member_close(struct port *port)
{
	(void)port;
}

/* The interface's reader gives it its frames. */
static uint16_t member_rx(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)port;
	(void)queue;
	(void)pkts;
	(void)n;
	return 0;
}

static uint16_t send_tagged(
	const struct member *s, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct port *trunk = (struct port *)(uintptr_t)s->trunk;
	uint16_t tagged = 0, sent;

	while (tagged < n && vlan_push(pkts[tagged], s->vlan))
		tagged++;
	if (tagged == 0) {
		rte_errno = EINVAL;
		return 0;
	}
	sent = trunk->driver->tx_burst(trunk, queue, pkts, tagged);
	for (uint16_t i = sent; i < tagged; i++) /* they may be given to us again */
		vlan_pop(pkts[i]);
	if (sent == tagged && tagged < n)
		rte_errno = EINVAL;
	return sent;
}

static uint16_t member_tx(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	const struct member *s = port->priv;
	struct port *trunk = (struct port *)(uintptr_t)s->trunk;

	/* Closing it waits for who has seen it open. */
	if (__atomic_load_n(&trunk->state, __ATOMIC_ACQUIRE) != PORT_ACTIVE) {
		rte_errno = ENETDOWN;
		return 0;
	}
	if (s->vlan != 0)
		return send_tagged(s, queue, pkts, n);
	return trunk->driver->tx_burst(trunk, queue, pkts, n);
}

static bool member_link_up(struct port *port)
{
	const struct member *s = port->priv;

	if (s->trunk->state == PORT_ACTIVE)
		return true;
	snprintf(port->reason, sizeof(port->reason), "%s", s->trunk->reason);
	return false;
}

PORT_DRIVER(member_driver, .type = "external", .priv_size = sizeof(struct member),
	.open = member_open, .close = member_close, .rx_burst = member_rx, .tx_burst = member_tx,
	.link_up = member_link_up)

void external_port_follow(struct external *ext, uint16_t mtu)
{
	const struct member *s = ext->port->priv;

	ext->port->caps = s->vlan == 0 ? s->trunk->caps : s->trunk->caps & TAGGED_CAPS;
	ext->port->mac = s->trunk->mac;
	ext->port->mtu = mtu != 0 ? mtu : s->trunk->mtu;
	external_port_changed(ext);
}

uint16_t external_port_vlan(const struct external *ext)
{
	const struct member *s = ext->port->priv;

	return ext->port->driver == &member_driver ? s->vlan : 0;
}
