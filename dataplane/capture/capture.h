/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAPTURE_CAPTURE_H
#define CAPTURE_CAPTURE_H
/* Packets for whoever asks, as pcapng blocks: on the way in, on the way out, at their drop.
 *
 *	worker                                 sight thread        control thread, every 10 ms
 *	port taps ─ capture_mark ─┐
 *	fates ─────── what became ┼─ ring ─▶ record() ─ copy ─▶  match: packet + its fate + its way
 *	capture_path: its way ────┘                              write: pcapng blocks ─▶ capture.data to the client
 *
 * A packet that a port sends is marked on the way in (pkt->observed: a place in its worker's table, which says who wants to know), so
 * that its fate finds the record. Records wait for it in the order in which they came, a moment at most.
 *
 * A capture belongs to the connection that asked for it and ends with it. Everything has its bound: the ring, the bytes that wait here, and
 * what the client has not read yet; what does not fit is lost and counted. No packet waits for a capture.
 *
 * Control thread, unless it says otherwise.
 */
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/bytes.h"
#include "lib/pcapng.h"
#include "observe/fate.h"
#include "observe/observe.h"

struct jsonrpc_call;
struct jsonrpc_conn;

#define CAPTURE_MARKS 0x8000u /* numbers of marked packets, shared out to the workers */

enum capture_scope { CAPTURE_ALL, CAPTURE_PORT, CAPTURE_VPC };

/* A packet, as it was somewhere. */
struct capture_record {
	TAILQ_ENTRY(capture_record) link;
	struct capture_record *same; /* the next one of the same packet: a GSO frame is several */
	struct observe_meta meta;
	bool waiting;   /* for its fate */
	uint32_t tick;  /* of the control thread: when it was taken, then when its fate came */
	bool known;     /* its fate is: */
	uint8_t fate;   /* enum observe_fate */
	uint8_t reason; /* enum drop_reason */
	loc_t out;
	uint32_t session;
	struct bytes path; /* "node:cycles/burst," … */
	uint8_t data[];    /* meta.caplen */
};
TAILQ_HEAD(capture_records, capture_record);

struct capture_interface {
	char name[2 * PORT_NAME_MAX + 8];
	uint64_t packets;
};

struct capture {
	LIST_ENTRY(capture) link;
	/* Constant while it runs; workers read these. */
	struct observer *observer;
	bool drops, before, after, path;
	enum capture_scope scope;
	uint32_t vni;
	char name[PORT_NAME_MAX];

	json_int_t id;
	struct jsonrpc_conn *conn; /* NULL: gone */
	struct jsonrpc_call *stop; /* answered at its end; NULL: nobody asked */
	bool ending;
	uint64_t limit, packets; /* limit 0: none */
	uint64_t start_ns, lost;
	uint32_t snaplen;
	char *filter;
	/* From the sight thread. */
	pthread_mutex_t lock;
	struct capture_records incoming; /* by `lock` */
	_Atomic uint64_t waiting_bytes;  /* of all records that are here */
	_Atomic uint64_t overrun;        /* records that found no room */
	/* capture_match.c */
	struct capture_records held;
	struct capture_record **by_mark; /* [CAPTURE_MARKS]: the first one that waits */
	uint32_t tick;
	/* capture_write.c */
	struct bytes out;
	struct capture_interface *interfaces;
	uint32_t n_interfaces, interfaces_room;
};

/* ---- capture.c: their life ---- */

/* Takes `filter`, `packet_filter`. NULL with errno. */
struct capture *capture_new(const struct capture *like, struct packet_filter *filter);
/* Ends it: capture_closed() follows when no other thread has it in hand. */
void capture_end(struct capture *c);
/* Its last packets and figures are sent, `stop` is answered or the client told; it is freed. */
void capture_closed(struct capture *c);
struct capture *capture_find(const struct jsonrpc_conn *conn, json_int_t id);

/* ---- capture_mark.c: workers ---- */

extern const struct observe_sink capture_sink;
/* Memory for marks, once: 0 or -ENOMEM. */
int capture_marks_prepare(void);
/* Begins, ends to show it what becomes of packets. */
void capture_marks_open(struct capture *c);
void capture_marks_close(struct capture *c);
/* Whom the marked packet concerns, by observer; its id. */
uint64_t capture_mark_of(uint16_t number, uint64_t *id);
/* By observer's id; NULL: none. */
struct capture *capture_of(unsigned int observer);

/* What capture_path.c tells of a packet and a node. */
struct capture_hop {
	char node[32];
	uint32_t cycles, burst;
};
/* Whose packets' ways are followed; capture_path.c. */
extern _Atomic uint64_t capture_paths;
void capture_path_open(struct capture *c);
void capture_path_close(struct capture *c);
/* A packet was marked by this node, which runs now. */
void capture_path_marked(uint16_t number);

/* ---- capture_match.c ---- */

/* What has come: fates to their packets; then those that need not wait are written, up to a bound, all of them with `last`. */
void capture_match(struct capture *c, bool last);
/* Takes a record that is over. */
void capture_record_free(struct capture *c, struct capture_record *r);

/* ---- capture_write.c ---- */

void capture_write(struct capture *c, const struct capture_record *r);
/* The figures of each interface, at the end. */
void capture_write_end(struct capture *c);

#endif
