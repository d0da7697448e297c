/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VPC_SERVICE_H
#define VPC_SERVICE_H
/* What the gateway itself answers (ARP, ND, ping, DHCP): a frame becomes its own answer in place.
 *
 * A service knows neither mbuf nor graph: bytes in, bytes out, so its tests need no EAL. service_node.h
 * makes nodes of them. Workers, under RCU.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/drop.h"
#include "core/location.h"
#include "vpc/vpc.h"

enum service_result {
	SERVICE_REPLY,    /* the frame is the answer now and goes back where it came from */
	SERVICE_CONSUMED, /* heard; there is nothing to say */
	SERVICE_DROP,     /* see reason */
};

struct service {
	uint8_t *frame;
	uint16_t len; /* of the frame; what an answer of another length sets */
	uint16_t
		room; /* how long an answer may be. Equal to len where the frame is in several pieces, of
			* which these bytes are the first: no length may change then */
	uint16_t
		l4_off; /* of the upper layer, behind options and extension headers; 0: there are none */
	loc_t in;
	const struct vpc *vpc;
	const struct port *port;     /* NULL from a tunnel */
	const struct vnic *vnic;     /* of port; NULL from an outside network, too */
	const struct subnet *subnet; /* the sender's; NULL: unknown */
	enum drop_reason reason;     /* of SERVICE_DROP */
};

typedef enum service_result (*service_fn)(struct service *s);

/* Fills everything but frame, len, room and l4_off. False: the port or VPC is gone (reason is set). */
bool service_begin(struct service *s, loc_t in, uint32_t vpc_index);

static inline enum service_result service_drop(struct service *s, enum drop_reason reason)
{
	s->reason = reason;
	return SERVICE_DROP;
}

/* The upper layer's header of `size` bytes; `plain`: where it is behind a plain header. NULL: the frame is shorter. */
static inline void *service_l4(const struct service *s, size_t plain, size_t size)
{
	size_t off = s->l4_off != 0 ? s->l4_off : plain;

	return off + size <= s->len ? s->frame + off : NULL;
}

/* May the sender use these source addresses? False with the reason. The all-zero address (probes, DHCP
 * clients) is anybody's. */
bool service_source_ok(
	struct service *s, const struct rte_ether_addr *smac, const struct ip_addr *src);

/* Who answers for an address of the VPC, to the sender. NULL: nobody known, or the sender itself (`own`). */
const struct rte_ether_addr *service_owner(
	const struct service *s, const struct ip_addr *target, bool *own, bool *is_gateway);

/* Why a question for an address that nobody has is dropped. */
enum drop_reason service_nobody(const struct service *s);

/* Is it an address that the sender may take over from whoever has it (keepalived)? Its probes are not answered. */
bool service_may_take(const struct service *s, const struct ip_addr *addr);

/* The sender says that an address, which it may use, is now behind it. */
void service_announced(const struct service *s, const struct ip_addr *addr);

/* The services. Each checks lengths itself; `frame` begins with the Ethernet header, without VLAN tag. */
enum service_result arp_serve(struct service *s);
enum service_result nd_serve(struct service *s);
enum service_result gateway_serve(struct service *s);
enum service_result dhcp_serve(struct service *s);
enum service_result dhcp6_serve(struct service *s);

#endif
