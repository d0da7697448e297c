/* SPDX-License-Identifier: Apache-2.0 */
#include "flow_log/flow_json.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/ip_text.h"
#include "lib/time_text.h"

/* A line under way; what does not fit is cut, which FLOW_JSON_MAX leaves no room for. */
struct line {
	char *text;
	size_t len;
};

static void add(struct line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct line *l, const char *format, ...)
{
	size_t room = FLOW_JSON_MAX - l->len;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(l->text + l->len, room, format, ap);
	va_end(ap);
	l->len += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

static void add_time(struct line *l, const char *member, int64_t ms)
{
	char text[TIME_TEXT];

	add(l, ", \"%s\": \"%s\"", member, time_text_format(ms, text));
}

static void add_end(
	struct line *l, const char *member, const struct ip_addr *a, uint16_t port, bool has_port)
{
	char text[NET_ADDR_TEXT];

	add(l, ", \"%s\": \"%s\"", member, ip_addr_format(a, text));
	if (has_port)
		add(l, ", \"%s_port\": %u", member, port);
}

static void add_tuple(struct line *l, const struct flow_record *r, const struct flow_tuple *t)
{
	bool ports = r->proto == IPPROTO_TCP || r->proto == IPPROTO_UDP;
	bool icmp = r->proto == IPPROTO_ICMP || r->proto == IPPROTO_ICMPV6;
	bool v4 = ip_addr_is_v4(&t->src);

	if (ports)
		add(l, ", \"protocol\": \"%s\"", r->proto == IPPROTO_TCP ? "tcp" : "udp");
	else if (icmp)
		add(l, ", \"protocol\": \"%s\", \"icmp_type\": %u, \"icmp_code\": %u",
			v4 ? "icmp" : "icmpv6", t->dport >> 8, t->dport & 0xff);
	else
		add(l, ", \"protocol\": %u", r->proto);
	add_end(l, "source", &t->src, t->sport, ports);
	add_end(l, "destination", &t->dst, t->dport, ports);
	if (!r->translated)
		return;
	add_end(l, "post_nat_source", &t->post_src, t->post_sport, ports);
	add_end(l, "post_nat_destination", &t->post_dst, t->post_dport, ports);
}

static void add_names(struct line *l, const struct flow_record *r, unsigned int direction)
{
	if (r->name[direction][0] != '\0')
		add(l, ", \"source_name\": \"%s\"", r->name[direction]);
	if (r->name[1 - direction][0] != '\0')
		add(l, ", \"destination_name\": \"%s\"", r->name[1 - direction]);
}

static void add_flags(struct line *l, const char *member, uint8_t flags)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} names[] = {{2, "syn"}, {16, "ack"}, {1, "fin"}, {4, "rst"}};
	const char *comma = "";

	add(l, ", \"%s\": [", member);
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(flags & names[i].bit))
			continue;
		add(l, "%s\"%s\"", comma, names[i].name);
		comma = ", ";
	}
	add(l, "]");
}

static void add_counts(
	struct line *l, const struct flow_record *r, unsigned int d, const char *prefix)
{
	char member[32];

	add(l, ", \"%spackets\": %" PRIu64 ", \"%sbytes\": %" PRIu64, prefix, r->packets[d], prefix,
		r->bytes[d]);
	snprintf(member, sizeof(member), "%sstart", prefix);
	add_time(l, member, r->start_ms[d]);
	snprintf(member, sizeof(member), "%send", prefix);
	add_time(l, member, r->end_ms[d]);
	if (r->proto != IPPROTO_TCP || r->reason != DROP_NONE)
		return;
	snprintf(member, sizeof(member), "%stcp_flags", prefix);
	add_flags(l, member, r->tcp_flags[d]);
}

static const char *end_name(uint8_t end)
{
	static const char *const names[] = {
		"none", "idle_timeout", "active", "end_of_flow", "forced"};

	return end < sizeof(names) / sizeof(names[0]) ? names[end] : names[0];
}

static void add_flow(struct line *l, const struct flow_json *j, const struct flow_record *r,
	unsigned int direction)
{
	bool denied = r->reason != DROP_NONE;

	add(l, ", \"direction\": \"%s\"", direction == 0 ? "initiator" : "responder");
	if (denied)
		add(l, ", \"verdict\": \"denied\", \"reason\": \"%s\"",
			drop_reason_name((enum drop_reason)r->reason));
	else
		add(l,
			", \"verdict\": \"accepted\", \"flow\": \"%016" PRIx64
			"\", \"end_reason\": \"%s\"",
			r->session, end_name(r->end));
	add_counts(l, r, direction, "");
	if (j->biflow && direction == 0 && r->packets[1] != 0)
		add_counts(l, r, 1, "reverse_");
}

static void add_event(struct line *l, const struct flow_record *r)
{
	bool created = r->nat_event == FLOW_NAT44_CREATED || r->nat_event == FLOW_NAT64_CREATED;

	add(l, ", \"nat_event\": %u, \"event_name\": \"%s\"", r->nat_event,
		created ? "session_created" : "session_deleted");
	add_time(l, "time", r->start_ms[0]);
}

size_t flow_json_line(
	const struct flow_json *j, const struct flow_record *r, unsigned int direction, char *text)
{
	bool event = r->nat_event != FLOW_NAT_NONE;
	struct line l = {.text = text};
	struct flow_tuple t;

	flow_record_tuple(r, direction, &t);
	add(&l, "{\"event\": \"%s\", \"log\": \"%s\", \"node\": \"%s\", \"vpc\": \"%s\"",
		event ? "nat" : "flow", j->log, j->node, r->vpc);
	add_tuple(&l, r, &t);
	add_names(&l, r, direction);
	if (event)
		add_event(&l, r);
	else
		add_flow(&l, j, r, direction);
	add(&l, "}\n");
	return l.len;
}
