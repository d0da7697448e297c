/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORWARD_TRANSLATE_H
#define FORWARD_TRANSLATE_H
/* Rewriting of the packets of translated flows (RFC 3022): the part of apply.h that untranslated flows never see.
 *
 * What is written is in the session's records from the start, deltas of the checksums included; a packet costs a few stores
 * and additions (RFC 1624), whatever its length. Checksums that do not cover what is translated, or are not there, stay as they
 * are: UDP's 0 (RFC 768), those of protocols that we do not know, those in later fragments. Of a partial checksum, which a device
 * is to complete, only the pseudo header's share changes.
 */
#include <rte_mbuf.h>

#include "core/drop.h"
#include "core/pkt.h"
#include "core/road.h"
#include "session/session.h"

/* SESSION_F_SRC, SESSION_F_DST, new addresses and ports, and deltas of both directions. The rest of the records is filled. */
void translate_fill(struct session_dir d[2], const struct flow *f);

/* Does the verdict change anything of the packet's tuple? */
bool translate_wanted(const struct flow *f);

/* Rewrites a packet of a translated flow, be it whole or a fragment, or an ICMP error about one, by the record of its own
 * direction. DROP_NONE, or why the error can not be translated. */
enum drop_reason translate_packet(struct rte_mbuf *m, struct pkt *p, uint32_t ref);

/* The same of an ICMP error: its addresses, those and the ports in the packet that it quotes, and the checksums of all of them
 * (RFC 5508 sections 4 and 5). For translate_packet(). */
enum drop_reason translate_error(struct rte_mbuf *m, struct pkt *p, uint32_t ref);

/* Parts, for who translates between families (nat64/). Ports, or id, and checksum of a packet that has them, after the session's records. */
void translate_l4(struct rte_mbuf *m, const struct pkt *p, uint32_t ref);
/* What an error quotes, in one segment now, and whether its checksums are right. */
struct parse_quote;
enum drop_reason translate_error_check(
	struct rte_mbuf *m, const struct pkt *p, struct parse_quote *q);

/* Where the checksum that covers addresses (and ports) is in the header of a protocol; TRANSLATE_NO_CHECKSUM: nowhere. */
#define TRANSLATE_NO_CHECKSUM UINT32_MAX
uint32_t translate_checksum_at(uint8_t proto, bool v6);

/* What a direction's packets are to have; of sessions with an IPv6 side. */
struct translate_addrs {
	struct ip_addr src, dst;
};
static inline struct translate_addrs translate_addrs_v6(uint32_t ref)
{
	const struct session_ext *ext = &session_exts[ref >> 1];
	unsigned int answers = ~ref & 1;

	return (struct translate_addrs){ext->dst[answers], ext->src[answers]};
}

/* The id that an ICMP query or its answer gets. */
static inline rte_be16_t translate_icmp_id(const struct session_dir *d, uint32_t ref)
{
	return ref & 1 ? d->new_dport : d->new_sport;
}

#endif
