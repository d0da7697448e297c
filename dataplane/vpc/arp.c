/* SPDX-License-Identifier: Apache-2.0 */
/* ARP (RFC 826) for every address of the VPC: nobody's request reaches anybody, all are answered here
 * with the owner's MAC. Probes (RFC 5227) are answered where the address is taken. */
#include <rte_arp.h>

#include "vpc/service.h"

struct arp_frame {
	struct rte_ether_hdr eth;
	struct rte_arp_hdr arp;
} __rte_packed __rte_aligned(2);

static bool is_arp(const struct service *s, const struct arp_frame *f)
{
	return s->len >= sizeof(*f) && f->arp.arp_hardware == RTE_BE16(RTE_ARP_HRD_ETHER) &&
	       f->arp.arp_protocol == RTE_BE16(RTE_ETHER_TYPE_IPV4) &&
	       f->arp.arp_hlen == RTE_ETHER_ADDR_LEN && f->arp.arp_plen == sizeof(rte_be32_t);
}

static void answer(struct arp_frame *f, const struct rte_ether_addr *owner)
{
	struct rte_arp_ipv4 *data = &f->arp.arp_data;
	rte_be32_t target = data->arp_tip;

	f->eth.dst_addr = data->arp_sha;
	f->eth.src_addr = *owner;
	f->arp.arp_opcode = RTE_BE16(RTE_ARP_OP_REPLY);
	data->arp_tha = data->arp_sha;
	data->arp_tip = data->arp_sip;
	data->arp_sha = *owner;
	data->arp_sip = target;
}

enum service_result arp_serve(struct service *s)
{
	struct arp_frame *f = (struct arp_frame *)s->frame;
	const struct rte_ether_addr *owner;
	struct ip_addr sender, target;
	bool own, is_gateway;

	if (!is_arp(s, f))
		return service_drop(s, DROP_MALFORMED);
	sender = ip_addr_from_v4(f->arp.arp_data.arp_sip);
	target = ip_addr_from_v4(f->arp.arp_data.arp_tip);
	if (!rte_is_same_ether_addr(&f->eth.src_addr, &f->arp.arp_data.arp_sha))
		return service_drop(s, DROP_SPOOFED);
	if (!service_source_ok(s, &f->eth.src_addr, &sender))
		return SERVICE_DROP;
	if (ip_addr_equal(&sender, &target))
		service_announced(s, &sender);
	if (f->arp.arp_opcode != RTE_BE16(RTE_ARP_OP_REQUEST) || ip_addr_equal(&sender, &target))
		return SERVICE_CONSUMED; /* nobody else learns from announcements and unasked replies */
	if (f->arp.arp_data.arp_sip == 0 && service_may_take(s, &target))
		return SERVICE_CONSUMED;
	owner = service_owner(s, &target, &own, &is_gateway);
	if (owner == NULL)
		return own ? SERVICE_CONSUMED : service_drop(s, service_nobody(s));
	answer(f, owner);
	return SERVICE_REPLY;
}
