/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INSPECT_INSPECT_INTERNAL_H
#define INSPECT_INSPECT_INTERNAL_H
/* What the parts of inspect/ know of each other. The control thread's unless it says otherwise. */
#include <jansson.h>

#include "inspect/inspect.h"

/* Bits 0 to 3 of the feed's UDP source port. */
enum inspect_flag {
	INSPECT_DENIED = 1 << 0,
	INSPECT_FIRST = 1 << 1,
	INSPECT_ANSWER = 1 << 2,
	INSPECT_SAMPLED = 1 << 3,
};

/* Of a packet at most; of one to or from port 53, whatever the inspections want. */
#define INSPECT_SNAP_MAX 2048u
#define INSPECT_SNAP_DNS 320u

/* By VPC index: 0: not under inspection; else its VNI, how many first packets, and whether samples too. Workers read. */
#define INSPECT_SAMPLED_BIT (1u << 31)
#define INSPECT_PACKETS(word) ((uint32_t)(word) & ~INSPECT_SAMPLED_BIT)
#define INSPECT_VNI(word) ((uint32_t)((word) >> 32))
extern _Atomic uint64_t inspect_vpcs[VPC_INDEX_MAX];
extern _Atomic uint32_t inspect_snaplen; /* bytes */

/*
 * What a port is called in the feed and in alerts: its index in 16 bits, above it which life of the index it is, so that a number means no other
 * port that has the index later. Numbers mean nothing to another run of this process: alerts say of which one theirs is.
 */
#define INSPECT_OUTSIDE 0xffffffu
static inline uint32_t inspect_port_number(const struct port *port)
{
	return port->life % 255u << 16 | (port->index & 0xffffu);
}

/* What a VPC's item says. */
struct inspection {
	struct inspection *next;
	char name[PORT_NAME_MAX];
	uint32_t vni;
	uint32_t first_packets, sample, snaplen;
	json_t *detectors; /* {type: {threshold, window_s}} */
	json_t *lists;     /* names */
};
extern struct inspection *inspections;
/* {name: [entries]} of indicator lists. */
extern json_t *inspect_indicators;

/* inspect_feed.c: begins to feed, ends it. 0 or -errno. */
int inspect_feed_start(void);
void inspect_feed_stop(void);
uint64_t inspect_feed_lost(void);

/* inspect_tap.c: the interface is there (made if need be). 0 or -errno, told as an event once. */
int inspect_tap_open(void);
/* Its name; NULL: there is none. */
const char *inspect_tap_name(void);
/* Sight thread. A whole frame; false: it did not take it. Tests put something else in its place. */
extern bool (*inspect_output)(const void *frame, size_t size);

/* inspect_rpc.c: what inspect.get answers has changed. */
void inspect_rpc_changed(void);

#endif
