/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of probes: made of a described packet, and described again where they end. Without IP options and extension headers. */
#include <netinet/in.h>
#include <string.h>

#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "base/checksum.h"
#include "forward/explain.h"

static bool is_icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

/* The L4 header without its checksum. */
static uint16_t put_l4(const struct flow *f, uint8_t *l4)
{
	struct rte_tcp_hdr tcp = {.src_port = f->sport,
		.dst_port = f->dport,
		.sent_seq = RTE_BE32(1),
		.data_off = 5 << 4,
		.tcp_flags = RTE_TCP_SYN_FLAG,
		.rx_win = RTE_BE16(65535)};
	struct rte_udp_hdr udp = {.src_port = f->sport,
		.dst_port = f->dport,
		.dgram_len = rte_cpu_to_be_16(sizeof(udp) + LIVE_TOKEN)};
	struct rte_icmp_hdr icmp = {.icmp_type = f->icmp_type, .icmp_ident = f->sport};

	if (f->proto == IPPROTO_TCP) {
		memcpy(l4, &tcp, sizeof(tcp));
		return sizeof(tcp);
	}
	if (f->proto == IPPROTO_UDP) {
		memcpy(l4, &udp, sizeof(udp));
		return sizeof(udp);
	}
	if (!is_icmp(f->proto))
		return 0;
	memcpy(l4, &icmp, sizeof(icmp));
	return sizeof(icmp);
}

static void put_checksum(const struct flow *f, uint8_t *l4, uint16_t len)
{
	uint32_t sum =
		f->v6 ? checksum_pseudo6(f->src.bytes, f->dst.bytes, f->proto, len)
		      : checksum_pseudo4(ip_addr_v4(&f->src), ip_addr_v4(&f->dst), f->proto, len);
	rte_be16_t check;

	if (f->proto == IPPROTO_ICMP)
		sum = 0;
	check = f->proto == IPPROTO_UDP ? checksum_finish_udp(checksum_add(sum, l4, len))
					: checksum_finish(checksum_add(sum, l4, len));
	if (f->proto == IPPROTO_TCP)
		memcpy(l4 + offsetof(struct rte_tcp_hdr, cksum), &check, sizeof(check));
	else if (f->proto == IPPROTO_UDP)
		memcpy(l4 + offsetof(struct rte_udp_hdr, dgram_cksum), &check, sizeof(check));
	else if (is_icmp(f->proto))
		memcpy(l4 + offsetof(struct rte_icmp_hdr, icmp_cksum), &check, sizeof(check));
}

static uint8_t *put_ip(const struct flow *f, uint8_t ttl, uint16_t l4_len, uint8_t *ip)
{
	struct rte_ipv4_hdr v4 = {.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16((uint16_t)(sizeof(v4) + l4_len)),
		.time_to_live = ttl,
		.next_proto_id = f->proto,
		.src_addr = ip_addr_v4(&f->src),
		.dst_addr = ip_addr_v4(&f->dst)};
	struct rte_ipv6_hdr v6 = {.vtc_flow = RTE_BE32(6u << 28),
		.payload_len = rte_cpu_to_be_16(l4_len),
		.proto = f->proto,
		.hop_limits = ttl};

	if (f->v6) {
		memcpy(v6.src_addr, f->src.bytes, sizeof(v6.src_addr));
		memcpy(v6.dst_addr, f->dst.bytes, sizeof(v6.dst_addr));
		memcpy(ip, &v6, sizeof(v6));
		return ip + sizeof(v6);
	}
	v4.hdr_checksum = checksum_ipv4_header(&v4);
	memcpy(ip, &v4, sizeof(v4));
	return ip + sizeof(v4);
}

uint16_t live_frame_make(
	const struct flow *f, uint8_t ttl, const uint8_t token[LIVE_TOKEN], uint8_t *frame)
{
	const struct rte_ether_hdr eth = {.dst_addr = f->dmac,
		.src_addr = f->smac,
		.ether_type =
			f->v6 ? RTE_BE16(RTE_ETHER_TYPE_IPV6) : RTE_BE16(RTE_ETHER_TYPE_IPV4)};
	uint8_t l4[sizeof(struct rte_tcp_hdr) + LIVE_TOKEN], *at;
	uint16_t len = put_l4(f, l4);

	memcpy(l4 + len, token, LIVE_TOKEN);
	len = (uint16_t)(len + LIVE_TOKEN);
	put_checksum(f, l4, len);
	memcpy(frame, &eth, sizeof(eth));
	at = put_ip(f, ttl, len, frame + sizeof(eth));
	memcpy(at, l4, len);
	return (uint16_t)(at - frame + len);
}

bool live_frame_flow(const uint8_t *frame, uint16_t len, struct flow *f)
{
	const uint8_t *ip = frame + sizeof(struct rte_ether_hdr), *l4;
	rte_be32_t v4[2];

	if (len < sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr) + LIVE_TOKEN)
		return false;
	f->v6 = ip[0] >> 4 == 6;
	if (f->v6 && len < sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv6_hdr) + LIVE_TOKEN)
		return false;
	memcpy(&f->dmac, frame, sizeof(f->dmac));
	memcpy(&f->smac, frame + sizeof(f->dmac), sizeof(f->smac));
	memcpy(v4, ip + 12, sizeof(v4));
	f->src = f->v6 ? ip_addr_from_v6(ip + 8) : ip_addr_from_v4(v4[0]);
	f->dst = f->v6 ? ip_addr_from_v6(ip + 24) : ip_addr_from_v4(v4[1]);
	f->proto = f->v6 ? ip[6] : ip[9];
	l4 = ip + (f->v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr));
	if (f->proto == IPPROTO_TCP || f->proto == IPPROTO_UDP) {
		memcpy(&f->sport, l4, sizeof(f->sport));
		memcpy(&f->dport, l4 + 2, sizeof(f->dport));
	} else if (is_icmp(f->proto)) {
		f->icmp_type = l4[0];
		f->dport = rte_cpu_to_be_16((uint16_t)(l4[0] << 8));
		memcpy(&f->sport, l4 + 4, sizeof(f->sport));
	}
	return true;
}

json_t *live_frame_json(const uint8_t *frame, uint16_t len)
{
	const uint8_t *ip = frame + sizeof(struct rte_ether_hdr);
	struct flow f = {.in = LOC_NONE};
	json_t *p;

	if (!live_frame_flow(frame, len, &f))
		return json_null();
	p = json_pack("{s:o, s:o, s:i, s:o, s:o, s:i}", "source", explain_address(&f.src),
		"destination", explain_address(&f.dst), "protocol", f.proto, "smac",
		explain_mac(&f.smac), "dmac", explain_mac(&f.dmac), "ttl", f.v6 ? ip[7] : ip[8]);
	if (f.proto == IPPROTO_TCP || f.proto == IPPROTO_UDP) {
		json_object_set_new(p, "source_port", json_integer(rte_be_to_cpu_16(f.sport)));
		json_object_set_new(p, "port", json_integer(rte_be_to_cpu_16(f.dport)));
	} else if (is_icmp(f.proto)) {
		json_object_set_new(p, "source_port", json_integer(rte_be_to_cpu_16(f.sport)));
	}
	return p;
}
