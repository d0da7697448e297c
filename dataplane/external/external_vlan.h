/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXTERNAL_EXTERNAL_VLAN_H
#define EXTERNAL_EXTERNAL_VLAN_H
/* VLAN tags (IEEE 802.1Q) on and off frames. */
#include <stdbool.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#define VLAN_ID_MASK 0x0fffu
#define VLAN_MACS (2 * RTE_ETHER_ADDR_LEN)

static inline bool vlan_is_tagged(const struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	return eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN) &&
	       m->data_len >= sizeof(*eth) + sizeof(struct rte_vlan_hdr);
}

/* Of a tagged frame. */
static inline uint16_t vlan_id(const struct rte_mbuf *m)
{
	const struct rte_vlan_hdr *tag = rte_pktmbuf_mtod_offset(
		m, const struct rte_vlan_hdr *, sizeof(struct rte_ether_hdr));

	return rte_be_to_cpu_16(tag->vlan_tci) & VLAN_ID_MASK;
}

static inline void vlan_pop(struct rte_mbuf *m)
{
	char *frame = rte_pktmbuf_mtod(m, char *);

	memmove(frame + RTE_VLAN_HLEN, frame, VLAN_MACS);
	rte_pktmbuf_adj(m, RTE_VLAN_HLEN);
	if (m->ol_flags & RTE_MBUF_F_TX_L4_MASK)
		m->l2_len -= RTE_VLAN_HLEN;
}

/* False: no room in front of it. */
static inline bool vlan_push(struct rte_mbuf *m, uint16_t id)
{
	char *frame = rte_pktmbuf_prepend(m, RTE_VLAN_HLEN);
	const rte_be16_t tag[2] = {RTE_BE16(RTE_ETHER_TYPE_VLAN), rte_cpu_to_be_16(id)};

	if (frame == NULL)
		return false;
	memmove(frame, frame + RTE_VLAN_HLEN, VLAN_MACS);
	memcpy(frame + VLAN_MACS, tag, sizeof(tag));
	if (m->ol_flags & RTE_MBUF_F_TX_L4_MASK)
		m->l2_len += RTE_VLAN_HLEN;
	return true;
}

#endif
