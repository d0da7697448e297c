/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks of several nodes in one section: interfaces get our numbers, statistics what was lost here. */
#include "capture.h"
#include "controller.h"
#include "lib/jsonrpc_server.h"
#include "mem.h"

#include <stdlib.h>

/* What a client may leave unread; more is lost. */
#define UNREAD_MAX ((size_t)4 << 20)
/* The same of what says which interface is which, beyond that. */
#define INTERFACES_UNREAD_MAX ((size_t)1 << 20)

/* A node has a port or a tunnel for each interface: one that tells of more, or of longer ones, is none of ours. */
#define INTERFACES_MAX ((size_t)1 << 16)
#define INTERFACE_BLOCK_MAX ((size_t)8 << 10)

#define UNTOLD UINT32_MAX

static bool has_room(const struct capture *capture, size_t beyond)
{
	size_t queued = capture->conn != NULL ? jsonrpc_conn_queued(capture->conn) : 0;

	return queued + capture->out.length < UNREAD_MAX + beyond;
}

static struct capture_source *source_of(struct capture_leg *leg, const struct pcapng_block *block)
{
	uint32_t number;

	return pcapng_block_interface(block, &number) && number < leg->count ? &leg->sources[number]
									     : NULL;
}

/* For a client that does not even read about interfaces, what comes from them is lost. */
static bool add_interface(
	struct capture *capture, struct capture_leg *leg, const struct pcapng_block *block)
{
	bool told = has_room(capture, INTERFACES_UNREAD_MAX);

	if (leg->count == INTERFACES_MAX || block->length > INTERFACE_BLOCK_MAX)
		return false;
	MEM_GROW(leg->sources, leg->count, leg->room);
	leg->sources[leg->count++] =
		(struct capture_source){.number = told ? capture->interfaces++ : UNTOLD};
	if (told)
		bytes_append(&capture->out, block->data, block->length);
	return true;
}

static void add_packet(
	struct capture *capture, struct capture_leg *leg, const struct pcapng_block *block)
{
	struct capture_source *source = source_of(leg, block);
	size_t start = capture->out.length;

	if (source == NULL || (capture->limit != 0 && capture->packets >= capture->limit))
		return;
	if (source->number == UNTOLD || !has_room(capture, 0)) {
		source->lost++;
		capture->lost++;
		return;
	}
	bytes_append(&capture->out, block->data, block->length);
	if (capture->out.failed)
		return;
	pcapng_set_interface(capture->out.data + start, source->number);
	capture->packets++;
}

static void add_statistics(
	struct capture *capture, struct capture_leg *leg, const struct pcapng_block *block)
{
	struct capture_source *source = source_of(leg, block);
	struct pcapng_statistics statistics;

	if (source == NULL || source->over || !pcapng_read_statistics(block, &statistics))
		return;
	source->over = true;
	capture->lost += statistics.dropped;
	if (source->number == UNTOLD)
		return;
	statistics.interface = source->number;
	statistics.dropped += source->lost;
	pcapng_statistics(&capture->out, &statistics);
}

bool capture_merge(struct capture *capture, struct capture_leg *leg, const struct bytes *blocks)
{
	struct pcapng_block block;
	size_t offset = 0;

	while (pcapng_next(blocks->data, blocks->length, &offset, &block) == 1) {
		if (block.type == PCAPNG_INTERFACE && !add_interface(capture, leg, &block))
			return false;
		if (block.type == PCAPNG_PACKET)
			add_packet(capture, leg, &block);
		else if (block.type == PCAPNG_STATISTICS)
			add_statistics(capture, leg, &block);
	}
	return offset == blocks->length;
}

void capture_send(struct capture *capture)
{
	char *text;

	if (!capture->started || capture->conn == NULL || capture->out.length == 0)
		return;
	text = base64_text(capture->out.data, capture->out.length);
	if (text != NULL)
		jsonrpc_conn_notify(capture->conn, "capture.data",
			json_pack("{s:I, s:s}", "capture", capture->id, "data", text));
	free(text);
	bytes_clear(&capture->out);
}
