/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NODE_FRAME_H
#define TESTS_NODE_FRAME_H
/* Frames for tests: built with right lengths and checksums, checked the same way. */
#include <stdbool.h>
#include <stdint.h>

struct frame {
	uint8_t bytes[9100];
	uint16_t len;
};

/* What a frame says. Text for addresses and MACs; zero fields get the defaults in brackets. */
struct frame_spec {
	const char *smac, *dmac;
	const char *src, *dst; /* both IPv4 or both IPv6 */
	uint8_t proto;         /* [17] */
	uint16_t sport, dport; /* TCP, UDP */
	uint8_t ttl;           /* [64] */
	uint16_t payload;      /* bytes, a known pattern */
	uint8_t tcp_flags;     /* [SYN] for TCP */
	uint32_t seq, ack;
	uint16_t window; /* [65535] */
	uint16_t mss;    /* TCP option, 0: none */
	uint8_t icmp_type, icmp_code;
	uint16_t icmp_id;
	uint8_t tos;
	uint16_t ip_id;
	uint16_t fragment; /* raw flags and offset of IPv4 */
};

/* The two ends of a frame: FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .dport = 80). */
#define FROM(mac, address) .smac = (mac), .src = (address)
#define TO(mac, address) .dmac = (mac), .dst = (address)

void frame_build(struct frame *f, const struct frame_spec *s);
/* The same as an expression: FRAME(.src = "10.0.0.1", ...) lives as long as its block. */
const struct frame *frame_make(struct frame *f, const struct frame_spec *s);
#define FRAME(...) frame_make(&(struct frame){.len = 0}, &(struct frame_spec){__VA_ARGS__})
/* The L4 checksum of a whole packet without options or extension headers, right again. */
void frame_finish(struct frame *f);
/* IP, TCP, UDP, ICMP checksums and lengths of a received frame; NULL or what is wrong. */
const char *frame_check(const uint8_t *bytes, uint16_t len);
/* Wraps `inner` into VXLAN from `src` to `dst` (IPv4). */
void frame_vxlan(
	struct frame *f, const struct frame *inner, const char *src, const char *dst, uint32_t vni);
/* `inner` from the VTEP `other` (192.0.2.2) to this node. */
const struct frame *frame_tunnelled(struct frame *f, const struct frame *inner, uint32_t vni);
#define TUNNELLED(inner, vni) frame_tunnelled(&(struct frame){.len = 0}, inner, vni)
/* An ICMP error (both families by the quoted packet's) of `type`, `code` about the IP packet of `quoted`, quoting `bytes` of it. */
const struct frame *frame_icmp_error(
	struct frame *f, const struct frame_spec *s, const struct frame *quoted, uint16_t bytes);
#define ICMP_ERROR(quoted, ...)                                                                    \
	frame_icmp_error(&(struct frame){.len = 0}, &(struct frame_spec){__VA_ARGS__}, quoted, 64)
/* Puts an extension header of 8 bytes, `second` its bytes 2-7, between an IPv6 header and its payload. */
const struct frame *frame_extended(
	struct frame *f, const struct frame *plain, uint8_t header, const uint8_t rest[7]);

/* The L4 checksum as a kernel leaves it to a device: the pseudo header's sum. */
void frame_make_partial(struct frame *f);
/* The checksum of an option-less IPv4 header, right again. */
void frame_fix_ipv4(struct frame *f);

#endif
