/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NAT_NAT_PORTS_H
#define NAT_NAT_PORTS_H
/* The ports of one external address for one protocol; of ICMP the ids. Each protocol has a space of its own (RFC 6888
 * section 3, RFC 5508 section 3.1).
 *
 * A bitmap says what is taken. Workers set and clear its bits with atomic operations and never wait for one another;
 * only who has blocks of his own (port_block) takes a lock that he shares with nobody but his own flows.
 *
 *	choice     the first free port behind a random one (RFC 6056 section 3.3.1), of the parity of the inside port where
 *	           one is left (RFC 4787 REQ-4), below 1024 for who sends from there while one is left (REQ-3a), never
 *	           below for others
 *	rest       a port that was in use is not handed out again for a while (RFC 6888 REQ-8). What is freed is noted in
 *	           the bitmap of the generation that is open; nat_ports_turn() opens the next one after an eighth of the
 *	           time and clears those that have rested, 1,024 words each, nothing else is ever scanned
 *	blocks     leased when a subscriber's own are used up, returned when all their ports have rested
 *	sharing    endpoint-dependent mappings: several flows have a port at once, to different destinations. Such ports
 *	           do not rest: their flows' sessions do
 *
 * Pure: no EAL, no clock.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NAT_PORTS 65536u
#define NAT_PORTS_LOW 1024u

/* The blocks of a subscriber here. Zeroed at first; outlives them. Others only touch it through these functions. */
struct nat_lease {
	_Atomic uint32_t lock;
	uint32_t head; /* block + 1, 0: none */
};

struct nat_grant {
	uint16_t port;
	bool leased;                   /* a block was leased for it: */
	uint16_t block_from, block_to; /* its first and last port */
};

struct nat_ports_use {
	uint32_t used, resting, total; /* ports; shared ones count once */
	uint32_t blocks_used, blocks_total;
};

struct nat_ports;

/* `block`: ports a block, 0: none. `ids`: of ICMP, where no number is special. NULL when out of memory. */
struct nat_ports *nat_ports_new(uint32_t block, bool ids);
void nat_ports_free(struct nat_ports *p);

/* Never handed out from now on: what the host itself uses, what is forwarded. Counted: release as often. Control thread. */
void nat_ports_reserve(struct nat_ports *p, uint16_t from, uint16_t to);
void nat_ports_release(struct nat_ports *p, uint16_t from, uint16_t to);
bool nat_ports_is_reserved(const struct nat_ports *p, uint16_t port);

/* A port of one's own for inside port `wish`. `lease`, `owner` (whom a block is noted for): only with blocks. Any thread.
 * False: none left. */
bool nat_ports_take(struct nat_ports *p, struct nat_lease *lease, uint32_t owner, uint16_t wish,
	uint64_t random, struct nat_grant *grant);
/* `rest`: it was in use; false: it was not, or need not. Any thread. */
void nat_ports_put(struct nat_ports *p, uint16_t port, bool rest);

/* The same for a port that others may have too, if `fits` agrees: at most `tries` are asked about. */
typedef bool (*nat_port_fits_fn)(void *arg, uint16_t port);
bool nat_ports_share(struct nat_ports *p, struct nat_lease *lease, uint32_t owner, uint16_t wish,
	uint64_t random, unsigned int tries, nat_port_fits_fn fits, void *arg,
	struct nat_grant *grant);
/* The port that is asked about first, whose lines are on their way then; -1: it is in a block. */
int nat_ports_foresee(const struct nat_ports *p, uint16_t wish, uint64_t random);
/* What is known of a shared port, which somebody will take or give back soon. */
void nat_ports_prefetch(const struct nat_ports *p, uint16_t port);
void nat_ports_unshare(struct nat_ports *p, uint16_t port);

/* What a take would give now, taking nothing; without regard to blocks. False: none left. */
bool nat_ports_look(const struct nat_ports *p, uint16_t wish, uint64_t random, uint16_t *port);

/* The clock: freed ports rest for rest_ms at least and an eighth more at most, as far as turns come often enough; 0: not at
 * all, from the next turn on. Before the first turn nothing rests. Control thread. */
void nat_ports_turn(struct nat_ports *p, uint32_t now_ms, uint32_t rest_ms);

/* Who hears of blocks that went back, on the thread that freed their last port. Before the first take. */
typedef void (*nat_block_returned_fn)(void *arg, uint32_t owner, uint16_t from, uint16_t to);
void nat_ports_on_return(struct nat_ports *p, nat_block_returned_fn returned, void *arg);

/* Relaxed: exact when nobody is at work. */
struct nat_ports_use nat_ports_use(const struct nat_ports *p);

#endif
