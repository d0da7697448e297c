/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>

#include "forward/parse.h"
#include "hook/hook.h"

_Static_assert(
	(int)VPC_HOOK_EGRESS == (int)OBSERVE_SENT && (int)VPC_HOOK_INGRESS == (int)OBSERVE_GIVEN,
	"one numbering of directions");
_Static_assert(offsetof(struct vpc_hook, frame) == 28 && sizeof(struct vpc_hook) == 220,
	"what programs were compiled with");
_Static_assert(RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN, "objects are little-endian");

#define ETHER 14u

static uint16_t word(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void describe_ports(struct vpc_hook *c)
{
	const uint8_t *l4 = c->frame + c->l4_offset;

	if ((c->protocol != IPPROTO_TCP && c->protocol != IPPROTO_UDP &&
		    c->protocol != IPPROTO_SCTP) ||
		c->l4_offset + 4u > c->captured)
		return;
	c->source_port = word(l4);
	c->destination_port = word(l4 + 2);
}

/* `offset`: of the upper layer from the IP header. */
static void describe_upper(struct vpc_hook *c, uint32_t offset)
{
	if ((c->flags & VPC_HOOK_LATER) != 0 || ETHER + offset >= c->captured)
		return;
	c->l4_offset = (uint16_t)(ETHER + offset);
	describe_ports(c);
}

static void describe_ipv4(struct vpc_hook *c)
{
	const uint8_t *ip = c->frame + ETHER;
	uint32_t header = (ip[0] & 15u) * 4;

	if (c->captured < ETHER + 20 || ip[0] >> 4 != 4 || header < 20)
		return;
	c->family = 4;
	c->l3_offset = ETHER;
	c->protocol = ip[9];
	if ((word(ip + 6) & 0x3fff) != 0)
		c->flags |= VPC_HOOK_FRAGMENT;
	if ((word(ip + 6) & 0x1fff) != 0)
		c->flags |= VPC_HOOK_LATER;
	describe_upper(c, header);
}

static void describe_ipv6(struct vpc_hook *c)
{
	const uint8_t *ip = c->frame + ETHER;
	struct pkt p = {.proto = 0};
	uint32_t header;

	if (c->captured < ETHER + 40 || ip[0] >> 4 != 6)
		return;
	c->family = 6;
	c->l3_offset = ETHER;
	header = parse_skip_extensions(ip, c->captured - ETHER, &p);
	if (p.flags & PKT_F_FRAGMENT)
		c->flags |= VPC_HOOK_FRAGMENT;
	if (p.flags & PKT_F_LATER)
		c->flags |= VPC_HOOK_LATER;
	if (header == 0)
		return;
	c->protocol = p.proto;
	describe_upper(c, header);
}

void hook_describe(
	struct vpc_hook *c, const struct rte_mbuf *m, uint32_t vni, enum observe_direction d)
{
	uint32_t have = RTE_MIN(m->pkt_len, (uint32_t)VPC_HOOK_FRAME);
	const void *from;

	memset(c, 0, offsetof(struct vpc_hook, frame));
	from = rte_pktmbuf_read(m, 0, have, c->frame);
	if (from != c->frame)
		memcpy(c->frame, from, have);
	memset(c->frame + have, 0, VPC_HOOK_FRAME - have);
	c->length = m->pkt_len;
	c->captured = have;
	c->vni = vni;
	c->direction = (uint8_t)d;
	if ((m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)) != 0)
		c->flags |= VPC_HOOK_SEGMENTS;
	if (have < ETHER)
		return;
	c->ether_type = word(c->frame + 12);
	if (c->ether_type == 0x0800)
		describe_ipv4(c);
	else if (c->ether_type == 0x86dd)
		describe_ipv6(c);
}
