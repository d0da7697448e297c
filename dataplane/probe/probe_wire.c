/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/probe_wire.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_icmp.h>
#include <rte_ip.h>

#include "base/checksum.h"

#define MAGIC RTE_BE32(0x76706370)
#define VERSION 1

enum { ETHER = 14, IPV4 = 20, IPV6 = 40, ICMP = 8 };
enum { ECHO4 = 8, ECHO_REPLY4 = 0, ECHO6 = 128, ECHO_REPLY6 = 129 };

uint16_t probe_write(uint8_t *frame, bool v6, uint16_t size, uint64_t nonce, uint64_t stamp)
{
	struct rte_ether_hdr eth = {
		/* Nobody's: the frame ends in the dataplane that it is sent to. */
		.dst_addr = {{0x02, 0x76, 0x70, 0x63, 0, 1}},
		.src_addr = {{0x02, 0x76, 0x70, 0x63, 0, 0}},
		.ether_type = RTE_BE16(PROBE_ETHER_TYPE),
	};
	struct probe_message msg = {.magic = MAGIC,
		.version = VERSION,
		.type = PROBE_REQUEST,
		.size = rte_cpu_to_be_16(size),
		.nonce = nonce,
		.stamp = stamp};
	uint16_t overhead =
		(uint16_t)((v6 ? PROBE_SIZE_MIN6 : PROBE_SIZE_MIN) - ETHER - sizeof(msg));
	uint16_t len = (uint16_t)(size - overhead);

	memset(frame, 0, len);
	memcpy(frame, &eth, sizeof(eth));
	memcpy(frame + ETHER, &msg, sizeof(msg));
	return len;
}

struct probe_message *probe_parse(uint8_t *frame, uint32_t len)
{
	struct probe_message *msg = (struct probe_message *)(frame + ETHER);

	if (len < ETHER + sizeof(*msg) || frame[12] != (PROBE_ETHER_TYPE >> 8) ||
		frame[13] != (PROBE_ETHER_TYPE & 0xff) || msg->magic != MAGIC ||
		msg->version != VERSION)
		return NULL;
	return msg;
}

/* ICMP header, then nonce and stamp, then zeroes. */
static void write_icmp(uint8_t *icmp, const struct probe_echo *e, uint8_t type, uint16_t len,
	uint64_t nonce, uint64_t stamp)
{
	struct rte_icmp_hdr head = {.icmp_type = type,
		.icmp_ident = RTE_BE16(0x7670),
		.icmp_seq_nb = rte_cpu_to_be_16(e->sequence)};

	memset(icmp, 0, len);
	memcpy(icmp, &head, sizeof(head));
	memcpy(icmp + ICMP, &nonce, sizeof(nonce));
	memcpy(icmp + ICMP + sizeof(nonce), &stamp, sizeof(stamp));
}

static void write_echo4(
	uint8_t *at, const struct probe_echo *e, uint16_t size, uint64_t nonce, uint64_t stamp)
{
	struct rte_ipv4_hdr ip = {
		.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16(size),
		.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_ICMP,
		.src_addr = ip_addr_v4(&e->own),
		.dst_addr = ip_addr_v4(&e->peer),
	};
	uint16_t len = (uint16_t)(size - IPV4);
	rte_be16_t checksum;

	ip.hdr_checksum = checksum_ipv4_header(&ip);
	memcpy(at, &ip, sizeof(ip));
	write_icmp(at + IPV4, e, ECHO4, len, nonce, stamp);
	checksum = checksum_finish(checksum_add(0, at + IPV4, len));
	memcpy(at + IPV4 + 2, &checksum, sizeof(checksum));
}

static void write_echo6(
	uint8_t *at, const struct probe_echo *e, uint16_t size, uint64_t nonce, uint64_t stamp)
{
	uint16_t len = (uint16_t)(size - IPV6);
	struct rte_ipv6_hdr ip = {.vtc_flow = RTE_BE32(6u << 28),
		.payload_len = rte_cpu_to_be_16(len),
		.proto = IPPROTO_ICMPV6,
		.hop_limits = 64};
	rte_be16_t checksum;

	memcpy(ip.src_addr, e->own.bytes, 16);
	memcpy(ip.dst_addr, e->peer.bytes, 16);
	memcpy(at, &ip, sizeof(ip));
	write_icmp(at + IPV6, e, ECHO6, len, nonce, stamp);
	checksum = checksum_finish(checksum_add(
		checksum_pseudo6(ip.src_addr, ip.dst_addr, IPPROTO_ICMPV6, len), at + IPV6, len));
	memcpy(at + IPV6 + 2, &checksum, sizeof(checksum));
}

uint16_t probe_echo_write(
	uint8_t *frame, const struct probe_echo *e, uint16_t size, uint64_t nonce, uint64_t stamp)
{
	bool v4 = ip_addr_is_v4(&e->peer);
	struct rte_ether_hdr eth = {.dst_addr = e->dmac,
		.src_addr = e->smac,
		.ether_type = v4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6)};

	memcpy(frame, &eth, sizeof(eth));
	if (v4)
		write_echo4(frame + ETHER, e, size, nonce, stamp);
	else
		write_echo6(frame + ETHER, e, size, nonce, stamp);
	return (uint16_t)(ETHER + size);
}

/* Offset of an echo reply's ICMP header, or 0. */
static uint32_t echo_reply_at(const uint8_t *f, uint32_t len)
{
	uint32_t at;

	if (len < ETHER + IPV4 + ICMP)
		return 0;
	if (f[12] == 0x08 && f[13] == 0x00) {
		at = ETHER + (f[ETHER] & 15u) * 4;
		return f[ETHER] >> 4 == 4 && f[ETHER + 9] == IPPROTO_ICMP &&
				       ((f[ETHER + 6] & 0x3f) | f[ETHER + 7]) == 0 &&
				       at + ICMP <= len && f[at] == ECHO_REPLY4
			       ? at
			       : 0;
	}
	at = ETHER + IPV6;
	return f[12] == 0x86 && f[13] == 0xdd && at + ICMP <= len &&
			       f[ETHER + 6] == IPPROTO_ICMPV6 && f[at] == ECHO_REPLY6
		       ? at
		       : 0;
}

bool probe_echo_parse(const uint8_t *frame, uint32_t len, uint64_t *nonce, uint64_t *stamp)
{
	uint32_t at = echo_reply_at(frame, len);

	if (at == 0 || at + ICMP + sizeof(*nonce) + sizeof(*stamp) > len)
		return false;
	memcpy(nonce, frame + at + ICMP, sizeof(*nonce));
	memcpy(stamp, frame + at + ICMP + sizeof(*nonce), sizeof(*stamp));
	return true;
}
