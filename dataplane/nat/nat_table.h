/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NAT_NAT_TABLE_H
#define NAT_NAT_TABLE_H
/* Records of translation: who has which port, shared by the workers. One cache line each, of several kinds, found by key in one
 * hash table or reached from one another.
 *
 *	session ──hold──▶ [LOGGED] ▶ [REMOTE] ▶ MAPPING ──▶ HOST ──▶ OWNER
 *	                             [LOGGED] ▶ FLOW    ────▲
 *	session ──hold, with its port───────────────────────┘
 *	                             [LOGGED] ▶ FORWARD
 *	                                        BOTH ▶ two of them
 *
 *	MAPPING   endpoint-independent: inside address and port ↔ outside address and port (RFC 4787 REQ-1). Its sessions share it
 *	REMOTE    a mapping has sessions with this outside address: filtering `address`
 *	FLOW      endpoint-dependent: the port of one session. As a rule there is no such record: the session says which port of its
 *	          HOST's address it has (nat_hold.h). There is one when more is to be known of it
 *	HOST      an inside address: its outside address (REQ-2) and its blocks of ports
 *	OWNER     a vNIC: how many sessions it has
 *	FORWARD   a rule of DNAT; made by the control thread
 *	LOGGED    one session whose end is to be logged
 *	BOTH      a session between two inside hosts: translated twice
 *
 * Every record counts who refers to it, its parent included, and leaves the table with the last of them. Readers take no lock: a
 * chain may be walked inside an RCU section, and a record is used again only after a grace period. Inserting and removing lock one
 * bucket by one bit.
 */
#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "nat/nat_ports.h"

enum nat_kind {
	NAT_FREE,
	NAT_MAPPING,
	NAT_REMOTE,
	NAT_FLOW,
	NAT_HOST,
	NAT_OWNER,
	NAT_FORWARD,
	NAT_LOGGED,
	NAT_BOTH
};

/* Which space of ports a protocol has. */
enum nat_space { NAT_TCP, NAT_UDP, NAT_ICMP, NAT_SPACES };
#define NAT_HIDDEN 0x80 /* flags beside it: nobody finds the record by its key */
#define NAT_TO_V4 0x40  /* MAPPING of an IPv6 address to an IPv4 one */

struct nat_record {
	_Atomic uint32_t next; /* in its chain */
	_Atomic uint32_t refs;
	uint16_t gateway;    /* id */
	uint8_t kind;        /* enum nat_kind */
	uint8_t space;       /* enum nat_space */
	rte_be16_t port;     /* inside */
	rte_be16_t outside;  /* MAPPING, FLOW: the outside port */
	struct ip_addr addr; /* inside; OWNER: who it is, hashed */
	uint32_t parent;     /* free: the next free one */
	/* MAPPING, FLOW, HOST, FORWARD: nat_address id; BOTH: the second parent. */
	uint32_t address;
	union {
		struct {
			struct ip_addr remote; /* REMOTE, LOGGED */
			rte_be16_t remote_port;
			uint8_t proto; /* LOGGED */
			uint32_t since_ms;
		};
		struct nat_lease leases[NAT_SPACES]; /* HOST */
		_Atomic uint32_t sessions;           /* OWNER */
	};
};
static_assert(sizeof(struct nat_record) == 64, "a cache line");

extern struct nat_record *nat_records; /* by index; 0 is none */

/* For so many records; -ENOMEM. Control thread, once; more calls do nothing. */
int nat_table_init(uint32_t capacity);
void nat_table_fini(void);

/* A record of nobody else's, zeroed, with one reference; 0: none left. Any thread. */
uint32_t nat_record_new(void);
/* That never was in the table, or was taken out by nat_record_put(). */
void nat_record_free(uint32_t index);

/* What tells a record of its kind from others is gateway, space, addr and port; of REMOTE parent and remote, too.
 * The one of that key, with a reference taken; 0: none. Inside an RCU section, like the next two. */
uint32_t nat_table_find(const struct nat_record *key);
/* Without a reference: to look at. */
const struct nat_record *nat_table_look(const struct nat_record *key);
/* In steps, each when the line of the one before is there: where its chain begins; the record that does so, as a rule the one that is
 * looked for; that one, without a reference, or NULL. */
uintptr_t nat_table_foresee(const struct nat_record *key);
void nat_table_foresee_record(uintptr_t at);
const struct nat_record *nat_table_foreseen(uintptr_t at, const struct nat_record *key);
/* Puts a new record there; or returns the one that has its key already, with a reference taken, and `index` stays the caller's. */
uint32_t nat_table_add(uint32_t index);

/* One more reference, unless it is on its way out. Whoever has one knows that it is not. */
bool nat_record_get(uint32_t index);
/* One less. True: it was the last; the record is out of the table and the caller's to free, as its reference to the parent is. */
bool nat_record_put(uint32_t index);

/* Nobody finds it by its key any more; who refers to it goes on. */
void nat_table_hide(uint32_t index);

static inline enum nat_space nat_space_of(const struct nat_record *r)
{
	return (enum nat_space)(r->space & ~(NAT_HIDDEN | NAT_TO_V4));
}

static inline struct nat_record *nat_record_of(uint32_t index)
{
	return &nat_records[index];
}

/* Freed records whose grace period is over are there again. Control thread, now and then. */
void nat_table_turn(void);
/* In use or waiting for their grace period. */
uint32_t nat_table_used(void);

#endif
