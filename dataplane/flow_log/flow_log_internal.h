/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLOW_LOG_FLOW_LOG_INTERNAL_H
#define FLOW_LOG_FLOW_LOG_INTERNAL_H
/* Between the files of flow_log/ only. */
#include "core/worker.h"
#include "flow_log/flow_log.h"
#include "flow_log/flow_sink.h"
#include "vpc/vpc.h"

/* Of a node: a bit each in a word. */
#define FLOW_LOGS_MAX 64u

/* What a log knows of a session. Control thread only. */
struct flow_mark {
	uint64_t bytes[2];
	uint32_t packets[2]; /* the low half */
	uint32_t created_ms; /* the session, with FLOW_MARK_KNOWN; else another one of its index */
	uint32_t begun_ms;   /* its interval */
	loc_t in, out;       /* where its ends were then */
	uint32_t flags;      /* enum flow_mark_flag */
};

enum flow_mark_flag {
	FLOW_MARK_KNOWN = 1 << 0,
	FLOW_MARK_NAT_TOLD = 1 << 1, /* a NAT event said that it began */
	FLOW_MARK_FRESH =
		1 << 2, /* it goes on from another session, and nothing of it was told yet */
	FLOW_MARK_OURS = 1 << 3,  /* this node reports it */
	FLOW_MARK_LAST = 1 << 4,  /* the log leaves, and has told all that it will of it */
	FLOW_MARK_SCOPE = 1 << 5, /* << 0, 1: the initiator, the responder is of the log's scope */
};

/* The same of an entry of a worker's table of denied flows. */
struct flow_denied_mark {
	uint64_t packets, bytes;
	uint32_t generation, begun_ms;
};

/* A moment, from which some turns of the clock hand and of the denied flows' are counted. */
struct flow_turns {
	bool set;
	uint32_t ms, sessions, denied;
};

enum flow_scope { FLOW_SCOPE_VPC, FLOW_SCOPE_SUBNET, FLOW_SCOPE_PORT };

struct flow_log {
	char name[PORT_NAME_MAX];
	uint32_t vni;
	enum flow_scope scope;
	char scope_name[PORT_NAME_MAX]; /* of the subnet or port */
	char collector[300];
	bool json, biflow, nat_events, accepted, denied;
	uint32_t interval_ms, sample;
	uint64_t revision;
	/* Of one that is in force. */
	unsigned int bit;
	bool reserved;           /* its place among FLOW_LOGS_MAX, until it is put */
	uint32_t vpc_index;      /* 0: its VPC is not here */
	char vpc[PORT_NAME_MAX]; /* its name */
	uint32_t since_ms;
	bool leaving;           /* deleted: what it knows of is told a last time */
	struct flow_turns left; /* when it was, or its VPC went; `set` */
	struct flow_sink *sink;
	struct flow_tally *tally;              /* of this sink and earlier ones */
	struct flow_mark *marks;               /* [index of a session], demand-paged */
	struct flow_denied_mark *denied_marks; /* [worker][entry], demand-paged */
};

/* flow_log.c: the logs of this node. */
extern struct flow_log *flow_logs[FLOW_LOGS_MAX];
/* Bits of the logs of a VPC, by its index. Workers read them. */
extern _Atomic uint64_t flow_log_vpcs[VPC_INDEX_MAX];

static inline uint64_t flow_log_bits(uint32_t vpc_index)
{
	return vpc_index < VPC_INDEX_MAX
		       ? atomic_load_explicit(&flow_log_vpcs[vpc_index], memory_order_relaxed)
		       : 0;
}

#define FLOW_LOGS_FOREACH(bits, log)                                                               \
	for (uint64_t left_ = (bits); left_ != 0; left_ &= left_ - 1)                              \
		if (((log) = flow_logs[__builtin_ctzll(left_)]) != NULL)

struct flow_log *flow_log_find(const char *name);
/* For one that is to be: its memory and sink. NULL; else why not. */
const char *flow_log_prepare(struct flow_log *log, const struct flow_log *now);
void flow_log_free(struct flow_log *log);
/* Takes it, in place of the one of its name. */
void flow_log_put(struct flow_log *log);
/* It says no more but what it has not said yet of flows that there are: then it goes. */
void flow_log_remove(const char *name);
/* Finds VPCs again, after a transaction. */
void flow_log_settle(void);
/* Now; and: has every session, and every denied flow, been passed since then? */
struct flow_turns flow_log_now(void);
bool flow_log_all_passed(const struct flow_turns *since);

/* One end of a flow. */
struct flow_end_of {
	uint32_t vpc_index; /* the scope of the packets that it sends */
	loc_t where;        /* where they come from */
	struct ip_addr addr;
};
/* A port that was deleted lately still has what its last flows need: `here`, a name, a scope. */
/* Is the end in the log's scope? */
enum flow_scoped { FLOW_OUTSIDE, FLOW_INSIDE, FLOW_UNKNOWN /* nobody has its address any more */ };
enum flow_scoped flow_scope_of(const struct flow_log *log, const struct flow_end_of *end);
/* Is its port on this node? */
bool flow_end_is_here(const struct flow_end_of *end);
/* Is it behind a VTEP that is none of ours, and tells nothing? */
bool flow_end_is_foreign(const struct flow_end_of *end);
/* Was its port, which is deleted? */
bool flow_end_has_left(const struct flow_end_of *end);
/* Fills in what is known of both ends: ports, names, VNIs. */
void flow_scope_describe(
	const struct flow_log *log, struct flow_record *r, const struct flow_end_of ends[2]);
/* A vNIC leaves; those that did so long enough ago are forgotten. */
void flow_scope_left(const struct vnic *vnic);
void flow_scope_turn(void);
void flow_scope_forget(void);

/* Milliseconds since 1970 of a clock_ms() time. */
int64_t flow_log_wall_ms(uint32_t ms);
/* One flow in `sample`, by a keyed hash of what does not change while it lives. */
bool flow_log_is_sampled(const struct flow_log *log, const struct flow_record *r);

/* flow_log_ring.c: from workers to the control thread. */
enum flow_told_kind {
	FLOW_TOLD_SESSION, /* has ended */
	FLOW_TOLD_RESUMED, /* goes on with the counters of another one */
	FLOW_TOLD_DENIED,
};

/* A session as its record has it, or a denied flow. */
struct flow_told {
	uint64_t logs; /* those that may want it */
	uint32_t index;
	uint32_t created_ms; /* of a denied flow: its generation */
	uint32_t vpc[2];     /* scopes of both directions' keys */
	loc_t in, out;       /* of the initiator's packets */
	uint32_t first_ms, seen_ms[2];
	uint64_t packets[2], bytes[2];
	struct ip_addr src, dst, post_src, post_dst;
	rte_be16_t sport, dport, post_sport, post_dport;
	uint8_t kind; /* enum flow_told_kind */
	uint8_t proto, reason, end;
	uint8_t tcp_bits[2];
	bool closed; /* TCP: both sides are done, or one has reset it */
	bool translated, nat;
	uint8_t worker; /* of a denied flow */
};

int flow_ring_init(void);
/* Any thread but the control thread: false when there is no room. */
bool flow_ring_put(struct flow_told *told);
/* All that workers have put. Control thread. */
void flow_ring_drain(void);
/* Records that found the ring full, of each log. */
void flow_ring_count_lost(uint64_t logs);

/* flow_log_watch.c */
void flow_watch_told(const struct flow_told *told);
void flow_watch_resumed(const struct flow_told *told);
/* Whole turns of the hand so far. */
uint32_t flow_watch_turns(void);
void flow_watch_start(void);
void flow_watch_stop(void);
/* As if all sessions ended now. */
void flow_watch_tell_all(void);

/* flow_log_denied.c */
int flow_denied_init(void);
size_t flow_denied_entries(void); /* of all workers */
void flow_denied_told(const struct flow_told *told);
void flow_denied_turn(uint32_t now_ms, bool all);
uint32_t flow_denied_turns(void);

#endif
