/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNGEN_H
#define KERNGEN_H
/* What both sides of the generator know: the frame's headers, and where in the flows it is. */

#define KERNGEN_SIZES 3  /* of an IMIX; else the first is the only one */
#define KERNGEN_CYCLE 12 /* seven small, four middle, one large */

/* Headers of a size, a power of two in all. */
struct kerngen_frame {
	unsigned char head[128];
	unsigned int ip_sum, l4_sum, length;
	int cut; /* how much shorter than the longest, which is what is given */
	unsigned int unused[28];
};

struct kerngen_state {
	struct kerngen_frame frames[KERNGEN_SIZES + 1];
	unsigned int src, dst;      /* last 32 bits of the first addresses */
	unsigned int sources, flow; /* flows: src counts on, then sport */
	unsigned int flows, src_at;
	unsigned int fresh_every, fresh_in,
		fresh;   /* each so many-th is of a flow that never comes again */
	unsigned int at; /* place in the cycle */
	unsigned short sport, sport_at, dport;
	unsigned char ipv6, vxlan, imix;
	unsigned char cycle[16];
};

#endif
