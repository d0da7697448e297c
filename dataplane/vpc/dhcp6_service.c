/* SPDX-License-Identifier: Apache-2.0 */
/* DHCPv6 for the ports of this node: the binding is the port's configured addresses, the server is the
 * gateway, which speaks from its link-local address. */
#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "base/checksum.h"
#include "vpc/dhcp6.h"
#include "vpc/service.h"

#define PREFERRED_S 3600u
#define VALID_S 7200u
#define SERVER_PORT RTE_BE16(547)
#define CLIENT_PORT RTE_BE16(546)

struct frame {
	struct rte_ether_hdr eth;
	struct rte_ipv6_hdr ip; /* without extension headers */
	struct rte_udp_hdr udp;
	uint8_t dhcp[];
} __rte_packed __rte_aligned(2);

/* Section 7.1. */
static const struct ip_addr all_servers = {.bytes = {0xff, 2, [13] = 1, [15] = 2}};

static bool lease_of(const struct service *s, struct dhcp6_lease *lease)
{
	const struct subnet *subnet = s->subnet;

	*lease = (struct dhcp6_lease){
		.server = s->vpc->gw_mac, .preferred_s = PREFERRED_S, .valid_s = VALID_S};
	if (s->vnic == NULL || subnet == NULL || !subnet->dhcp ||
		subnet->prefix6.len == IP_PREFIX_NONE)
		return false;
	for (unsigned int n = 0; n < subnet->n_dns; n++)
		if (!ip_addr_is_v4(&subnet->dns[n]))
			lease->dns[lease->n_dns++] = subnet->dns[n];
	for (unsigned int n = 0; n < s->vnic->n_addrs; n++)
		if (!ip_addr_is_v4(&s->vnic->addrs[n]))
			lease->addresses[lease->n_addresses++] = s->vnic->addrs[n];
	return true;
}

/* Length of the datagram, 0 when the frame does not hold one. */
static uint16_t datagram_len(const struct service *s, const struct frame *f)
{
	uint16_t len = rte_be_to_cpu_16(f->udp.dgram_len);

	return len >= sizeof(f->udp) && len <= s->len - offsetof(struct frame, udp) ? len : 0;
}

static rte_be16_t checksum_of(const struct frame *f, uint16_t len)
{
	uint32_t sum = checksum_pseudo6(f->ip.src_addr, f->ip.dst_addr, IPPROTO_UDP, len);

	return checksum_finish_udp(checksum_add(sum, &f->udp, len));
}

/* RFC 8200 section 8.1: UDP over IPv6 has a checksum. */
static bool checksum_ok(const struct frame *f, uint16_t len)
{
	uint32_t sum = checksum_pseudo6(f->ip.src_addr, f->ip.dst_addr, IPPROTO_UDP, len);

	return f->udp.dgram_cksum != 0 && checksum_fold(checksum_add(sum, &f->udp, len)) == 0xffff;
}

static void finish(struct service *s, struct frame *f, const uint8_t *answer, uint16_t len)
{
	uint16_t udp_len = (uint16_t)(sizeof(f->udp) + len);

	f->eth.dst_addr = f->eth.src_addr;
	f->eth.src_addr = s->vpc->gw_mac;
	memcpy(f->ip.dst_addr, f->ip.src_addr, sizeof(f->ip.dst_addr));
	memcpy(f->ip.src_addr, s->vpc->gw_link_local.bytes, sizeof(f->ip.src_addr));
	f->ip.vtc_flow = RTE_BE32(6u << 28);
	f->ip.payload_len = rte_cpu_to_be_16(udp_len);
	f->ip.hop_limits = 64;
	f->udp = (struct rte_udp_hdr){.src_port = SERVER_PORT,
		.dst_port = CLIENT_PORT,
		.dgram_len = rte_cpu_to_be_16(udp_len)};
	memcpy(f->dhcp, answer, len);
	f->udp.dgram_cksum = checksum_of(f, udp_len);
	s->len = (uint16_t)(offsetof(struct frame, dhcp) + len);
}

static enum service_result answer(struct service *s, struct frame *f)
{
	struct ip_addr dst = ip_addr_from_v6(f->ip.dst_addr);
	uint16_t len = datagram_len(s, f), reply_len = 0;
	uint8_t reply[DHCP6_ANSWER_MAX];
	struct dhcp6_lease lease;

	if (len == 0)
		return service_drop(s, DROP_MALFORMED);
	if (!checksum_ok(f, len))
		return service_drop(s, DROP_BAD_CHECKSUM);
	if (!lease_of(s, &lease))
		return service_drop(s, DROP_BROADCAST); /* no service here that answers */
	switch (dhcp6_answer(f->dhcp, (uint16_t)(len - sizeof(f->udp)),
		!ip_addr_equal(&dst, &all_servers), &lease, reply, &reply_len)) {
	case DHCP6_SILENT:
		return SERVICE_CONSUMED;
	case DHCP6_MALFORMED:
		return service_drop(s, DROP_MALFORMED);
	case DHCP6_ROGUE:
		return service_drop(s, DROP_ROGUE_DHCP);
	case DHCP6_RELAYED:
		return service_drop(s, DROP_UNSUPPORTED);
	case DHCP6_ANSWER:
		break;
	}
	if (s->room < offsetof(struct frame, dhcp) + reply_len)
		return service_drop(s, DROP_NO_BUFFER);
	finish(s, f, reply, reply_len);
	return SERVICE_REPLY;
}

enum service_result dhcp6_serve(struct service *s)
{
	struct frame *f = (struct frame *)s->frame;
	const struct rte_udp_hdr *udp = service_l4(s, offsetof(struct frame, udp), sizeof(*udp));
	struct ip_addr src;

	if (udp == NULL)
		return service_drop(s, DROP_MALFORMED);
	if (udp->dst_port != SERVER_PORT)
		return service_drop(s, DROP_ROGUE_DHCP); /* a server's words, from a tenant */
	if ((const uint8_t *)udp != (const uint8_t *)&f->udp)
		return service_drop(s, DROP_MALFORMED); /* no client sends extension headers */
	src = ip_addr_from_v6(f->ip.src_addr);
	/* Section 13: clients speak from their link-local address. */
	if (!ip_addr_is_link_local(&src))
		return service_drop(s, DROP_SPOOFED);
	if (!service_source_ok(s, &f->eth.src_addr, &src))
		return SERVICE_DROP;
	return answer(s, f);
}
