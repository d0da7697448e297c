/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NEIGHBOUR_NEIGHBOUR_WIRE_H
#define NEIGHBOUR_NEIGHBOUR_WIRE_H
/* ARP (RFC 826) and neighbour discovery (RFC 4861) as bytes, in one shape: somebody asks for an address, or somebody
 * tells where an address lives. Pure functions. */
#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

#include "base/ip.h"

#define NEIGHBOUR_FRAME_MAX 86 /* Ethernet 14, IPv6 40, advertisement 24, option 8 */

struct neighbour_message {
	bool request; /* ARP request, neighbour solicitation; else a reply, advertisement */
	bool v6;
	bool has_subject; /* it tells where `subject` lives; not so in an address probe (RFC 5227, RFC 4862 5.4) */
	bool has_mac; /* an advertisement may confirm a MAC without naming it */
	bool solicited,
		override; /* of an advertisement; an ARP reply to us, an ARP frame that tells */
	struct ip_addr subject;
	struct rte_ether_addr mac;  /* of the subject */
	struct ip_addr target;      /* whom a request is for */
	struct rte_ether_addr from; /* who sent the frame */
};

/* Reads a frame and checks it as the RFCs ask (RFC 4861 7.1: hop limit 255, checksum, lengths …). False: nothing to learn from. */
bool neighbour_parse(const uint8_t *frame, uint16_t len, struct neighbour_message *msg);

/* Asks for `target` on behalf of `own`: `to` that MAC alone, or everybody when it is NULL. Returns the frame's length. */
uint16_t neighbour_write_request(uint8_t frame[NEIGHBOUR_FRAME_MAX], const struct ip_addr *own,
	const struct rte_ether_addr *own_mac, const struct ip_addr *target,
	const struct rte_ether_addr *to);
/* Answers a request for `request->target`, which is ours. */
uint16_t neighbour_write_answer(uint8_t frame[NEIGHBOUR_FRAME_MAX],
	const struct rte_ether_addr *own_mac, const struct neighbour_message *request);
/* Tells everybody where `own` lives: RFC 5227 2.3, RFC 4861 7.2.6. */
uint16_t neighbour_write_announcement(uint8_t frame[NEIGHBOUR_FRAME_MAX], const struct ip_addr *own,
	const struct rte_ether_addr *own_mac);

#endif
