/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROBE_PROBE_WIRE_H
#define PROBE_PROBE_WIRE_H
/* Probes as bytes. Between our dataplanes: an Ethernet frame of the local experimental EtherType (IEEE 802 table 9-4),
 * which travels in VXLAN with VNI 0, that no VPC has. To a VTEP that somebody else runs: an ICMP echo (RFC 792, RFC 4443).
 * Pure functions. docs/architecture.md shows the layout.
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

#include "base/ip.h"

#define PROBE_ETHER_TYPE 0x88b5
#define PROBE_SIZE_MIN 74u /* IP 20, UDP 8, VXLAN 8, Ethernet 14, message 24 */
#define PROBE_SIZE_MIN6 94u

enum probe_type { PROBE_REQUEST = 1, PROBE_ANSWER = 2 };

struct probe_message {
	rte_be32_t magic;
	uint8_t version, type; /* enum probe_type */
	rte_be16_t size;       /* of the request, as an IP packet on the underlay */
	uint64_t nonce;        /* the asker's, as it likes */
	uint64_t stamp;        /* the same */
} __attribute__((packed));

/* Both write `nonce` and `stamp`, with which the answer comes back, and return the frame's length. `size`: IP bytes on the
 * underlay. The frame is for control_send(). */
uint16_t probe_write(uint8_t *frame, bool v6, uint16_t size, uint64_t nonce, uint64_t stamp);
/* With all its headers. The addresses are of one family. */
struct probe_echo {
	struct ip_addr own, peer;
	struct rte_ether_addr smac, dmac;
	uint16_t sequence;
};
uint16_t probe_echo_write(uint8_t *frame, const struct probe_echo *echo, uint16_t size,
	uint64_t nonce, uint64_t stamp);

/* The message of a frame that came with VNI 0; NULL: it is none of ours. */
struct probe_message *probe_parse(uint8_t *frame, uint32_t len);
/* What an echo reply brings back. False: the underlay frame is something else. `len` bytes of it are in one piece. */
bool probe_echo_parse(const uint8_t *frame, uint32_t len, uint64_t *nonce, uint64_t *stamp);

#endif
