/* SPDX-License-Identifier: Apache-2.0 */
#include "health/health_wire.h"

#include <string.h>

#include <rte_ether.h>

#include "probe/probe_wire.h"

#define MAGIC RTE_BE32(0x76706368)
#define VERSION 1

enum { ETHER = 14 };

struct head {
	rte_be32_t magic;
	uint8_t version, type;
	rte_be16_t entries;
	rte_be64_t instance, from, to;
} __attribute__((packed));

struct entry {
	uint8_t state, protocol;
	rte_be16_t port, port_number;
	rte_be64_t number;
	uint8_t addr[16];
	uint8_t name_len;
} __attribute__((packed));

static struct head *head_of(struct health_frame *f)
{
	return (struct head *)(f->bytes + ETHER);
}

void health_frame_begin(struct health_frame *f, const struct health_head *h)
{
	struct rte_ether_hdr eth = {
		.dst_addr = {{0x02, 0x76, 0x70, 0x63, 0, 1}},
		.src_addr = {{0x02, 0x76, 0x70, 0x63, 0, 0}},
		.ether_type = RTE_BE16(PROBE_ETHER_TYPE),
	};
	struct head head = {.magic = MAGIC,
		.version = VERSION,
		.type = (uint8_t)h->type,
		.instance = rte_cpu_to_be_64(h->instance),
		.from = rte_cpu_to_be_64(h->from),
		.to = rte_cpu_to_be_64(h->to)};

	memcpy(f->bytes, &eth, sizeof(eth));
	memcpy(f->bytes + ETHER, &head, sizeof(head));
	f->len = ETHER + sizeof(head);
	f->entries = 0;
}

bool health_frame_add(struct health_frame *f, const struct health_entry *e)
{
	struct entry entry = {.state = e->state,
		.protocol = e->protocol,
		.port = e->port,
		.port_number = e->port_number,
		.number = rte_cpu_to_be_64(e->number),
		.name_len = (uint8_t)strnlen(e->balancer, PORT_NAME_MAX - 1)};
	size_t size = sizeof(entry) + entry.name_len;
	uint8_t *at = f->bytes + f->len;

	if (f->len + size > sizeof(f->bytes))
		return false;
	memcpy(entry.addr, e->addr.bytes, sizeof(entry.addr));
	memcpy(at, &entry, sizeof(entry));
	memcpy(at + sizeof(entry), e->balancer, entry.name_len);
	f->len = (uint16_t)(f->len + size);
	head_of(f)->entries = rte_cpu_to_be_16(++f->entries);
	return true;
}

void health_frame_set_to(struct health_frame *f, uint64_t to)
{
	head_of(f)->to = rte_cpu_to_be_64(to);
}

bool health_frame_is(const uint8_t *frame, size_t len)
{
	const struct head *head = (const struct head *)(frame + ETHER);

	return len >= ETHER + sizeof(*head) && frame[12] == (PROBE_ETHER_TYPE >> 8) &&
	       frame[13] == (PROBE_ETHER_TYPE & 0xff) && head->magic == MAGIC;
}

bool health_frame_open(
	const uint8_t *frame, size_t len, struct health_head *h, struct health_reader *r)
{
	struct head head;

	if (!health_frame_is(frame, len))
		return false;
	memcpy(&head, frame + ETHER, sizeof(head));
	if (head.version != VERSION || head.type < HEALTH_WATCH || head.type > HEALTH_CHANGES)
		return false;
	*h = (struct health_head){.type = head.type,
		.instance = rte_be_to_cpu_64(head.instance),
		.from = rte_be_to_cpu_64(head.from),
		.to = rte_be_to_cpu_64(head.to)};
	*r = (struct health_reader){
		frame + ETHER + sizeof(head), frame + len, rte_be_to_cpu_16(head.entries)};
	return true;
}

bool health_frame_next(struct health_reader *r, struct health_entry *e)
{
	struct entry entry;
	size_t room = (size_t)(r->end - r->at);

	if (r->left == 0 || room < sizeof(entry))
		return false;
	memcpy(&entry, r->at, sizeof(entry));
	if (entry.name_len == 0 || entry.name_len >= PORT_NAME_MAX ||
		entry.state > LB_HEALTH_DOWN || room < sizeof(entry) + entry.name_len)
		return false;
	memset(e, 0, sizeof(*e));
	r->at += sizeof(entry);
	memcpy(e->addr.bytes, entry.addr, sizeof(entry.addr));
	memcpy(e->balancer, r->at, entry.name_len);
	e->port = entry.port;
	e->port_number = entry.port_number;
	e->protocol = entry.protocol;
	e->state = entry.state;
	e->number = rte_be_to_cpu_64(entry.number);
	r->at += entry.name_len;
	r->left--;
	return true;
}
