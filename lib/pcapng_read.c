// SPDX-License-Identifier: Apache-2.0
/* The reader. Every length comes from somebody else and is checked before it is used. */
#include <errno.h>
#include <string.h>

#include "lib/pcapng.h"
#include "lib/pcapng_format.h"

#define INTERFACE_BODY 8
#define PACKET_BODY 20
#define STATISTICS_BODY 12

static uint16_t get16(const uint8_t *data)
{
	uint16_t value;

	memcpy(&value, data, sizeof(value));
	return value;
}

static uint32_t get32(const uint8_t *data)
{
	uint32_t value;

	memcpy(&value, data, sizeof(value));
	return value;
}

static uint64_t get64(const uint8_t *data)
{
	uint64_t value;

	memcpy(&value, data, sizeof(value));
	return value;
}

static uint64_t get_time(const uint8_t *data)
{
	return (uint64_t)get32(data) << 32 | get32(data + 4);
}

int pcapng_next(const void *data, size_t length, size_t *offset, struct pcapng_block *block)
{
	const uint8_t *start = (const uint8_t *)data + *offset;
	size_t left = length - *offset, size;

	if (left < PCAPNG_HEAD)
		return 0;
	size = get32(start + PCAPNG_LENGTH_AT);
	if (size < PCAPNG_HEAD + PCAPNG_TAIL || size % 4 != 0 || size > PCAPNG_BLOCK_MAX)
		return -EINVAL;
	if (left < size)
		return 0;
	if (get32(start + size - PCAPNG_TAIL) != size)
		return -EINVAL;
	*block = (struct pcapng_block){.type = get32(start), .data = start, .length = size};
	*offset += size;
	return 1;
}

static bool has_body(const struct pcapng_block *block, uint32_t type, size_t body)
{
	return block->type == type && block->length >= PCAPNG_HEAD + body + PCAPNG_TAIL;
}

bool pcapng_block_interface(const struct pcapng_block *block, uint32_t *interface)
{
	if (!has_body(block, PCAPNG_PACKET, PACKET_BODY) &&
		!has_body(block, PCAPNG_STATISTICS, STATISTICS_BODY))
		return false;
	*interface = get32(block->data + PCAPNG_HEAD);
	return true;
}

void pcapng_set_interface(uint8_t *block, uint32_t interface)
{
	memcpy(block + PCAPNG_HEAD, &interface, sizeof(interface));
}

/* ---- Options ---- */

struct option {
	uint16_t code, length;
	const uint8_t *data;
};

/* The option at *at, which moves behind it; false at their end. */
static bool next_option(const struct pcapng_block *block, size_t *at, struct option *option)
{
	size_t end = block->length - PCAPNG_TAIL;

	if (end - *at < 4)
		return false;
	option->code = get16(block->data + *at);
	option->length = get16(block->data + *at + 2);
	option->data = block->data + *at + 4;
	if (option->code == OPTION_END || pcapng_padded(option->length) > end - *at - 4)
		return false;
	*at += 4 + pcapng_padded(option->length);
	return true;
}

static void read_packet_option(struct pcapng_record *record, const struct option *option)
{
	struct pcapng_packet *packet = &record->packet;

	switch (option->code) {
	case OPTION_COMMENT:
		record->comment = (const char *)option->data;
		record->comment_length = option->length;
		break;
	case EPB_FLAGS:
		if (option->length == 4 && (get32(option->data) & 3) <= PCAPNG_OUTBOUND)
			packet->direction = (enum pcapng_direction)(get32(option->data) & 3);
		break;
	case EPB_DROPCOUNT:
		if (option->length == 8)
			packet->lost = get64(option->data);
		break;
	case EPB_PACKETID:
		if (option->length == 8)
			packet->id = get64(option->data);
		break;
	case EPB_VERDICT:
		if (option->length == 2 && option->data[0] == 0)
			packet->verdict = option->data[1] ? PCAPNG_FORWARDED : PCAPNG_DROPPED;
		break;
	default:
		break;
	}
}

bool pcapng_read_packet(const struct pcapng_block *block, struct pcapng_record *record)
{
	const uint8_t *body = block->data + PCAPNG_HEAD;
	size_t at = PCAPNG_HEAD + PACKET_BODY, captured;
	struct option option;

	*record = (struct pcapng_record){0};
	if (!has_body(block, PCAPNG_PACKET, PACKET_BODY))
		return false;
	captured = get32(body + 12);
	if (pcapng_padded(captured) > block->length - PCAPNG_TAIL - at)
		return false;
	record->packet = (struct pcapng_packet){
		.interface = get32(body),
		.time_ns = get_time(body + 4),
		.captured = (uint32_t)captured,
		.length = get32(body + 16),
		.data = block->data + at,
	};
	at += pcapng_padded(captured);
	while (next_option(block, &at, &option))
		read_packet_option(record, &option);
	return true;
}

bool pcapng_read_interface(const struct pcapng_block *block, char *name, size_t size)
{
	size_t at = PCAPNG_HEAD + INTERFACE_BODY;
	struct option option;

	name[0] = '\0';
	if (!has_body(block, PCAPNG_INTERFACE, INTERFACE_BODY))
		return false;
	while (next_option(block, &at, &option)) {
		size_t length = option.length < size ? option.length : size - 1;

		if (option.code != IDB_NAME)
			continue;
		memcpy(name, option.data, length);
		name[length] = '\0';
	}
	return true;
}

bool pcapng_read_statistics(const struct pcapng_block *block, struct pcapng_statistics *statistics)
{
	size_t at = PCAPNG_HEAD + STATISTICS_BODY;
	struct option option;

	*statistics = (struct pcapng_statistics){0};
	if (!has_body(block, PCAPNG_STATISTICS, STATISTICS_BODY))
		return false;
	statistics->interface = get32(block->data + PCAPNG_HEAD);
	statistics->time_ns = get_time(block->data + PCAPNG_HEAD + 4);
	while (next_option(block, &at, &option)) {
		if (option.length != 8)
			continue;
		if (option.code == ISB_STARTTIME)
			statistics->start_ns = get_time(option.data);
		else if (option.code == ISB_IFRECV)
			statistics->received = get64(option.data);
		else if (option.code == ISB_IFDROP)
			statistics->dropped = get64(option.data);
		else if (option.code == ISB_FILTERACCEPT)
			statistics->accepted = get64(option.data);
	}
	return true;
}
