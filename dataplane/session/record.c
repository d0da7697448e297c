/* SPDX-License-Identifier: Apache-2.0 */
#include "session/record.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip_text.h"
#include "lib/net.h"

#define WSCALE_MAX 14
#define AGE_MAX INT32_MAX /* times are compared by their difference */

static int put_side(char *text, size_t size, const struct record_side *s)
{
	return snprintf(text, size, " %u %u %u %" PRIu32 " %" PRIu32, s->bits, s->wscale, s->win,
		s->end, s->edge);
}

static char *mac_text(const struct rte_ether_addr *mac, char *text)
{
	struct net_mac m;

	memcpy(m.bytes, mac->addr_bytes, sizeof(m.bytes));
	return net_mac_format(&m, text);
}

size_t record_format(const struct record *r, char *text)
{
	char src[NET_ADDR_TEXT], dst[NET_ADDR_TEXT], dmac[NET_MAC_TEXT], smac[NET_MAC_TEXT];
	const struct record_side *a = &r->side[0], *b = &r->side[1];
	int n;

	n = snprintf(text, RECORD_TEXT_MAX,
		"%c %u %s %u %s %u %u %s %s %s %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu64
		" %" PRIu64 " %" PRIu64 " %" PRIu64,
		r->initiator ? 'i' : 'r', r->proto, ip_addr_format(&r->src, src),
		rte_be_to_cpu_16(r->sport), ip_addr_format(&r->dst, dst),
		rte_be_to_cpu_16(r->dport), r->crossing, mac_text(&r->dmac, dmac),
		mac_text(&r->smac, smac), r->far[0] != '\0' ? r->far : "-", r->age_ms, a->idle_ms,
		b->idle_ms, a->packets, a->bytes, b->packets, b->bytes);
	if (r->proto == IPPROTO_TCP) {
		n += put_side(text + n, RECORD_TEXT_MAX - (size_t)n, a);
		n += put_side(text + n, RECORD_TEXT_MAX - (size_t)n, b);
	}
	return (size_t)n;
}

/* What is left of the text; NULL after a mistake. */
struct reader {
	char *rest;
	const char *wrong;
};

static const char *word(struct reader *r, const char *what)
{
	char *w = r->wrong == NULL ? strsep(&r->rest, " ") : NULL;

	if (w == NULL || *w == '\0') {
		if (r->wrong == NULL)
			r->wrong = what;
		return "";
	}
	return w;
}

static uint64_t number(struct reader *r, uint64_t max, const char *what)
{
	const char *w = word(r, what);
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(w, &end, 10);
	if (r->wrong == NULL && (*w < '0' || *w > '9' || *end != '\0' || errno != 0 || v > max))
		r->wrong = what;
	return v;
}

static struct ip_addr address(struct reader *r, const char *what)
{
	struct ip_addr a = {0};
	const char *w = word(r, what);

	if (r->wrong == NULL && !ip_addr_parse(w, &a))
		r->wrong = what;
	return a;
}

static struct rte_ether_addr mac(struct reader *r, const char *what)
{
	struct rte_ether_addr a = {0};
	const char *w = word(r, what);
	struct net_mac parsed;

	if (r->wrong == NULL && net_mac_parse(w, &parsed))
		memcpy(a.addr_bytes, parsed.bytes, sizeof(a.addr_bytes));
	else if (r->wrong == NULL)
		r->wrong = what;
	return a;
}

static void read_ends(struct reader *r, struct record *out)
{
	const char *side = word(r, "the side");

	out->initiator = *side == 'i';
	if (r->wrong == NULL && strcmp(side, "i") != 0 && strcmp(side, "r") != 0)
		r->wrong = "the side";
	out->proto = (uint8_t)number(r, UINT8_MAX, "the protocol");
	out->src = address(r, "the source");
	out->sport = rte_cpu_to_be_16((uint16_t)number(r, UINT16_MAX, "the source port"));
	out->dst = address(r, "the destination");
	out->dport = rte_cpu_to_be_16((uint16_t)number(r, UINT16_MAX, "the destination port"));
	if (r->wrong == NULL && ip_addr_is_v4(&out->src) != ip_addr_is_v4(&out->dst))
		r->wrong = "the families";
	out->crossing = number(r, 1, "the crossing") != 0;
	out->dmac = mac(r, "the destination MAC");
	out->smac = mac(r, "the source MAC");
}

static void read_far(struct reader *r, struct record *out)
{
	const char *far = word(r, "the VTEP");

	if (strlen(far) >= sizeof(out->far))
		r->wrong = "the VTEP";
	else if (strcmp(far, "-") != 0)
		memcpy(out->far, far, strlen(far) + 1);
}

static void read_history(struct reader *r, struct record *out)
{
	out->age_ms = (uint32_t)number(r, AGE_MAX, "the age");
	for (unsigned int d = 0; d < 2; d++)
		out->side[d].idle_ms = (uint32_t)number(r, AGE_MAX, "an idle time");
	for (unsigned int d = 0; d < 2; d++) {
		out->side[d].packets = number(r, INT64_MAX, "a count of packets");
		out->side[d].bytes = number(r, INT64_MAX, "a count of bytes");
	}
}

static void read_tcp(struct reader *r, struct record_side *s)
{
	s->bits = (uint8_t)number(r, UINT8_MAX, "a TCP state");
	s->wscale = (uint8_t)number(r, WSCALE_MAX, "a window scale");
	s->win = (uint16_t)number(r, UINT16_MAX, "a window");
	s->end = (uint32_t)number(r, UINT32_MAX, "a sequence number");
	s->edge = (uint32_t)number(r, UINT32_MAX, "a window's edge");
}

const char *record_parse(const char *text, struct record *out)
{
	char copy[RECORD_TEXT_MAX];
	struct reader r = {.rest = copy};
	size_t len = strlen(text);

	memset(out, 0, sizeof(*out));
	if (len >= sizeof(copy))
		return "the length";
	memcpy(copy, text, len + 1);
	read_ends(&r, out);
	read_far(&r, out);
	read_history(&r, out);
	if (out->proto == IPPROTO_TCP)
		for (unsigned int d = 0; d < 2; d++)
			read_tcp(&r, &out->side[d]);
	if (r.wrong == NULL && r.rest != NULL)
		r.wrong = "the end";
	return r.wrong;
}
