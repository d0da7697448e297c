// SPDX-License-Identifier: Apache-2.0
/* A sampler: packets that begin a TLS connection (a ClientHello) are copied to the hook's mirror. It reads the payload at an offset that
 * it finds out by itself: an index is bounded by a mask, which every verifier follows.
 *
 *	clang -O2 -target bpf -mcpu=v2 -c tls_hello.bpf.c -o tls_hello.o
 *	vpcctl hook attach hello --subnet prod-web --role sample --mirror web-tap tls_hello.o
 */
#include "vpc_hook.h"

#define TCP 6
#define HANDSHAKE 22
#define CLIENT_HELLO 1

VPC_HOOK_PROGRAM int tls_hello(const struct vpc_hook *packet)
{
	unsigned int tcp = packet->l4_offset, payload;

	if (packet->protocol != TCP || tcp == 0)
		return 0;
	payload = tcp + (packet->frame[(tcp + 12) & 127] >> 4) * 4;
	if (payload + 6 > packet->captured)
		return 0;
	/* The mask reaches behind all headers but those with every option there is. */
	return packet->frame[payload & 127] == HANDSHAKE &&
	       packet->frame[(payload + 5) & 127] == CLIENT_HELLO;
}
