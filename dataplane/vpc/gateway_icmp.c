/* SPDX-License-Identifier: Apache-2.0 */
/* What is sent to the gateway itself: pings are answered (RFC 792, 4443), all else is dropped. */
#include <netinet/in.h>
#include <rte_icmp.h>

#include "vpc/icmp6.h"
#include "vpc/service.h"

struct icmp4_frame {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
} __rte_packed __rte_aligned(2);

static void swap_macs(struct service *s, struct rte_ether_hdr *eth)
{
	eth->dst_addr = eth->src_addr;
	eth->src_addr = s->vpc->gw_mac;
}

/* To the gateway, and no ping. */
static enum service_result no_ping(struct service *s)
{
	return service_drop(s, s->vpc->external != NULL ? DROP_NOT_FOR_US : DROP_UNSUPPORTED);
}

static enum service_result ping4(struct service *s)
{
	struct icmp4_frame *f = (struct icmp4_frame *)s->frame;
	struct rte_icmp_hdr *icmp;
	struct ip_addr src;
	rte_be32_t gateway;

	if (s->len < sizeof(*f) + sizeof(*icmp) ||
		s->len < sizeof(f->eth) + rte_ipv4_hdr_len(&f->ip) + sizeof(*icmp))
		return service_drop(s, DROP_MALFORMED);
	src = ip_addr_from_v4(f->ip.src_addr);
	if (f->ip.src_addr == 0)
		return service_drop(s, DROP_SPOOFED);
	if (!service_source_ok(s, &f->eth.src_addr, &src))
		return SERVICE_DROP;
	if (f->ip.fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK))
		return service_drop(s, DROP_FRAGMENT);
	icmp = (struct rte_icmp_hdr *)((uint8_t *)&f->ip + rte_ipv4_hdr_len(&f->ip));
	if (f->ip.next_proto_id != IPPROTO_ICMP || icmp->icmp_type != RTE_IP_ICMP_ECHO_REQUEST)
		return no_ping(s);
	swap_macs(s, &f->eth);
	gateway = f->ip.dst_addr;
	f->ip.dst_addr = f->ip.src_addr;
	f->ip.src_addr = gateway;
	f->ip.time_to_live = 64;
	f->ip.hdr_checksum = 0;
	f->ip.hdr_checksum = checksum_ipv4_header(&f->ip);
	/* Incremental, so that a wrong checksum of the request stays wrong. */
	icmp->icmp_cksum = checksum_apply(
		icmp->icmp_cksum, checksum_delta16(0, RTE_BE16(RTE_IP_ICMP_ECHO_REQUEST << 8),
					  RTE_IP_ICMP_ECHO_REPLY));
	icmp->icmp_type = RTE_IP_ICMP_ECHO_REPLY;
	return SERVICE_REPLY;
}

static enum service_result ping6(struct service *s)
{
	struct icmp6_frame *f = (struct icmp6_frame *)s->frame;
	struct ip_addr src;
	uint8_t gateway[16];

	if (s->len < sizeof(*f))
		return service_drop(s, DROP_MALFORMED);
	src = ip_addr_from_v6(f->ip.src_addr);
	if ((src.q[0] | src.q[1]) == 0)
		return service_drop(s, DROP_SPOOFED);
	if (!service_source_ok(s, &f->eth.src_addr, &src))
		return SERVICE_DROP;
	if (f->ip.proto == IPPROTO_FRAGMENT)
		return service_drop(s, DROP_FRAGMENT);
	if (f->ip.proto != IPPROTO_ICMPV6 || f->icmp.type != ICMP6_ECHO || f->icmp.code != 0)
		return no_ping(s);
	swap_macs(s, &f->eth);
	memcpy(gateway, f->ip.dst_addr, sizeof(gateway));
	memcpy(f->ip.dst_addr, f->ip.src_addr, sizeof(gateway));
	memcpy(f->ip.src_addr, gateway, sizeof(gateway));
	f->ip.hop_limits = 64;
	f->icmp.checksum = checksum_apply(f->icmp.checksum,
		checksum_delta16(0, RTE_BE16(ICMP6_ECHO << 8), RTE_BE16(ICMP6_ECHO_REPLY << 8)));
	f->icmp.type = ICMP6_ECHO_REPLY;
	return SERVICE_REPLY;
}

enum service_result gateway_serve(struct service *s)
{
	const struct rte_ether_hdr *eth = (const struct rte_ether_hdr *)s->frame;

	if (s->len < sizeof(*eth))
		return service_drop(s, DROP_MALFORMED);
	if (rte_is_multicast_ether_addr(&eth->dst_addr))
		return service_drop(s, DROP_BROADCAST);
	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
		return ping4(s);
	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
		return ping6(s);
	return service_drop(s, DROP_UNSUPPORTED);
}
