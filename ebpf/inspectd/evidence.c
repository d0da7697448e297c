/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/bytes.h"
#include "lib/pcapng.h"

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

char *evidence_address(const union sight_addr *address, char text[EVIDENCE_ADDRESS])
{
	bool v4 = memcmp(address->b, mapped, sizeof(mapped)) == 0;

	inet_ntop(
		v4 ? AF_INET : AF_INET6, v4 ? address->b + 12 : address->b, text, EVIDENCE_ADDRESS);
	return text;
}

static bool same(const union sight_addr *a, const union sight_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* A copy, unless a program is writing it: it is not the packet of that number then. */
static bool take_record(const struct programs *p, uint64_t number, struct sight_record *copy)
{
	const volatile struct sight_record *r = &p->records[number % SIGHT_RECORDS];

	if (r->sequence != number + 1)
		return false;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	memcpy(copy, (const void *)r, sizeof(*copy));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return r->sequence == number + 1 && copy->packet.captured <= SIGHT_SNAP;
}

/* Of the source, in either direction; of a flood by many senders: to the target. */
static bool belongs(const struct sight_packet *packet, const struct sight_event *e)
{
	if (packet->vni != e->vni)
		return false;
	if (e->detector == SIGHT_SYN_FLOOD && e->port == SIGHT_OUTSIDE)
		return same(&packet->destination, &e->target);
	return same(&packet->source, &e->source);
}

static void add_target(json_t *targets, const union sight_addr *address)
{
	char text[EVIDENCE_ADDRESS];
	json_t *one;
	size_t i;

	if (json_array_size(targets) >= EVIDENCE_TARGETS)
		return;
	evidence_address(address, text);
	json_array_foreach (targets, i, one)
		if (strcmp(json_string_value(one), text) == 0)
			return;
	json_array_append_new(targets, json_string(text));
}

/* Did the source go for this packet's destination in the same way? */
static bool is_target(const struct sight_packet *packet, const struct sight_event *e)
{
	if (e->detector != SIGHT_HOST_SCAN && e->detector != SIGHT_ICMP_SWEEP)
		return false;
	return same(&packet->source, &e->source) && packet->protocol == e->protocol &&
	       packet->destination_port == e->target_port;
}

/* The programs' clock against the calendar's. */
static uint64_t calendar_offset_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec - programs_now_ns();
}

static void write_packet(struct bytes *out, const struct sight_record *r, uint64_t offset_ns)
{
	const struct sight_packet *packet = &r->packet;
	uint32_t length = packet->bytes + 14 > packet->length ? packet->bytes + 14 : packet->length;

	pcapng_packet(out, &(struct pcapng_packet){.time_ns = packet->time_ns + offset_ns,
				   .data = r->frame,
				   .captured = packet->captured,
				   .length = length,
				   .verdict = packet->feed & SIGHT_FEED_DENIED ? PCAPNG_DROPPED
									       : PCAPNG_FORWARDED,
				   .id = r->sequence});
}

/* Numbers of the source's newest packets up to the detecting one, the newest first. */
static size_t find_packets(
	const struct programs *p, const struct sight_event *e, uint64_t numbers[EVIDENCE_PACKETS])
{
	uint64_t number = e->record;
	struct sight_record r;
	size_t n = 0;

	for (size_t i = 0; i < SIGHT_RECORDS && n < EVIDENCE_PACKETS; i++, number--) {
		if (take_record(p, number, &r) && (number == e->record || belongs(&r.packet, e)))
			numbers[n++] = number;
		if (number == 0)
			break;
	}
	return n;
}

/* pcapng in base64; the caller frees it. Adds the targets. NULL: out of memory. */
static char *pack(const struct programs *p, const struct sight_event *e, json_t *targets)
{
	uint64_t numbers[EVIDENCE_PACKETS], offset_ns = calendar_offset_ns();
	size_t n = find_packets(p, e, numbers);
	struct bytes out = {0};
	struct sight_record r;
	char *text = NULL;

	pcapng_section(&out, "vpc-inspectd " VPC_VERSION);
	pcapng_interface(&out,
		&(struct pcapng_interface){
			.name = "inspection", .link_type = PCAPNG_ETHERNET, .snaplen = SIGHT_SNAP});
	for (size_t i = n; i-- > 0;)
		if (take_record(p, numbers[i], &r))
			write_packet(&out, &r, offset_ns);
	for (size_t i = 0; i < n; i++)
		if (take_record(p, numbers[i], &r) && is_target(&r.packet, e))
			add_target(targets, &r.packet.destination);
	if (!out.failed)
		text = base64_text(out.data, out.length);
	bytes_free(&out);
	return text;
}

static json_t *flow_of(const struct sight_event *e)
{
	char source[EVIDENCE_ADDRESS], target[EVIDENCE_ADDRESS];

	return json_pack("{s:i, s:s, s:i, s:s, s:i}", "protocol", e->protocol, "source",
		evidence_address(&e->source, source), "source_port", e->source_port, "target",
		evidence_address(&e->target, target), "target_port", e->target_port);
}

json_t *evidence_alert(
	const struct programs *p, const struct rules *rules, const struct sight_event *e)
{
	json_t *targets = json_array(), *evidence = json_object();
	char source[EVIDENCE_ADDRESS];
	char *packets;

	add_target(targets, &e->target);
	packets = pack(p, e, targets);
	json_object_set_new(evidence, "flow", flow_of(e));
	if (e->slow)
		json_object_set_new(evidence, "slow", json_true());
	if (e->detector == SIGHT_INDICATOR && rules_list(rules, e->list) != NULL)
		json_object_set_new(evidence, "list", json_string(rules_list(rules, e->list)));
	if (packets != NULL)
		json_object_set_new(evidence, "packets", json_string(packets));
	free(packets);
	return json_pack("{s:I, s:s, s:s, s:o, s:I, s:o}", "vni", (json_int_t)e->vni, "detector",
		rules_detector(e->detector), "source", evidence_address(&e->source, source),
		"targets", targets, "count", (json_int_t)e->count, "evidence", evidence);
}
