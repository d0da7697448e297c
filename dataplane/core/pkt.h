/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_PKT_H
#define CORE_PKT_H
/* What travels with a packet, in the mbuf's private area. At most one cache line; each field has one
 * meaning on its whole way.
 */
#include <rte_mbuf.h>

#include "core/drop.h"
#include "core/location.h"

#define PKT_VPC_NONE 0u /* VPC index 0 is never a VPC */

enum pkt_flag {
	PKT_F_FRAGMENT = 1 << 0, /* an IP fragment, first or later. Set by parse */
	PKT_F_LATER = 1 << 1,    /* a fragment without the L4 header. Set by parse */
	PKT_F_GENERATED =
		1 << 2,    /* made here, not received: replies, errors, probes. Set by its maker */
	PKT_F_V6 = 1 << 3, /* set by parse */
	PKT_F_L4 = 1 << 4, /* sport/dport (or ICMP id) are valid. Set by parse */
	PKT_F_ICMP_ERROR = 1 << 5, /* an ICMP error; related to the flow it quotes. Set by parse */
	PKT_F_WAITED =
		1
		<< 6, /* has waited for a next hop; queued_ms says since when. Set by external_release */
	PKT_F_OBSERVED = 1 << 7, /* `observed` is set. Set by observers (observe/fate.h) */
};

struct pkt {
	loc_t in;         /* ingress. Set by port_rx, vxlan_decap; read by fast_path, road, drop */
	loc_t out;        /* egress. Set by fast_path/road/services; read by port_tx, underlay_tx */
	uint32_t vpc;     /* VPC index it is in now. Set by port_rx, vxlan_decap; read by all */
	uint32_t out_vni; /* VNI to stamp. Set with `out` when that is a tunnel */
	uint32_t hash; /* session hash. Set by fast_path; read by road, vxlan_encap (source port) */
	uint16_t l3_off; /* from the frame's start. Set by parse */
	uint16_t l4_off; /* from the frame's start. Set by parse */
	uint16_t l3_len; /* IP total length, as the header says. Set by parse */
	uint8_t proto;   /* IP protocol after extension headers. Set by parse */
	uint8_t flags;   /* enum pkt_flag */
	uint8_t reason;  /* enum drop_reason. Set by whoever sends to `drop` */
	uint16_t sport;  /* network order; ICMP: id. Set by parse */
	uint16_t dport;  /* network order; ICMP: id */
	uint32_t
		session; /* session reference (index << 1 | direction) or UINT32_MAX. Set by fast_path */
	/* While it waits in a shaper (qos/), and queued_ms for a next hop (external/). Set and read by shape, shape_release. */
	struct rte_mbuf *queue_next;
	uint16_t shapers[3]; /* still to pass after that one */
	uint16_t queued_ms;  /* when it came, worker clock */
	uint16_t out_life;   /* of the port it is for, see struct port */
	uint16_t observed;   /* with PKT_F_OBSERVED: by whom, see observe/fate.h */
};

_Static_assert(sizeof(struct pkt) <= 64, "packet metadata is one cache line");

static inline struct pkt *pkt_of(struct rte_mbuf *m)
{
	return (struct pkt *)rte_mbuf_to_priv(m);
}

#endif
