/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_PARTIAL_H
#define PORT_PARTIAL_H
/* Partial checksums that nobody speaks of: a frame that another stack of this host sent over a virtual interface carries them, and an XDP
 * socket has no place to say so. */
#include <stdbool.h>

#include <rte_mbuf.h>

/* Marks a TCP or UDP frame (also one inside VXLAN) as unfinished, as port.h says, when its checksum is the sum of
 * its pseudo header. A finished one looks so once in 65,536, and then comes to the same checksum when it is completed. So no
 * frame is made wrong; but a damaged one may be repaired, so this is only for interfaces without a wire. */
void partial_mark(struct rte_mbuf *m);

#endif
