/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VPC_DHCP6_H
#define VPC_DHCP6_H
/* DHCPv6 messages (RFC 8415, DNS of RFC 3646): what a client said and what its port has become the
 * server's answer. The server's side of it needs no state: the port's configured addresses are the
 * binding, whatever the client did before. Pure: no tables, no frames.
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

#include "base/ip.h"

/* What an answer takes at most: one packet of the smallest MTU (RFC 8200 section 5). */
#define DHCP6_ANSWER_MAX 1232u

/* What a port has. */
struct dhcp6_lease {
	struct ip_addr addresses[16]; /* IPv6 only */
	struct ip_addr dns[8];        /* the same */
	uint8_t n_addresses, n_dns;
	struct rte_ether_addr server; /* makes the server's DUID (DUID-LL, section 11.4) */
	uint32_t preferred_s, valid_s;
};

enum dhcp6_verdict {
	DHCP6_ANSWER,    /* there is one */
	DHCP6_SILENT,    /* well formed, and not ours to answer (section 16) */
	DHCP6_MALFORMED, /* no client's message */
	DHCP6_ROGUE,     /* a server's words */
	DHCP6_RELAYED,   /* a relay's: there are none between a port and us */
};

/* Reads a message and writes its answer, of *answer_len bytes, beside it. `unicast`: it was not sent to
 * ff02::1:2, which a client may only do when told (section 18.4). */
enum dhcp6_verdict dhcp6_answer(const uint8_t *msg, uint16_t len, bool unicast,
	const struct dhcp6_lease *lease, uint8_t answer[DHCP6_ANSWER_MAX], uint16_t *answer_len);

#endif
