/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLOWGEN_PLAN_H
#define FLOWGEN_PLAN_H
/* What a device shall do: its arguments (documented in net_flowgen.c), read once when it is made. */
#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

enum plan_l4 { PLAN_UDP, PLAN_SYN, PLAN_CLIENT, PLAN_SERVER };

/* IPv4 addresses stand in the last four bytes. What is counted through are the last 32 bits. */
struct plan_address {
	uint8_t bytes[16];
	bool ipv6;
};

struct plan {
	bool rx;       /* makes packets; else it only takes them */
	bool checksum; /* of UDP; TCP always has one */
	bool good;     /* says that checksums are right, as NICs do */
	bool rss;      /* gives a hash of the flow, as NICs do */
	bool offload;  /* offers to complete checksums on the way out */
	bool stamp;    /* the time in the payload; the taker makes a histogram of ages */
	enum plan_l4 l4;
	uint32_t size; /* of a frame without its FCS, inner with vxlan; 0: IMIX */
	uint64_t flows;
	uint32_t sources, destinations; /* addresses counted through */
	uint32_t fresh_every; /* each so many-th packet is of a flow never seen; 0: none */
	uint32_t ring;        /* buffers that rest before they are used again */
	uint64_t rate;        /* packets a second; 0: as many as are taken */
	uint32_t window;      /* conversations open at once */
	uint32_t vni;         /* of VXLAN around it; 0: none */
	uint32_t mtu;
	struct plan_address src, dst, outer_src, outer_dst;
	uint16_t sport, dport;
	struct rte_ether_addr smac, dmac, outer_smac, outer_dmac;
	struct rte_ether_addr mac; /* the device's own; zero: any */
	char count[128];           /* file of struct counts */
	char dump[128];            /* pcap file of what was taken */
	uint64_t dump_count, dump_skip;
};

#endif
