/* SPDX-License-Identifier: Apache-2.0 */
/* Records become pcapng blocks. A comment is words `key=value`, for people, filters (frame.comment) and vpcctl. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture/capture.h"
#include "core/config.h"
#include "underlay/underlay.h"
#include "vpc/vpc.h"

#define COMMENT_MAX 2048

/* "web1", "tunnel:host-b"; "-": nobody knows, or it is gone. */
static const char *place_name(loc_t loc, char *text, size_t size)
{
	const struct port *port = loc != LOC_NONE && loc_is_port(loc) ? port_get(loc) : NULL;
	const struct vtep *vtep = loc_is_tunnel(loc) ? vtep_get(loc_index(loc)) : NULL;

	snprintf(text, size, "%s%s", vtep != NULL ? "tunnel:" : "",
		port != NULL   ? port->name
		: vtep != NULL ? vtep->name
			       : "-");
	return text;
}

static uint32_t interface_of(struct capture *c, loc_t loc)
{
	char place[PORT_NAME_MAX + 8], name[sizeof(c->interfaces[0].name)];
	struct capture_interface *more;

	snprintf(name, sizeof(name), "%s/%s", node_config.node,
		place_name(loc, place, sizeof(place)));
	for (uint32_t i = c->n_interfaces; i-- > 0;)
		if (strcmp(c->interfaces[i].name, name) == 0)
			return i;
	if (c->n_interfaces == c->interfaces_room) {
		uint32_t room = c->interfaces_room != 0 ? c->interfaces_room * 2 : 8;

		more = realloc(c->interfaces, room * sizeof(*more));
		if (more == NULL)
			return UINT32_MAX;
		c->interfaces = more;
		c->interfaces_room = room;
	}
	more = &c->interfaces[c->n_interfaces];
	*more = (struct capture_interface){0};
	memcpy(more->name, name, sizeof(name));
	pcapng_interface(&c->out, &(struct pcapng_interface){.name = name,
					  .filter = c->filter,
					  .link_type = PCAPNG_ETHERNET,
					  .snaplen = c->snaplen});
	return c->n_interfaces++;
}

struct comment {
	char text[COMMENT_MAX];
	size_t used;
};

__attribute__((format(printf, 3, 4))) static void word(
	struct comment *comment, const char *key, const char *format, ...)
{
	size_t room = sizeof(comment->text) - comment->used;
	va_list args;
	int n = snprintf(
		comment->text + comment->used, room, "%s%s=", comment->used > 0 ? " " : "", key);

	comment->used += RTE_MIN((size_t)n, room - 1);
	room = sizeof(comment->text) - comment->used;
	va_start(args, format);
	n = vsnprintf(comment->text + comment->used, room, format, args);
	va_end(args);
	comment->used += RTE_MIN((size_t)n, room - 1);
}

/* What is known of the packet's end. */
struct end {
	bool known;
	enum observe_fate fate;
	enum drop_reason reason;
	loc_t out;
	uint32_t session;
};

static struct end end_of(const struct capture_record *r)
{
	const struct observe_meta *m = &r->meta;

	switch (m->point) {
	case OBSERVE_AT_RX:
		return (struct end){
			r->known, r->fate, r->reason, r->out, r->known ? r->session : UINT32_MAX};
	case OBSERVE_AT_TX:
		return (struct end){true, OBSERVE_TO_PORT, DROP_NONE, m->out, m->session};
	default:
		return (struct end){true, m->fate, m->reason, m->out, m->session};
	}
}

static void comment_on(struct comment *comment, const struct capture_record *r)
{
	static const char *const verdicts[] = {
		[OBSERVE_DROPPED] = "drop",
		[OBSERVE_TO_PORT] = "forward",
		[OBSERVE_TO_UNDERLAY] = "forward",
		[OBSERVE_CONSUMED] = "consumed",
	};
	const struct vpc *vpc = r->meta.vpc != PKT_VPC_NONE ? vpc_get(r->meta.vpc) : NULL;
	struct end end = end_of(r);
	char place[PORT_NAME_MAX + 8];

	if (vpc != NULL && vpc->vni != 0)
		word(comment, "vni", "%u", vpc->vni);
	if (r->meta.in != LOC_NONE)
		word(comment, "in", "%s", place_name(r->meta.in, place, sizeof(place)));
	if (end.known && end.fate != OBSERVE_CONSUMED && end.out != LOC_NONE)
		word(comment, "out", "%s", place_name(end.out, place, sizeof(place)));
	word(comment, "verdict", "%s", end.known ? verdicts[end.fate] : "unknown");
	if (end.known && end.fate == OBSERVE_DROPPED)
		word(comment, "reason", "%s", drop_reason_name(end.reason));
	if (end.session != UINT32_MAX)
		word(comment, "session", "%u/%u", end.session >> 1, end.session & 1);
	if (r->path.length > 0)
		word(comment, "path", "%.*s", (int)r->path.length, (const char *)r->path.data);
}

static enum pcapng_verdict verdict_of(const struct end *end)
{
	if (!end->known)
		return PCAPNG_NO_VERDICT;
	return end->fate == OBSERVE_DROPPED ? PCAPNG_DROPPED : PCAPNG_FORWARDED;
}

void capture_write(struct capture *c, const struct capture_record *r)
{
	bool given = r->meta.point == OBSERVE_AT_TX;
	struct comment comment = {.used = 0};
	struct end end = end_of(r);
	uint32_t interface = interface_of(c, given ? r->meta.out : r->meta.in);

	if (interface == UINT32_MAX)
		return;
	comment_on(&comment, r);
	pcapng_packet(&c->out, &(struct pcapng_packet){
				       .interface = interface,
				       .time_ns = r->meta.tsc,
				       .data = r->data,
				       .captured = r->meta.caplen,
				       .length = r->meta.len,
				       .direction = given ? PCAPNG_OUTBOUND : PCAPNG_INBOUND,
				       .verdict = verdict_of(&end),
				       .id = r->meta.id,
				       .comment = comment.text,
			       });
	c->interfaces[interface].packets++;
	c->packets++;
}

/* Where packets were lost is not known by interface: the first one has them all. */
void capture_write_end(struct capture *c)
{
	struct timespec now;
	uint64_t lost = c->lost + atomic_load(&c->overrun);

	clock_gettime(CLOCK_REALTIME, &now);
	if (c->n_interfaces == 0 && lost > 0)
		interface_of(c, LOC_NONE);
	for (uint32_t i = 0; i < c->n_interfaces; i++) {
		uint64_t missing = i == 0 ? lost : 0;

		pcapng_statistics(&c->out, &(struct pcapng_statistics){
						   .interface = i,
						   .time_ns = (uint64_t)now.tv_sec * 1000000000u +
							      (uint64_t)now.tv_nsec,
						   .start_ns = c->start_ns,
						   .received = c->interfaces[i].packets + missing,
						   .accepted = c->interfaces[i].packets + missing,
						   .dropped = missing,
					   });
	}
}
