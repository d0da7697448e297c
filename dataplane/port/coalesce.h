/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_COALESCE_H
#define PORT_COALESCE_H
/* Puts TCP segments that follow one another in a burst back into one GSO frame, for ports to which each frame costs a system
 * call and a walk through the receiver's stack.
 *
 * Only what segmentation takes apart again to the same segments is put together: equal headers (addresses, ports, TTL, traffic
 * class, acknowledgment, window, flags and options, timestamps among them), sequence numbers without a gap, equal lengths but
 * for the last; a segment with PSH is the last. Identifications must follow one another unless DF is set (RFC 6864 section
 * 4.1: they mean nothing then). Checksums are verified before, so a damaged segment stays as it is. Segments of a flow never
 * overtake each other.
 */
#include <rte_mbuf.h>

/* Merges in place. Returns how many frames are left, in `pkts`; the others became parts of them. The merged carry RTE_MBUF_F_TX_TCP_SEG
 * and a partial checksum. Workers. */
unsigned int coalesce(struct rte_mbuf **pkts, unsigned int n);

#endif
