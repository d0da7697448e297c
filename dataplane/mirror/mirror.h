/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MIRROR_MIRROR_H
#define MIRROR_MIRROR_H
/* Mirrors: observers (observe/observe.h) whose copies go to a port of this node, into a VXLAN or ERSPAN tunnel over the underlay, or to
 * rotating pcapng files.
 *
 * Copies are made and sent by the worker that saw the packet, at once and past the graph: no session, no policy, no shaper.
 * Each is a packet of its own, counted as generated and then as sent or dropped (to the node). What can not be copied, or is not taken by
 * its target, is `lost`; the tenant's packet goes on in either case. GSO frames are copied as the segments that they are on the wire.
 *
 * Threads: made, changed and freed by the control thread (southbound items); used by workers under RCU; a file by the sight thread.
 */
#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/state.h"
#include "mirror/erspan.h"
#include "observe/fate.h"
#include "observe/observe.h"

#define MIRROR_REASON_MAX 160

enum mirror_target { MIRROR_PORT, MIRROR_VXLAN, MIRROR_ERSPAN, MIRROR_FILE };

struct mirror_file;

/* Copies that leave together. */
struct mirror_batch {
	uint16_t n;
	uint64_t again_tsc; /* PORT: it has refused one, and is not asked before then */
	struct rte_mbuf *pkts[BURST];
} __rte_cache_aligned;

struct mirror {
	struct observer *observer;
	enum mirror_target target;
	char name[PORT_NAME_MAX];
	char where[PORT_NAME_MAX]; /* PORT: its name; VXLAN, ERSPAN: its VTEP's */
	/* The index of that port or VTEP; UINT32_MAX: it is not there. Set by the control thread after each transaction. */
	_Atomic uint32_t index;
	uint32_t vni;
	uint16_t session_id; /* of ERSPAN */
	uint8_t version;
	_Atomic uint32_t sequence;      /* of ERSPAN */
	struct mirror_file *file;       /* of MIRROR_FILE */
	struct mirror_batch *batches;   /* [worker_count] */
	struct observe_counters before; /* what its forerunners of this name counted */
	struct mirror *next;            /* of all. Control thread */
};

/* mirror_table.c. Control thread. NULL: there is none of that name. */
struct mirror *mirror_by_name(const char *name);
struct mirror *mirror_next(struct mirror *previous);
/* In place of the one of its name, and looks from now on. Takes it. */
void mirror_put(struct mirror *mirror);
void mirror_remove(const char *name);
/* One that was not put. */
void mirror_free(struct mirror *mirror);
/* An empty one; NULL: out of memory. mirror_destroy() frees it if no observer knows it. */
struct mirror *mirror_new(void);
void mirror_destroy(struct mirror *mirror);
/* Why nothing can reach the target now; "" when it can. */
void mirror_trouble(const struct mirror *mirror, char reason[MIRROR_REASON_MAX]);
struct observe_counters mirror_counters(const struct mirror *mirror);

/* The sinks of the targets. */
extern const struct observe_sink mirror_port_sink, mirror_tunnel_sink, mirror_file_sink;

/* Workers: a copy of at most `max` bytes of a complete frame, marked as the observer's; not counted yet. NULL: no buffers. */
struct rte_mbuf *mirror_copy(struct observer *o, const struct rte_mbuf *frame, uint32_t max);

/* mirror_file.c. Can files be made there? -errno with `err`. Control thread. */
int mirror_file_check(const char *path, struct state_error *err);
/* NULL: out of memory. Freed with the observer. */
struct mirror_file *mirror_file_new(
	const char *name, const char *path, uint32_t rotate_mb, uint32_t keep, const char *filter);
void mirror_file_free(struct mirror_file *file);
/* What went wrong last, or "". Any thread. */
void mirror_file_trouble(struct mirror_file *file, char reason[MIRROR_REASON_MAX]);

#endif
