/* SPDX-License-Identifier: Apache-2.0 */
/* DHCP for the ports of this node: the lease is the port's configured address, the server is the
 * gateway. */
#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "base/checksum.h"
#include "vpc/dhcp.h"
#include "vpc/service.h"

#define LEASE_S 3600u
#define SERVER_PORT RTE_BE16(67)
#define CLIENT_PORT RTE_BE16(68)

struct frame {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip; /* without options */
	struct rte_udp_hdr udp;
	struct dhcp_msg dhcp;
} __rte_packed __rte_aligned(2);

static bool lease_of(const struct service *s, struct dhcp_lease *lease)
{
	const struct subnet *subnet = s->subnet;

	*lease = (struct dhcp_lease){.mtu = s->vpc->mtu, .lease_s = LEASE_S};
	if (s->vnic == NULL || subnet == NULL || !subnet->dhcp ||
		subnet->prefix4.len == IP_PREFIX_NONE)
		return false;
	lease->mask = ip_mask(subnet->prefix4.len).w[3];
	lease->gateway = ip_addr_v4(&subnet->gateway4);
	for (unsigned int n = 0; n < subnet->n_dns; n++)
		if (ip_addr_is_v4(&subnet->dns[n]))
			lease->dns[lease->n_dns++] = ip_addr_v4(&subnet->dns[n]);
	for (unsigned int n = 0; n < s->vnic->n_addrs; n++) {
		if (ip_addr_is_v4(&s->vnic->addrs[n])) {
			lease->address = ip_addr_v4(&s->vnic->addrs[n]);
			return true;
		}
	}
	return false;
}

/* Length of the DHCP message, 0 when the headers do not hold one. */
static uint16_t message_len(const struct service *s, const struct frame *f)
{
	uint16_t udp_len, room;

	if (s->len < offsetof(struct frame, dhcp) || f->ip.version_ihl != 0x45 ||
		f->ip.next_proto_id != IPPROTO_UDP)
		return 0;
	room = (uint16_t)(s->len - offsetof(struct frame, udp));
	udp_len = rte_be_to_cpu_16(f->udp.dgram_len);
	if (udp_len < sizeof(f->udp) + sizeof(f->dhcp) || udp_len > room)
		return 0;
	return (uint16_t)(udp_len - sizeof(f->udp));
}

static bool checksum_ok(const struct frame *f, uint16_t udp_len)
{
	uint32_t sum = checksum_pseudo4(f->ip.src_addr, f->ip.dst_addr, IPPROTO_UDP, udp_len);

	return f->udp.dgram_cksum == 0 || checksum_finish(checksum_add(sum, &f->udp, udp_len)) == 0;
}

static void finish(
	struct service *s, struct frame *f, enum dhcp_type type, rte_be32_t server, uint16_t len)
{
	rte_be32_t to = dhcp_answer_to(&f->dhcp, type);
	uint16_t udp_len = (uint16_t)(sizeof(f->udp) + len);
	uint32_t sum;

	if (to == UINT32_MAX)
		memset(&f->eth.dst_addr, 0xff, sizeof(f->eth.dst_addr));
	else
		f->eth.dst_addr = f->eth.src_addr;
	f->eth.src_addr = s->vpc->gw_mac;
	f->ip = (struct rte_ipv4_hdr){
		.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16((uint16_t)(sizeof(f->ip) + udp_len)),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = server,
		.dst_addr = to,
	};
	f->ip.hdr_checksum = checksum_ipv4_header(&f->ip);
	f->udp.src_port = SERVER_PORT;
	f->udp.dst_port = f->dhcp.giaddr != 0 ? SERVER_PORT : CLIENT_PORT;
	f->udp.dgram_len = rte_cpu_to_be_16(udp_len);
	f->udp.dgram_cksum = 0;
	sum = checksum_pseudo4(server, to, IPPROTO_UDP, udp_len);
	f->udp.dgram_cksum = checksum_finish_udp(checksum_add(sum, &f->udp, udp_len));
	s->len = (uint16_t)(sizeof(f->eth) + sizeof(f->ip) + udp_len);
}

static enum service_result serve_client(struct service *s, struct frame *f)
{
	uint16_t len = message_len(s, f);
	struct dhcp_request request;
	struct dhcp_lease lease;
	enum dhcp_type type;

	if (len == 0 || !dhcp_parse(&f->dhcp, len, &request))
		return service_drop(s, DROP_MALFORMED);
	if (!checksum_ok(f, (uint16_t)(sizeof(f->udp) + len)))
		return service_drop(s, DROP_BAD_CHECKSUM);
	if (!lease_of(s, &lease))
		return service_drop(s, DROP_BROADCAST); /* no service here that answers */
	if (s->port->port_security &&
		memcmp(f->dhcp.chaddr, &s->port->mac, RTE_ETHER_ADDR_LEN) != 0)
		return service_drop(s, DROP_SPOOFED);
	if (f->ip.dst_addr != UINT32_MAX && f->ip.dst_addr != lease.gateway)
		return SERVICE_CONSUMED; /* another server's */
	type = dhcp_decide(&f->dhcp, &request, &lease);
	if (type == DHCP_NONE)
		return SERVICE_CONSUMED;
	if (s->room < offsetof(struct frame, dhcp) + DHCP_ANSWER_MAX)
		return service_drop(s, DROP_NO_BUFFER);
	len = dhcp_answer(&f->dhcp, &request, type, &lease);
	finish(s, f, type, lease.gateway, len);
	return SERVICE_REPLY;
}

enum service_result dhcp_serve(struct service *s)
{
	struct frame *f = (struct frame *)s->frame;
	const struct rte_udp_hdr *udp = service_l4(s, offsetof(struct frame, udp), sizeof(*udp));
	struct ip_addr src;

	if (udp == NULL)
		return service_drop(s, DROP_MALFORMED);
	if (udp->dst_port != SERVER_PORT)
		return service_drop(s, DROP_ROGUE_DHCP); /* a server's words, from a tenant */
	if (s->len < offsetof(struct frame, dhcp) || f->ip.version_ihl != 0x45)
		return service_drop(s, DROP_MALFORMED);
	src = ip_addr_from_v4(f->ip.src_addr);
	if (!service_source_ok(s, &f->eth.src_addr, &src))
		return SERVICE_DROP;
	return serve_client(s, f);
}
