/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbour discovery (RFC 4861): solicitations for every address of the VPC are answered here with the
 * owner's MAC, duplicate address detection (RFC 4862) included; router solicitations by the gateway. */
#include <netinet/in.h>

#include "vpc/icmp6.h"
#include "vpc/service.h"
#include "vpc/vpc_internal.h"

#define NA_ROUTER RTE_BE32(1u << 31)
#define NA_SOLICITED RTE_BE32(1u << 30)
#define NA_OVERRIDE RTE_BE32(1u << 29)

enum { OPT_SLLA = 1, OPT_TLLA = 2, OPT_PREFIX = 3, OPT_MTU = 5, OPT_RDNSS = 25 };

struct opt_mac {
	uint8_t type, units; /* of 8 bytes */
	struct rte_ether_addr mac;
};

struct neighbour { /* of NS and NA, behind the ICMPv6 header */
	uint8_t target[16];
	struct opt_mac option;
};

static const struct ip_addr all_nodes = {.bytes = {0xff, 2, [15] = 1}};

/* RFC 4861 sections 6.1.1, 7.1.1: every option has a length, and all fit. */
static bool options_ok(const uint8_t *options, uint16_t len)
{
	while (len >= 8 && options[1] != 0 && 8 * options[1] <= len) {
		len = (uint16_t)(len - 8 * options[1]);
		options += 8 * options[1];
	}
	return len == 0;
}

/* Where the answer goes: the asker, or all nodes when it has no address yet. */
static struct ip_addr answer_to(struct icmp6_frame *f, const struct ip_addr *asker)
{
	if ((asker->q[0] | asker->q[1]) != 0) {
		f->eth.dst_addr = f->eth.src_addr;
		return *asker;
	}
	f->eth.dst_addr = (struct rte_ether_addr){{0x33, 0x33, 0, 0, 0, 1}};
	return all_nodes;
}

/* Unsolicited, with the sender's address as target: RFC 4861 section 7.2.6. */
static enum service_result advertised(struct service *s, const struct icmp6_frame *f, uint16_t len)
{
	const struct neighbour *n = (const struct neighbour *)(f + 1);
	struct ip_addr target;

	if (len < sizeof(f->icmp) + sizeof(n->target))
		return service_drop(s, DROP_MALFORMED);
	target = ip_addr_from_v6(n->target);
	if (!(f->icmp.body & NA_SOLICITED))
		service_announced(s, &target);
	return SERVICE_CONSUMED; /* nobody else learns anything */
}

static enum service_result solicited(
	struct service *s, struct icmp6_frame *f, const struct ip_addr *asker, uint16_t len)
{
	struct neighbour *n = (struct neighbour *)(f + 1);
	uint16_t target_end = sizeof(f->icmp) + sizeof(n->target);
	uint16_t reply_len = target_end + sizeof(n->option);
	const struct rte_ether_addr *owner;
	bool own, is_gateway, has_address = (asker->q[0] | asker->q[1]) != 0;
	struct ip_addr target, to;

	if (len < target_end || n->target[0] == 0xff ||
		!options_ok(n->target + sizeof(n->target), (uint16_t)(len - target_end)))
		return service_drop(s, DROP_MALFORMED);
	target = ip_addr_from_v6(n->target);
	owner = service_owner(s, &target, &own, &is_gateway);
	if (owner == NULL)
		return own ? SERVICE_CONSUMED : service_drop(s, DROP_NO_ROUTE);
	if (s->room < offsetof(struct icmp6_frame, icmp) + reply_len)
		return service_drop(s, DROP_NO_BUFFER);
	to = answer_to(f, asker);
	f->eth.src_addr = *owner;
	f->icmp = (struct icmp6_hdr){.type = ICMP6_NA, .body = NA_OVERRIDE};
	f->icmp.body |= (is_gateway ? NA_ROUTER : 0) | (has_address ? NA_SOLICITED : 0);
	n->option = (struct opt_mac){.type = OPT_TLLA, .units = 1, .mac = *owner};
	icmp6_finish(f, &target, &to, reply_len);
	s->len = (uint16_t)(offsetof(struct icmp6_frame, icmp) + reply_len);
	return SERVICE_REPLY;
}

/* --- Router advertisement, RFC 4861 section 4.2 --- */

struct advertisement { /* behind the ICMPv6 header */
	rte_be32_t reachable, retrans;
	struct opt_mac mac;
	struct {
		uint8_t type, units;
		rte_be16_t reserved;
		rte_be32_t mtu;
	} mtu;
	struct {
		uint8_t type, units, len, flags;
		rte_be32_t valid, preferred, reserved;
		uint8_t prefix[16];
	} prefix;
} __rte_packed;

#define RA_HOP_LIMIT 64u
#define RA_MANAGED 0x80u /* addresses come by DHCPv6 */
#define RA_LIFETIME_S 1800u
#define PREFIX_ON_LINK 0x80
#define PREFIX_AUTONOMOUS 0x40
#define PREFIX_VALID_S 86400u
#define PREFIX_PREFERRED_S 43200u

/* Would the port make its own address out of the prefix? */
static bool address_is_eui64(const struct vnic *vnic, const struct subnet *subnet)
{
	struct ip_addr addr = {.q = {subnet->prefix6.addr.q[0], vnic->link_local.q[1]}};

	return subnet->prefix6.len == 64 && vnic_owns(vnic, &addr);
}

/* Appends the IPv6 name servers (RFC 8106); returns their option's length. */
static uint16_t put_dns(uint8_t *at, const struct subnet *subnet)
{
	uint16_t len = 8;

	for (unsigned int n = 0; n < subnet->n_dns; n++) {
		if (ip_addr_is_v4(&subnet->dns[n]))
			continue;
		memcpy(at + len, subnet->dns[n].bytes, 16);
		len += 16;
	}
	if (len == 8)
		return 0;
	at[0] = OPT_RDNSS;
	at[1] = (uint8_t)(len / 8);
	at[2] = at[3] = 0;
	memcpy(at + 4, &(rte_be32_t){rte_cpu_to_be_32(RA_LIFETIME_S)}, 4);
	return len;
}

static enum service_result advertise(
	struct service *s, struct icmp6_frame *f, const struct ip_addr *asker, uint16_t len)
{
	struct advertisement *a = (struct advertisement *)(f + 1);
	const struct subnet *subnet = s->subnet;
	struct ip_addr to;

	if (!options_ok((const uint8_t *)(f + 1), (uint16_t)(len - sizeof(f->icmp))))
		return service_drop(s, DROP_MALFORMED);
	if (s->vnic == NULL || subnet == NULL || subnet->prefix6.len == IP_PREFIX_NONE ||
		!subnet->dhcp)
		return SERVICE_CONSUMED;
	if (s->room < sizeof(*f) + sizeof(*a) + 8 + sizeof(subnet->dns))
		return service_drop(s, DROP_NO_BUFFER);
	to = answer_to(f, asker);
	f->eth.src_addr = s->vpc->gw_mac;
	f->icmp = (struct icmp6_hdr){.type = ICMP6_RA};
	f->icmp.body = rte_cpu_to_be_32(RA_HOP_LIMIT << 24 | RA_MANAGED << 16 | RA_LIFETIME_S);
	*a = (struct advertisement){0};
	a->mac = (struct opt_mac){.type = OPT_SLLA, .units = 1, .mac = s->vpc->gw_mac};
	a->mtu.type = OPT_MTU;
	a->mtu.units = 1;
	a->mtu.mtu = rte_cpu_to_be_32(s->vpc->mtu);
	a->prefix.type = OPT_PREFIX;
	a->prefix.units = 4;
	a->prefix.len = subnet->prefix6.len;
	a->prefix.flags =
		PREFIX_ON_LINK | (address_is_eui64(s->vnic, subnet) ? PREFIX_AUTONOMOUS : 0);
	a->prefix.valid = rte_cpu_to_be_32(PREFIX_VALID_S);
	a->prefix.preferred = rte_cpu_to_be_32(PREFIX_PREFERRED_S);
	memcpy(a->prefix.prefix, subnet->prefix6.addr.bytes, 16);
	len = (uint16_t)(sizeof(f->icmp) + sizeof(*a) + put_dns((uint8_t *)(a + 1), subnet));
	icmp6_finish(f, &s->vpc->gw_link_local, &to, len);
	s->len = (uint16_t)(offsetof(struct icmp6_frame, icmp) + len);
	return SERVICE_REPLY;
}

enum service_result nd_serve(struct service *s)
{
	struct icmp6_frame *f = (struct icmp6_frame *)s->frame;
	uint16_t len = icmp6_len(f, s->len);
	struct ip_addr src;

	/* Nobody beyond the link may speak: hop limit 255, code 0 (RFC 4861 sections 6.1, 7.1). */
	if (len == 0 || f->ip.hop_limits != 255 || f->icmp.code != 0)
		return service_drop(s, DROP_MALFORMED);
	if (icmp6_checksum(f, len) != 0)
		return service_drop(s, DROP_BAD_CHECKSUM);
	if (f->icmp.type == ICMP6_RA || f->icmp.type == ICMP6_REDIRECT)
		return service_drop(s, DROP_ROGUE_RA);
	src = ip_addr_from_v6(f->ip.src_addr);
	if (!service_source_ok(s, &f->eth.src_addr, &src))
		return SERVICE_DROP;
	switch (f->icmp.type) {
	case ICMP6_NS:
		return solicited(s, f, &src, len);
	case ICMP6_RS:
		return advertise(s, f, &src, len);
	default:
		return advertised(s, f, len);
	}
}
