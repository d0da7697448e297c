/* SPDX-License-Identifier: Apache-2.0 */
#include "neighbour/neighbour_wire.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_arp.h>
#include <rte_ip.h>

#include "base/checksum.h"

#define ETHER 14
#define IPV6 40
#define HOP_LIMIT 255

enum { ND_SOLICITATION = 135, ND_ADVERTISEMENT = 136 };
enum { OPTION_SOURCE_MAC = 1, OPTION_TARGET_MAC = 2 };
enum { ADVERTISED_SOLICITED = 0x40, ADVERTISED_OVERRIDE = 0x20 };

/* RFC 4861 4.3, 4.4: both have this shape. */
struct nd {
	uint8_t type;
	uint8_t code;
	rte_be16_t checksum;
	uint8_t flags;
	uint8_t reserved[3];
	uint8_t target[16];
	uint8_t options[];
};

static bool is_zero(const void *bytes, size_t n)
{
	static const uint8_t zero[16];

	return memcmp(bytes, zero, n) == 0;
}

static bool parse_arp(const uint8_t *frame, uint16_t len, struct neighbour_message *msg)
{
	struct rte_arp_hdr arp;
	rte_be32_t sender, target;

	if (len < ETHER + sizeof(arp))
		return false;
	memcpy(&arp, frame + ETHER, sizeof(arp));
	if (arp.arp_hardware != RTE_BE16(RTE_ARP_HRD_ETHER) ||
		arp.arp_protocol != RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
		arp.arp_hlen != RTE_ETHER_ADDR_LEN || arp.arp_plen != 4)
		return false;
	if (arp.arp_opcode != RTE_BE16(RTE_ARP_OP_REQUEST) &&
		arp.arp_opcode != RTE_BE16(RTE_ARP_OP_REPLY))
		return false;
	if (!rte_is_valid_assigned_ether_addr(&arp.arp_data.arp_sha))
		return false;
	sender = arp.arp_data.arp_sip;
	target = arp.arp_data.arp_tip;
	msg->request = arp.arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST);
	msg->has_subject = sender != 0;
	msg->has_mac = true;
	msg->solicited = !msg->request && sender != target &&
			 rte_is_unicast_ether_addr(&arp.arp_data.arp_tha);
	msg->override = true;
	msg->subject = ip_addr_from_v4(sender);
	msg->mac = arp.arp_data.arp_sha;
	msg->target = ip_addr_from_v4(target);
	return true;
}

/* The link-layer address option of that type. False: the options are malformed (RFC 4861 4.6: a length of 0, cut short). */
static bool parse_options(
	const uint8_t *at, uint32_t len, uint8_t wanted, struct neighbour_message *msg)
{
	while (len > 0) {
		uint32_t size = len >= 2 ? at[1] * 8u : 0;

		if (size == 0 || size > len)
			return false;
		if (at[0] == wanted && size == 8) {
			memcpy(&msg->mac, at + 2, sizeof(msg->mac));
			msg->has_mac = true;
		}
		at += size;
		len -= size;
	}
	return !msg->has_mac || rte_is_valid_assigned_ether_addr(&msg->mac);
}

/* RFC 4861 7.1.1. */
static bool check_solicitation(const struct rte_ipv6_hdr *ip, const struct neighbour_message *msg)
{
	static const uint8_t solicited_node[13] = {0xff, 0x02, [11] = 0x01, [12] = 0xff};

	if (msg->has_subject)
		return true;
	return memcmp(ip->dst_addr, solicited_node, sizeof(solicited_node)) == 0 && !msg->has_mac;
}

static bool parse_nd(const uint8_t *frame, uint16_t len, struct neighbour_message *msg)
{
	const struct rte_ipv6_hdr *ip = (const struct rte_ipv6_hdr *)(frame + ETHER);
	const struct nd *nd = (const struct nd *)(frame + ETHER + IPV6);
	uint32_t size;

	if (len < ETHER + IPV6 + sizeof(*nd) || ip->proto != IPPROTO_ICMPV6 ||
		ip->hop_limits != HOP_LIMIT)
		return false;
	size = rte_be_to_cpu_16(ip->payload_len);
	if (size < sizeof(*nd) || ETHER + IPV6 + size > len || nd->code != 0 ||
		nd->target[0] == 0xff || ip->src_addr[0] == 0xff)
		return false;
	if (nd->type != ND_SOLICITATION && nd->type != ND_ADVERTISEMENT)
		return false;
	if (checksum_fold(
		    checksum_add(checksum_pseudo6(ip->src_addr, ip->dst_addr, IPPROTO_ICMPV6, size),
			    nd, size)) != 0xffff)
		return false;
	msg->v6 = true;
	msg->request = nd->type == ND_SOLICITATION;
	msg->target = ip_addr_from_v6(nd->target);
	msg->has_subject = !msg->request || !is_zero(ip->src_addr, 16);
	msg->subject = msg->request ? ip_addr_from_v6(ip->src_addr) : msg->target;
	if (!parse_options(nd->options, size - (uint32_t)sizeof(*nd),
		    msg->request ? OPTION_SOURCE_MAC : OPTION_TARGET_MAC, msg))
		return false;
	if (msg->request)
		return check_solicitation(ip, msg);
	msg->solicited = nd->flags & ADVERTISED_SOLICITED;
	msg->override = nd->flags & ADVERTISED_OVERRIDE;
	return !(msg->solicited && ip->dst_addr[0] == 0xff); /* RFC 4861 7.1.2 */
}

bool neighbour_parse(const uint8_t *frame, uint16_t len, struct neighbour_message *msg)
{
	memset(msg, 0, sizeof(*msg));
	if (len < ETHER)
		return false;
	memcpy(&msg->from, frame + 6, sizeof(msg->from));
	if (frame[12] == 0x08 && frame[13] == 0x06)
		return parse_arp(frame, len, msg);
	if (frame[12] == 0x86 && frame[13] == 0xdd)
		return parse_nd(frame, len, msg);
	return false;
}

static void write_ether(uint8_t *frame, const struct rte_ether_addr *to,
	const struct rte_ether_addr *from, uint16_t type)
{
	struct rte_ether_hdr eth = {
		.dst_addr = *to, .src_addr = *from, .ether_type = rte_cpu_to_be_16(type)};

	memcpy(frame, &eth, sizeof(eth));
}

static uint16_t write_arp(uint8_t *frame, uint16_t opcode, const struct ip_addr *own,
	const struct rte_ether_addr *own_mac, const struct ip_addr *target,
	const struct rte_ether_addr *to)
{
	static const struct rte_ether_addr everybody = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	struct rte_arp_hdr arp = {
		.arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER),
		.arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4),
		.arp_hlen = RTE_ETHER_ADDR_LEN,
		.arp_plen = 4,
		.arp_opcode = rte_cpu_to_be_16(opcode),
		.arp_data.arp_sha = *own_mac,
		.arp_data.arp_sip = ip_addr_v4(own),
		.arp_data.arp_tip = ip_addr_v4(target),
	};

	if (opcode == RTE_ARP_OP_REPLY)
		arp.arp_data.arp_tha = *to;
	write_ether(frame, to != NULL ? to : &everybody, own_mac, RTE_ETHER_TYPE_ARP);
	memcpy(frame + ETHER, &arp, sizeof(arp));
	return ETHER + sizeof(arp);
}

/* `to` NULL: the MAC of the multicast group `dst` (RFC 2464 7). */
static uint16_t write_nd(uint8_t *frame, uint8_t type, uint8_t flags, const uint8_t src[16],
	const uint8_t dst[16], const struct ip_addr *target, const struct rte_ether_addr *own_mac,
	const struct rte_ether_addr *to)
{
	const uint16_t size = sizeof(struct nd) + 8;
	struct rte_ether_addr group = {{0x33, 0x33, dst[12], dst[13], dst[14], dst[15]}};
	struct rte_ipv6_hdr ip = {.vtc_flow = RTE_BE32(6u << 28),
		.payload_len = rte_cpu_to_be_16(size),
		.proto = IPPROTO_ICMPV6,
		.hop_limits = HOP_LIMIT};
	struct nd nd = {.type = type, .flags = flags};
	uint8_t *l4 = frame + ETHER + IPV6;
	rte_be16_t checksum;

	memcpy(ip.src_addr, src, 16);
	memcpy(ip.dst_addr, dst, 16);
	memcpy(nd.target, target->bytes, 16);
	write_ether(frame, to != NULL ? to : &group, own_mac, RTE_ETHER_TYPE_IPV6);
	memcpy(frame + ETHER, &ip, sizeof(ip));
	memcpy(l4, &nd, sizeof(nd));
	l4[sizeof(nd)] = type == ND_SOLICITATION ? OPTION_SOURCE_MAC : OPTION_TARGET_MAC;
	l4[sizeof(nd) + 1] = 1;
	memcpy(l4 + sizeof(nd) + 2, own_mac, sizeof(*own_mac));
	checksum = checksum_finish(checksum_add(
		checksum_pseudo6(ip.src_addr, ip.dst_addr, IPPROTO_ICMPV6, size), l4, size));
	memcpy(l4 + 2, &checksum, sizeof(checksum));
	return (uint16_t)(ETHER + IPV6 + size);
}

uint16_t neighbour_write_request(uint8_t frame[NEIGHBOUR_FRAME_MAX], const struct ip_addr *own,
	const struct rte_ether_addr *own_mac, const struct ip_addr *target,
	const struct rte_ether_addr *to)
{
	/* RFC 4291 2.7.1: ff02::1:ff00:0/104 and the last 24 bits. */
	uint8_t group[16] = {0xff, 0x02, [11] = 0x01, [12] = 0xff};

	if (ip_addr_is_v4(target))
		return write_arp(frame, RTE_ARP_OP_REQUEST, own, own_mac, target, to);
	memcpy(group + 13, target->bytes + 13, 3);
	return write_nd(frame, ND_SOLICITATION, 0, own->bytes, to != NULL ? target->bytes : group,
		target, own_mac, to);
}

static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 0x01};

uint16_t neighbour_write_answer(uint8_t frame[NEIGHBOUR_FRAME_MAX],
	const struct rte_ether_addr *own_mac, const struct neighbour_message *request)
{
	if (!request->v6)
		return write_arp(frame, RTE_ARP_OP_REPLY, &request->target, own_mac,
			&request->subject, &request->mac);
	if (!request->has_subject) /* somebody wants to take our address: RFC 4861 7.2.4 */
		return write_nd(frame, ND_ADVERTISEMENT, ADVERTISED_OVERRIDE, request->target.bytes,
			all_nodes, &request->target, own_mac, NULL);
	return write_nd(frame, ND_ADVERTISEMENT, ADVERTISED_SOLICITED | ADVERTISED_OVERRIDE,
		request->target.bytes, request->subject.bytes, &request->target, own_mac,
		request->has_mac ? &request->mac : &request->from);
}

uint16_t neighbour_write_announcement(uint8_t frame[NEIGHBOUR_FRAME_MAX], const struct ip_addr *own,
	const struct rte_ether_addr *own_mac)
{
	if (ip_addr_is_v4(own))
		return write_arp(frame, RTE_ARP_OP_REQUEST, own, own_mac, own, NULL);
	return write_nd(frame, ND_ADVERTISEMENT, ADVERTISED_OVERRIDE, own->bytes, all_nodes, own,
		own_mac, NULL);
}
