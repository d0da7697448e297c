// SPDX-License-Identifier: Apache-2.0
/*
 * pcapng files and streams (draft-ietf-opsawg-pcapng): made here block by block, and read again where streams of several
 * nodes become one, or lines on a terminal.
 *
 * Writing: a section begins with pcapng_section(); each interface is described once before its packets and numbered from 0
 * by the order of description. Everything is in the byte order of this machine, time stamps are nanoseconds since 1970.
 * Blocks are appended whole; out of memory shows in bytes->failed.
 *
 * Reading: pcapng_next() finds the next block of bytes that may be damaged or hostile; nothing outside of them is touched.
 * It reads what this writer writes, and other files of our byte order.
 *
 * Pure functions, any thread.
 */
#ifndef LIB_PCAPNG_H
#define LIB_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"

#define PCAPNG_ETHERNET 1 /* LINKTYPE_ETHERNET */
/* The longest block that pcapng_next() believes in. */
#define PCAPNG_BLOCK_MAX ((size_t)1 << 20)

/* Section header, section 4.1. `application` says who wrote it ("vpc-dataplane 1.0"), may be NULL. */
void pcapng_section(struct bytes *out, const char *application);

struct pcapng_interface { /* section 4.2; strings may be NULL */
	const char *name; /* "host-a/web1" */
	const char *description;
	const char *filter; /* a pcap expression */
	uint16_t link_type; /* PCAPNG_ETHERNET */
	uint32_t snaplen;   /* 0: no limit */
};
void pcapng_interface(struct bytes *out, const struct pcapng_interface *interface);

enum pcapng_direction { PCAPNG_UNKNOWN, PCAPNG_INBOUND, PCAPNG_OUTBOUND };
enum pcapng_verdict { PCAPNG_NO_VERDICT, PCAPNG_FORWARDED, PCAPNG_DROPPED };

struct pcapng_packet { /* section 4.3 */
	uint32_t interface;
	uint64_t time_ns;
	const void *data; /* captured bytes of it */
	uint32_t captured, length;
	enum pcapng_direction direction;
	enum pcapng_verdict verdict; /* epb_verdict of type "hardware": 1 forwarded, 0 dropped */
	uint64_t id; /* epb_packetid: the same packet at several places has the same one; 0: none */
	uint64_t lost;       /* epb_dropcount: packets lost before this one */
	const char *comment; /* NULL: none */
};
void pcapng_packet(struct bytes *out, const struct pcapng_packet *packet);

struct pcapng_statistics { /* section 4.6 */
	uint32_t interface;
	uint64_t time_ns, start_ns;
	uint64_t received; /* seen by the filter */
	uint64_t dropped;  /* passed the filter, and were lost on the way here */
	uint64_t accepted; /* passed the filter */
};
void pcapng_statistics(struct bytes *out, const struct pcapng_statistics *statistics);

/* ---- Reading ---- */

enum pcapng_type {
	PCAPNG_SECTION = 0x0a0d0d0a,
	PCAPNG_INTERFACE = 1,
	PCAPNG_STATISTICS = 5,
	PCAPNG_PACKET = 6,
};

struct pcapng_block {        /* borrowed from what was read */
	uint32_t type;       /* enum pcapng_type or another */
	const uint8_t *data; /* the block, head and tail included */
	size_t length;
};

/*
 * The block that begins at *offset, which moves behind it. 1, 0 (nothing more, or not whole yet: `*offset` stays), -EINVAL (this is
 * no block).
 */
int pcapng_next(const void *data, size_t length, size_t *offset, struct pcapng_block *block);

/* Of packet and statistics blocks: whose they are, and making them somebody else's. */
bool pcapng_block_interface(const struct pcapng_block *block, uint32_t *interface);
void pcapng_set_interface(uint8_t *block, uint32_t interface);

/* What a packet block says; false when it is none or damaged. `comment` is not terminated, see comment_length. */
struct pcapng_record {
	struct pcapng_packet packet; /* its comment is NULL */
	const char *comment;
	size_t comment_length;
};
bool pcapng_read_packet(const struct pcapng_block *block, struct pcapng_record *record);
/* The interface's name, copied and terminated; false when it is none or damaged. Without a name: "". */
bool pcapng_read_interface(const struct pcapng_block *block, char *name, size_t size);
/* false when it is none or damaged. */
bool pcapng_read_statistics(const struct pcapng_block *block, struct pcapng_statistics *statistics);

#endif
