// SPDX-License-Identifier: Apache-2.0
/* The writer. Block layout: type, total length, body, options, total length; all padded to 32 bits. */
#include "lib/pcapng.h"

#include <string.h>

#include "lib/pcapng_format.h"

static void put16(struct bytes *out, uint16_t value)
{
	bytes_append(out, &value, sizeof(value));
}

static void put32(struct bytes *out, uint32_t value)
{
	bytes_append(out, &value, sizeof(value));
}

static void put64(struct bytes *out, uint64_t value)
{
	bytes_append(out, &value, sizeof(value));
}

/* Time stamps are two halves, the high one first (section 4.3). */
static void put_time(struct bytes *out, uint64_t time_ns)
{
	put32(out, (uint32_t)(time_ns >> 32));
	put32(out, (uint32_t)time_ns);
}

static void put_padded(struct bytes *out, const void *data, size_t length)
{
	static const uint8_t zeros[3];

	bytes_append(out, data, length);
	bytes_append(out, zeros, pcapng_padded(length) - length);
}

static void option(struct bytes *out, uint16_t code, const void *data, size_t length)
{
	if (length > UINT16_MAX)
		length = UINT16_MAX;
	put16(out, code);
	put16(out, (uint16_t)length);
	put_padded(out, data, length);
}

static void option_text(struct bytes *out, uint16_t code, const char *text)
{
	if (text)
		option(out, code, text, strlen(text));
}

static void option64(struct bytes *out, uint16_t code, uint64_t value)
{
	option(out, code, &value, sizeof(value));
}

/* Where the block starts, for end_block(). */
static size_t begin_block(struct bytes *out, uint32_t type)
{
	size_t start = out->length;

	put32(out, type);
	put32(out, 0);
	return start;
}

static void end_block(struct bytes *out, size_t start)
{
	uint32_t length = (uint32_t)(out->length - start + sizeof(length));

	put32(out, length);
	if (!out->failed)
		memcpy(out->data + start + PCAPNG_LENGTH_AT, &length, sizeof(length));
	else
		out->length = start; /* never half a block */
}

static void end_options(struct bytes *out, size_t start)
{
	put32(out, 0);
	end_block(out, start);
}

void pcapng_section(struct bytes *out, const char *application)
{
	size_t start = begin_block(out, PCAPNG_SECTION);

	put32(out, PCAPNG_MAGIC);
	put16(out, 1);
	put16(out, 0);
	put64(out, UINT64_MAX); /* as long as it gets */
	option_text(out, SHB_APPLICATION, application);
	end_options(out, start);
}

/* Its first byte says that it is libpcap's language. */
static void option_filter(struct bytes *out, const char *filter)
{
	static const uint8_t zeros[4];
	size_t length = filter ? strlen(filter) + 1 : 0;

	if (length == 0 || length > UINT16_MAX)
		return;
	put16(out, IDB_FILTER);
	put16(out, (uint16_t)length);
	bytes_append(out, zeros, 1);
	bytes_append(out, filter, length - 1);
	bytes_append(out, zeros, pcapng_padded(length) - length);
}

void pcapng_interface(struct bytes *out, const struct pcapng_interface *interface)
{
	static const uint8_t nanoseconds = 9;
	size_t start = begin_block(out, PCAPNG_INTERFACE);

	put16(out, interface->link_type);
	put16(out, 0);
	put32(out, interface->snaplen);
	option_text(out, IDB_NAME, interface->name);
	option_text(out, IDB_DESCRIPTION, interface->description);
	option(out, IDB_TSRESOL, &nanoseconds, sizeof(nanoseconds));
	option_filter(out, interface->filter);
	end_options(out, start);
}

void pcapng_packet(struct bytes *out, const struct pcapng_packet *packet)
{
	size_t start = begin_block(out, PCAPNG_PACKET);

	put32(out, packet->interface);
	put_time(out, packet->time_ns);
	put32(out, packet->captured);
	put32(out, packet->length);
	put_padded(out, packet->data, packet->captured);
	option_text(out, OPTION_COMMENT, packet->comment);
	if (packet->direction != PCAPNG_UNKNOWN) {
		uint32_t flags = packet->direction;

		option(out, EPB_FLAGS, &flags, sizeof(flags));
	}
	if (packet->lost)
		option64(out, EPB_DROPCOUNT, packet->lost);
	if (packet->id)
		option64(out, EPB_PACKETID, packet->id);
	if (packet->verdict != PCAPNG_NO_VERDICT) {
		const uint8_t verdict[2] = {0, packet->verdict == PCAPNG_FORWARDED};

		option(out, EPB_VERDICT, verdict, sizeof(verdict));
	}
	end_options(out, start);
}

static void option_time(struct bytes *out, uint16_t code, uint64_t time_ns)
{
	const uint32_t halves[2] = {(uint32_t)(time_ns >> 32), (uint32_t)time_ns};

	option(out, code, halves, sizeof(halves));
}

void pcapng_statistics(struct bytes *out, const struct pcapng_statistics *statistics)
{
	size_t start = begin_block(out, PCAPNG_STATISTICS);

	put32(out, statistics->interface);
	put_time(out, statistics->time_ns);
	if (statistics->start_ns)
		option_time(out, ISB_STARTTIME, statistics->start_ns);
	option_time(out, ISB_ENDTIME, statistics->time_ns);
	option64(out, ISB_IFRECV, statistics->received);
	option64(out, ISB_IFDROP, statistics->dropped);
	option64(out, ISB_FILTERACCEPT, statistics->accepted);
	end_options(out, start);
}
