/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VPC_HOOK_H
#define VPC_HOOK_H
/* What a program of a hook is given. For its author:
 *
 *	clang -O2 -target bpf -mcpu=v2 -c my_hook.bpf.c -o my_hook.o
 *	vpcctl hook attach my-hook --port web1 --role filter my_hook.o
 *
 * The program is one function that gets a pointer to this and returns a number. As a filter it says 0 to drop the packet, anything
 * else to let it go on. As a sampler it says 0 to pass it over, anything else to have it copied to the hook's mirror.
 *
 * It reads this structure and its own stack of 512 bytes, and nothing else: there are no maps, helpers, global variables or
 * other functions, and jumps go forward only (unroll loops: `#pragma unroll`). An index into `frame` is to be bounded by a
 * mask, which the verifiers see: frame[i & 127].
 *
 * What is here stays as it is; later versions only add behind `frame`. Numbers are in the byte order of the machine, `frame` is as on the wire.
 */

#define VPC_HOOK_FRAME 192

enum vpc_hook_direction {
	VPC_HOOK_EGRESS = 1,  /* the port has sent it; nothing was done to it yet */
	VPC_HOOK_INGRESS = 2, /* the port is about to be given it; all was done to it */
};

enum vpc_hook_flags {
	VPC_HOOK_FRAGMENT = 1, /* of an IP packet, first or later */
	VPC_HOOK_LATER = 2,    /* a fragment without the header of its protocol: no ports */
	VPC_HOOK_SEGMENTS =
		4, /* a machine's offload: goes on the wire as several packets; decided about as one */
};

struct vpc_hook {
	unsigned int length;   /* of the frame, in bytes, without its checksum */
	unsigned int captured; /* of these in `frame`; what is behind them there is zero */
	unsigned int vni;
	unsigned char direction; /* enum vpc_hook_direction */
	unsigned char family;    /* 4, 6; 0: neither, such as ARP */
	unsigned char protocol;  /* of IP, behind extension headers; 0: none */
	unsigned char flags;     /* enum vpc_hook_flags */
	unsigned short ether_type;
	unsigned short l3_offset; /* of the IP header in `frame`; 0: none */
	unsigned short l4_offset; /* of what follows it; 0: none, or not in `frame` */
	unsigned short source_port, destination_port; /* of TCP, UDP and SCTP; else 0 */
	unsigned short reserved;
	unsigned char frame[VPC_HOOK_FRAME]; /* from the destination's MAC on */
};

/* Puts the program into the section `hook`. An object may have several programs, each in a section of its own. */
#define VPC_HOOK_PROGRAM __attribute__((section("hook"), used))

#endif
