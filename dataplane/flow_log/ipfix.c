/* SPDX-License-Identifier: Apache-2.0 */
#include "flow_log/ipfix.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_common.h>

#define VERSION 10u
#define HEADER 16u
#define SET_HEADER 4u
#define SET_TEMPLATES 2u
#define SET_OPTIONS 3u
#define REVERSE_PEN 29305u /* RFC 5103 section 6.1 */
#define ENTERPRISE 0x8000u

/* IANA's registry "IPFIX Information Elements". */
enum element {
	OCTET_DELTA_COUNT = 1,
	PACKET_DELTA_COUNT = 2,
	PROTOCOL = 4,
	TCP_CONTROL_BITS = 6,
	SOURCE_PORT = 7,
	SOURCE_IPV4 = 8,
	INGRESS_INTERFACE = 10,
	DESTINATION_PORT = 11,
	DESTINATION_IPV4 = 12,
	EGRESS_INTERFACE = 14,
	SOURCE_IPV6 = 27,
	DESTINATION_IPV6 = 28,
	ICMP_TYPE_CODE_IPV4 = 32,
	FORWARDING_STATUS = 89,
	FLOW_END_REASON = 136,
	ICMP_TYPE_CODE_IPV6 = 139,
	FLOW_ID = 148,
	FLOW_START_MS = 152,
	FLOW_END_MS = 153,
	POST_NAT_SOURCE_IPV4 = 225,
	POST_NAT_DESTINATION_IPV4 = 226,
	POST_NAPT_SOURCE_PORT = 227,
	POST_NAPT_DESTINATION_PORT = 228,
	NAT_EVENT = 230,
	INGRESS_VRF = 234,
	EGRESS_VRF = 235,
	BIFLOW_DIRECTION = 239,
	POST_NAT_SOURCE_IPV6 = 281,
	POST_NAT_DESTINATION_IPV6 = 282,
	OBSERVATION_TIME_MS = 323,
	EXPORTED_RECORDS = 42,
	EXPORTING_PROCESS = 144,
	OBSERVATION_DOMAIN = 149,
	NOT_SENT_FLOWS = 166,
	SAMPLING_PROBABILITY = 311,
	FLOW_SELECTOR = 390,
	REVERSE = 0x8000, /* + an element: of the other direction */
};

struct field {
	uint16_t id, size;
};

#define FIELDS_V4                                                                                  \
	{SOURCE_IPV4, 4}, {DESTINATION_IPV4, 4},                                                   \
	{                                                                                          \
		ICMP_TYPE_CODE_IPV4, 2                                                             \
	}
#define FIELDS_V6                                                                                  \
	{SOURCE_IPV6, 16}, {DESTINATION_IPV6, 16},                                                 \
	{                                                                                          \
		ICMP_TYPE_CODE_IPV6, 2                                                             \
	}
#define FIELDS_ALL                                                                                 \
	{FLOW_START_MS, 8}, {FLOW_END_MS, 8}, {OCTET_DELTA_COUNT, 8}, {PACKET_DELTA_COUNT, 8},     \
		{SOURCE_PORT, 2}, {DESTINATION_PORT, 2}, {PROTOCOL, 1}, {TCP_CONTROL_BITS, 2},     \
		{FLOW_END_REASON, 1}, {FORWARDING_STATUS, 1}, {BIFLOW_DIRECTION, 1}, {FLOW_ID, 8}, \
		{INGRESS_INTERFACE, 4}, {EGRESS_INTERFACE, 4}, {INGRESS_VRF, 4},                   \
	{                                                                                          \
		EGRESS_VRF, 4                                                                      \
	}
#define FIELDS_PORTS                                                                               \
	{POST_NAPT_SOURCE_PORT, 2},                                                                \
	{                                                                                          \
		POST_NAPT_DESTINATION_PORT, 2                                                      \
	}
#define FIELDS_POST4 {POST_NAT_SOURCE_IPV4, 4}, {POST_NAT_DESTINATION_IPV4, 4}, FIELDS_PORTS
#define FIELDS_POST6 {POST_NAT_SOURCE_IPV6, 16}, {POST_NAT_DESTINATION_IPV6, 16}, FIELDS_PORTS
#define FIELDS_BACK                                                                                \
	{REVERSE | FLOW_START_MS, 8}, {REVERSE | FLOW_END_MS, 8},                                  \
		{REVERSE | OCTET_DELTA_COUNT, 8}, {REVERSE | PACKET_DELTA_COUNT, 8},               \
	{                                                                                          \
		REVERSE | TCP_CONTROL_BITS, 2                                                      \
	}
#define FIELDS_EVENT                                                                               \
	{OBSERVATION_TIME_MS, 8}, {NAT_EVENT, 1}, {PROTOCOL, 1}, {SOURCE_PORT, 2},                 \
		{DESTINATION_PORT, 2}, {INGRESS_VRF, 4}, {EGRESS_VRF, 4}, FIELDS_POST4

/* By their id: the first one's, and then in this order. */
#define FIRST_ID 256u
enum template {
	T_V4,
	T_V4_POST4,
	T_V4_POST6,
	T_V6,
	T_V6_POST4,
	T_V6_POST6,
	T_NAT44,
	T_NAT64,
	T_SAMPLING, /* options */
	T_LOST,
	T_BIFLOW, /* + one of the first six */
	T_MAX = T_BIFLOW + 6
};
/* Uniform probabilistic: each flow is as likely to be in it as any other (RFC 7014 section 5.2). */
#define SELECTOR_UNIFORM 4u

static const struct field templates[T_MAX][28] = {
	[T_V4] = {FIELDS_V4, FIELDS_ALL},
	[T_V4_POST4] = {FIELDS_V4, FIELDS_ALL, FIELDS_POST4},
	[T_V4_POST6] = {FIELDS_V4, FIELDS_ALL, FIELDS_POST6},
	[T_V6] = {FIELDS_V6, FIELDS_ALL},
	[T_V6_POST4] = {FIELDS_V6, FIELDS_ALL, FIELDS_POST4},
	[T_V6_POST6] = {FIELDS_V6, FIELDS_ALL, FIELDS_POST6},
	[T_NAT44] = {{SOURCE_IPV4, 4}, {DESTINATION_IPV4, 4}, FIELDS_EVENT},
	[T_NAT64] = {{SOURCE_IPV6, 16}, {DESTINATION_IPV6, 16}, FIELDS_EVENT},
	/* The first field of options is their scope. */
	[T_SAMPLING] = {{OBSERVATION_DOMAIN, 4}, {FLOW_SELECTOR, 2}, {SAMPLING_PROBABILITY, 8}},
	[T_LOST] = {{EXPORTING_PROCESS, 4}, {EXPORTED_RECORDS, 8}, {NOT_SENT_FLOWS, 8}},
	[T_BIFLOW + T_V4] = {FIELDS_V4, FIELDS_ALL, FIELDS_BACK},
	[T_BIFLOW + T_V4_POST4] = {FIELDS_V4, FIELDS_ALL, FIELDS_POST4, FIELDS_BACK},
	[T_BIFLOW + T_V4_POST6] = {FIELDS_V4, FIELDS_ALL, FIELDS_POST6, FIELDS_BACK},
	[T_BIFLOW + T_V6] = {FIELDS_V6, FIELDS_ALL, FIELDS_BACK},
	[T_BIFLOW + T_V6_POST4] = {FIELDS_V6, FIELDS_ALL, FIELDS_POST4, FIELDS_BACK},
	[T_BIFLOW + T_V6_POST6] = {FIELDS_V6, FIELDS_ALL, FIELDS_POST6, FIELDS_BACK},
};

static void put(struct ipfix_writer *w, uint64_t value, unsigned int size)
{
	for (unsigned int i = size; i-- > 0;)
		w->buf[w->len++] = (uint8_t)(value >> 8 * i);
}

static void put_at(struct ipfix_writer *w, size_t at, uint64_t value, unsigned int size)
{
	size_t len = w->len;

	w->len = at;
	put(w, value, size);
	w->len = len;
}

/* ---- Sets ---- */

static void close_set(struct ipfix_writer *w)
{
	if (w->set_at != 0)
		put_at(w, w->set_at + 2, w->len - w->set_at, 2);
	w->set_at = 0;
	w->set_id = 0;
}

/* Room for `bytes` in a set of that id, which is opened unless the last one is. */
static bool open_set(struct ipfix_writer *w, uint16_t id, size_t bytes)
{
	bool open = w->set_at != 0 && w->set_id == id;

	if (w->len + (open ? 0 : SET_HEADER) + bytes > w->size)
		return false;
	if (open)
		return true;
	close_set(w);
	w->set_at = w->len;
	w->set_id = id;
	put(w, id, 2);
	put(w, 0, 2);
	return true;
}

/* ---- Templates ---- */

static unsigned int field_count(const struct field *fields)
{
	unsigned int n = 0;

	while (n < RTE_DIM(templates[0]) && fields[n].id != 0)
		n++;
	return n;
}

static bool is_options(unsigned int t)
{
	return t == T_SAMPLING || t == T_LOST;
}

static size_t template_size(unsigned int t)
{
	const struct field *fields = templates[t];
	size_t size = is_options(t) ? 6 : 4;

	for (unsigned int i = 0; i < field_count(fields); i++)
		size += fields[i].id & REVERSE ? 8 : 4;
	return size;
}

static void put_template(struct ipfix_writer *w, unsigned int t)
{
	const struct field *fields = templates[t];
	unsigned int n = field_count(fields);

	put(w, FIRST_ID + t, 2);
	put(w, n, 2);
	if (is_options(t))
		put(w, 1, 2); /* scope fields */
	for (unsigned int i = 0; i < n; i++) {
		put(w, fields[i].id, 2); /* REVERSE is the enterprise bit */
		put(w, fields[i].size, 2);
		if (fields[i].id & ENTERPRISE)
			put(w, REVERSE_PEN, 4);
	}
}

static uint64_t option_of(const struct ipfix_writer *w, uint16_t id)
{
	double probability = 1.0 / (w->sample != 0 ? w->sample : 1);
	uint64_t bits;

	switch (id) {
	case OBSERVATION_DOMAIN:
		return w->domain;
	case FLOW_SELECTOR:
		return SELECTOR_UNIFORM;
	case SAMPLING_PROBABILITY:
		memcpy(&bits, &probability, sizeof(bits)); /* IEEE 754, as RFC 7011 wants it */
		return bits;
	case EXPORTING_PROCESS:
		return w->process;
	case EXPORTED_RECORDS:
		return w->sent;
	default:
		return w->lost;
	}
}

static size_t record_size(unsigned int t)
{
	size_t size = 0;

	for (unsigned int i = 0; i < field_count(templates[t]); i++)
		size += templates[t][i].size;
	return size;
}

static bool put_options(struct ipfix_writer *w, unsigned int t)
{
	if (!open_set(w, (uint16_t)(FIRST_ID + t), record_size(t)))
		return false;
	for (unsigned int i = 0; i < field_count(templates[t]); i++)
		put(w, option_of(w, templates[t][i].id), templates[t][i].size);
	w->records++;
	return true;
}

bool ipfix_add_templates(struct ipfix_writer *w)
{
	unsigned int end = w->biflow ? T_MAX : T_BIFLOW;

	while (w->next_template < end) {
		unsigned int t = w->next_template;

		if (!open_set(w, is_options(t) ? SET_OPTIONS : SET_TEMPLATES, template_size(t)))
			return false;
		put_template(w, t);
		w->next_template++;
	}
	/* Their values, once each is known. */
	for (; w->next_template < end + 2; w->next_template++)
		if (!put_options(w, T_SAMPLING + (w->next_template - end)))
			return false;
	return true;
}

void ipfix_restart_templates(struct ipfix_writer *w)
{
	w->next_template = 0;
}

/* ---- Data ---- */

static uint8_t forwarding_status(uint8_t reason)
{
	/* RFC 7270 section 4.12: two bits of status, six of a reason. */
	switch (reason) {
	case DROP_NONE:
		return 64;
	case DROP_POLICY_EGRESS:
	case DROP_POLICY_INGRESS:
	case DROP_EIP_DENIED:
	case DROP_LB_NOT_ALLOWED:
	case DROP_NAT_FILTERED:
		return 129; /* ACL deny */
	case DROP_NO_ROUTE:
	case DROP_BLACKHOLE:
		return 131; /* unroutable */
	case DROP_NO_NEIGHBOUR:
		return 132; /* adjacency */
	case DROP_RATE_LIMITED:
		return 138; /* policer */
	case DROP_SPOOFED:
	case DROP_WRONG_VTEP:
		return 140; /* RPF */
	default:
		return 128;
	}
}

/* What the values of a data record come from. */
struct view {
	const struct flow_record *r;
	struct flow_tuple t;
	unsigned int direction;
};

static void put_addr(struct ipfix_writer *w, const struct ip_addr *a, unsigned int size)
{
	memcpy(w->buf + w->len, size == 4 ? &a->bytes[12] : a->bytes, size);
	w->len += size;
}

static const struct ip_addr *address_of(const struct view *v, uint16_t id)
{
	switch (id) {
	case SOURCE_IPV4:
	case SOURCE_IPV6:
		return &v->t.src;
	case DESTINATION_IPV4:
	case DESTINATION_IPV6:
		return &v->t.dst;
	case POST_NAT_SOURCE_IPV4:
	case POST_NAT_SOURCE_IPV6:
		return &v->t.post_src;
	case POST_NAT_DESTINATION_IPV4:
	case POST_NAT_DESTINATION_IPV6:
		return &v->t.post_dst;
	default:
		return NULL;
	}
}

/* What a direction has counted. */
static uint64_t count_of(const struct flow_record *r, uint16_t id, unsigned int d)
{
	switch (id) {
	case OCTET_DELTA_COUNT:
		return r->bytes[d];
	case PACKET_DELTA_COUNT:
		return r->packets[d];
	case TCP_CONTROL_BITS:
		return r->tcp_flags[d];
	case FLOW_START_MS:
		return (uint64_t)r->start_ms[d];
	default:
		return (uint64_t)r->end_ms[d];
	}
}

static uint64_t number_of(const struct view *v, uint16_t id)
{
	const struct flow_record *r = v->r;
	bool icmp = r->proto == IPPROTO_ICMP || r->proto == IPPROTO_ICMPV6;
	unsigned int d = v->direction;

	switch (id) {
	case PROTOCOL:
		/* Between IPv6 and IPv4 each side has its own ICMP. */
		return !icmp ? r->proto : ip_addr_is_v4(&v->t.src) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	case SOURCE_PORT:
		return v->t.sport;
	case DESTINATION_PORT:
		return v->t.dport;
	case ICMP_TYPE_CODE_IPV4:
	case ICMP_TYPE_CODE_IPV6:
		return icmp ? v->t.dport : 0;
	case POST_NAPT_SOURCE_PORT:
		return v->t.post_sport;
	case POST_NAPT_DESTINATION_PORT:
		return v->t.post_dport;
	case FORWARDING_STATUS:
		return forwarding_status(r->reason);
	case FLOW_END_REASON:
		return r->end;
	case BIFLOW_DIRECTION:
		return d + 1; /* initiator, reverse initiator */
	case FLOW_ID:
		return r->session;
	case INGRESS_INTERFACE:
		return r->port[d];
	case EGRESS_INTERFACE:
		return r->port[1 - d];
	case INGRESS_VRF:
		return r->vni[d];
	case EGRESS_VRF:
		return r->vni[1 - d];
	case NAT_EVENT:
		return r->nat_event;
	case OBSERVATION_TIME_MS:
		return (uint64_t)r->start_ms[0];
	default:
		return id & REVERSE ? count_of(r, id & (uint16_t)~REVERSE, 1 - d)
				    : count_of(r, id, d);
	}
}

static unsigned int template_of(const struct ipfix_writer *w, const struct view *v)
{
	const struct flow_record *r = v->r;
	unsigned int t = ip_addr_is_v4(&v->t.src) ? T_V4 : T_V6;

	if (r->nat_event != FLOW_NAT_NONE)
		return t == T_V4 ? T_NAT44 : T_NAT64;
	if (r->translated)
		t += ip_addr_is_v4(&v->t.post_src) ? 1 : 2;
	return w->biflow && r->packets[0] != 0 && r->packets[1] != 0 ? T_BIFLOW + t : t;
}

bool ipfix_add(struct ipfix_writer *w, const struct flow_record *r, unsigned int direction)
{
	struct view v = {.r = r, .direction = direction};
	const struct field *fields;
	unsigned int t, n;

	flow_record_tuple(r, direction, &v.t);
	t = template_of(w, &v);
	fields = templates[t];
	n = field_count(fields);
	if (!open_set(w, (uint16_t)(FIRST_ID + t), record_size(t)))
		return false;
	for (unsigned int i = 0; i < n; i++) {
		const struct ip_addr *a = address_of(&v, fields[i].id);

		if (a != NULL)
			put_addr(w, a, fields[i].size);
		else
			put(w, number_of(&v, fields[i].id), fields[i].size);
	}
	w->records++;
	return true;
}

/* ---- Messages ---- */

void ipfix_begin(struct ipfix_writer *w, uint8_t *buf, size_t size)
{
	w->buf = buf;
	w->size = size;
	w->len = HEADER;
	w->set_at = 0;
	w->set_id = 0;
	w->records = 0;
}

size_t ipfix_end(struct ipfix_writer *w, uint32_t time_s)
{
	if (w->len == HEADER)
		return 0;
	close_set(w);
	put_at(w, 0, VERSION, 2);
	put_at(w, 2, w->len, 2);
	put_at(w, 4, time_s, 4);
	put_at(w, 8, w->sequence, 4);
	put_at(w, 12, w->domain, 4);
	w->sequence += w->records;
	return w->len;
}
