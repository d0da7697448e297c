/* SPDX-License-Identifier: Apache-2.0 */
#include "vpc/ra.h"

struct advertisement { /* RFC 4861 section 4.2, behind the ICMPv6 header */
	rte_be32_t reachable, retrans;
	struct icmp6_opt_mac mac;
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

static_assert(sizeof(struct icmp6_frame) + sizeof(struct advertisement) + 8 +
			      8 * sizeof(struct ip_addr) ==
		      RA_FRAME_MAX,
	"the largest one");

#define HOP_LIMIT 64u
#define MANAGED 0x80u /* addresses come by DHCPv6 */
#define OTHER 0x40u   /* and so does the rest */
#define LIFETIME_S 1800u
#define PREFIX_ON_LINK 0x80
#define PREFIX_AUTONOMOUS 0x40
#define PREFIX_VALID_S 86400u
#define PREFIX_PREFERRED_S 43200u

bool ra_wanted(const struct vnic *vnic)
{
	const struct subnet *subnet = vnic->subnet;

	return subnet != NULL && subnet->prefix6.len != IP_PREFIX_NONE && subnet->dhcp;
}

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
		len = (uint16_t)(len + 16);
	}
	if (len == 8)
		return 0;
	at[0] = ICMP6_OPT_RDNSS;
	at[1] = (uint8_t)(len / 8);
	at[2] = at[3] = 0;
	memcpy(at + 4, &(rte_be32_t){rte_cpu_to_be_32(LIFETIME_S)}, 4);
	return len;
}

uint16_t ra_write(struct icmp6_frame *f, const struct vnic *vnic, const struct subnet *subnet,
	const struct ip_addr *to)
{
	struct advertisement *a = (struct advertisement *)(f + 1);
	const struct vpc *vpc = vnic->vpc;
	uint16_t len;

	f->eth.src_addr = vpc->gw_mac;
	f->icmp = (struct icmp6_hdr){.type = ICMP6_RA};
	f->icmp.body = rte_cpu_to_be_32(HOP_LIMIT << 24 | (MANAGED | OTHER) << 16 | LIFETIME_S);
	*a = (struct advertisement){0};
	a->mac = (struct icmp6_opt_mac){.type = ICMP6_OPT_SLLA, .units = 1, .mac = vpc->gw_mac};
	a->mtu.type = ICMP6_OPT_MTU;
	a->mtu.units = 1;
	a->mtu.mtu = rte_cpu_to_be_32(vpc->mtu);
	a->prefix.type = ICMP6_OPT_PREFIX;
	a->prefix.units = 4;
	a->prefix.len = subnet->prefix6.len;
	a->prefix.flags = PREFIX_ON_LINK | (address_is_eui64(vnic, subnet) ? PREFIX_AUTONOMOUS : 0);
	a->prefix.valid = rte_cpu_to_be_32(PREFIX_VALID_S);
	a->prefix.preferred = rte_cpu_to_be_32(PREFIX_PREFERRED_S);
	memcpy(a->prefix.prefix, subnet->prefix6.addr.bytes, 16);
	len = (uint16_t)(sizeof(f->icmp) + sizeof(*a) + put_dns((uint8_t *)(a + 1), subnet));
	icmp6_finish(f, &vpc->gw_link_local, to, len);
	return (uint16_t)(offsetof(struct icmp6_frame, icmp) + len);
}
