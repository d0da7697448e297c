/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbour discovery (RFC 4861): solicitations for every address of the VPC are answered here with the
 * owner's MAC, duplicate address detection (RFC 4862) included; router solicitations by the gateway. */
#include <netinet/in.h>

#include "vpc/icmp6.h"
#include "vpc/ra.h"
#include "vpc/service.h"
#include "vpc/vnic.h"

#define NA_ROUTER RTE_BE32(1u << 31)
#define NA_SOLICITED RTE_BE32(1u << 30)
#define NA_OVERRIDE RTE_BE32(1u << 29)

struct neighbour { /* of NS and NA, behind the ICMPv6 header */
	uint8_t target[16];
	struct icmp6_opt_mac option;
};

/* RFC 4861 sections 6.1.1, 7.1.1: every option has a length, and all fit. */
static bool options_ok(const uint8_t *options, uint16_t len)
{
	while (len >= 8 && options[1] != 0 && 8 * options[1] <= len) {
		len = (uint16_t)(len - 8 * options[1]);
		options += 8 * options[1];
	}
	return len == 0;
}

/* The options are well formed. */
static bool has_source_mac(const uint8_t *options, uint16_t len)
{
	for (uint16_t at = 0; at < len; at = (uint16_t)(at + 8 * options[at + 1]))
		if (options[at] == ICMP6_OPT_SLLA)
			return true;
	return false;
}

static bool is_unspecified(const struct ip_addr *addr)
{
	return (addr->q[0] | addr->q[1]) == 0;
}

/* Where the answer goes: the asker, or all nodes when it has no address yet. */
static struct ip_addr answer_to(struct icmp6_frame *f, const struct ip_addr *asker)
{
	if (!is_unspecified(asker)) {
		f->eth.dst_addr = f->eth.src_addr;
		return *asker;
	}
	f->eth.dst_addr = ether_all_nodes;
	return ip_all_nodes;
}

/* RFC 4861 section 7.1.1: who has no address asks the group of the one it wants, and names no MAC. */
static bool probe_ok(const struct icmp6_frame *f, const uint8_t *options, uint16_t len)
{
	static const uint8_t solicited_node[13] = {0xff, 2, [11] = 1, [12] = 0xff};

	return memcmp(f->ip.dst_addr, solicited_node, sizeof(solicited_node)) == 0 &&
	       !has_source_mac(options, len);
}

/* Unsolicited, with the sender's address as target: RFC 4861 section 7.2.6. */
static enum service_result advertised(struct service *s, const struct icmp6_frame *f, uint16_t len)
{
	const struct neighbour *n = (const struct neighbour *)(f + 1);
	struct ip_addr target;

	if (len < sizeof(f->icmp) + sizeof(n->target) ||
		((f->icmp.body & NA_SOLICITED) && f->ip.dst_addr[0] == 0xff)) /* section 7.1.2 */
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
	bool own, is_gateway, has_address = !is_unspecified(asker);
	const uint8_t *options = n->target + sizeof(n->target);
	struct ip_addr target, to;

	if (len < target_end || n->target[0] == 0xff ||
		!options_ok(options, (uint16_t)(len - target_end)) ||
		(!has_address && !probe_ok(f, options, (uint16_t)(len - target_end))))
		return service_drop(s, DROP_MALFORMED);
	target = ip_addr_from_v6(n->target);
	if (!has_address && service_may_take(s, &target))
		return SERVICE_CONSUMED;
	owner = service_owner(s, &target, &own, &is_gateway);
	if (owner == NULL)
		return own ? SERVICE_CONSUMED : service_drop(s, service_nobody(s));
	if (s->room < offsetof(struct icmp6_frame, icmp) + reply_len)
		return service_drop(s, DROP_NO_BUFFER);
	to = answer_to(f, asker);
	f->eth.src_addr = *owner;
	f->icmp = (struct icmp6_hdr){.type = ICMP6_NA, .body = NA_OVERRIDE};
	f->icmp.body |= (is_gateway ? NA_ROUTER : 0) | (has_address ? NA_SOLICITED : 0);
	n->option = (struct icmp6_opt_mac){.type = ICMP6_OPT_TLLA, .units = 1, .mac = *owner};
	icmp6_finish(f, &target, &to, reply_len);
	s->len = (uint16_t)(offsetof(struct icmp6_frame, icmp) + reply_len);
	return SERVICE_REPLY;
}

/* A router solicitation: RFC 4861 section 6.2.6. */
static enum service_result advertise(
	struct service *s, struct icmp6_frame *f, const struct ip_addr *asker, uint16_t len)
{
	struct ip_addr to;

	if (!options_ok((const uint8_t *)(f + 1), (uint16_t)(len - sizeof(f->icmp))) ||
		(is_unspecified(asker) && len > sizeof(f->icmp) &&
			has_source_mac(
				(const uint8_t *)(f + 1), (uint16_t)(len - sizeof(f->icmp)))))
		return service_drop(s, DROP_MALFORMED);
	if (s->vnic == NULL || !ra_wanted(s->vnic))
		return SERVICE_CONSUMED;
	if (s->room < RA_FRAME_MAX)
		return service_drop(s, DROP_NO_BUFFER);
	to = answer_to(f, asker);
	s->len = ra_write(f, s->vnic, s->subnet, &to);
	return SERVICE_REPLY;
}

enum service_result nd_serve(struct service *s)
{
	struct icmp6_frame *f = (struct icmp6_frame *)s->frame;
	const struct icmp6_hdr *icmp =
		service_l4(s, offsetof(struct icmp6_frame, icmp), sizeof(*icmp));
	uint16_t len = icmp6_len(f, s->len);
	struct ip_addr src;

	/* A router's words from a tenant, whatever they are wrapped in (RFC 6105, 7113). */
	if (icmp != NULL && (icmp->type == ICMP6_RA || icmp->type == ICMP6_REDIRECT))
		return service_drop(s, DROP_ROGUE_RA);
	/* Nobody beyond the link may speak: hop limit 255, code 0 (RFC 4861 sections 6.1, 7.1). */
	if (len == 0 || f->ip.hop_limits != 255 || f->icmp.code != 0)
		return service_drop(s, DROP_MALFORMED);
	if (icmp6_checksum(f, len) != 0)
		return service_drop(s, DROP_BAD_CHECKSUM);
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
