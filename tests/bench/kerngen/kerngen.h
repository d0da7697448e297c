/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNGEN_H
#define KERNGEN_H
/* What both sides of the generator know: the frame's headers, and where in the flows it is. */

struct kerngen_state {
	unsigned char head[128];
	unsigned int ip_sum, l4_sum;
	unsigned int src, dst;      /* last 32 bits of the first addresses */
	unsigned int sources, flow; /* flows: src counts on, then sport */
	unsigned int flows, src_at;
	unsigned short sport, sport_at, dport;
	unsigned char ipv6, vxlan;
};

#endif
