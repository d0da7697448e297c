/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NAT_NAT_LOG_H
#define NAT_NAT_LOG_H
/* Who had which outside address and port when, as one JSON object a line (RFC 6888 REQ-12, RFC 8158).
 *
 * Workers put entries into a ring and never wait; the control thread writes them to the file of node.yaml (`nat_log`), which it opens
 * anew for each batch, so that it may be renamed or removed at any time. Entries that found the ring full are lost and counted: the
 * next line says how many.
 */
#include <stdbool.h>
#include <stdint.h>

#include "nat/nat_address.h"
#include "nat/nat_table.h"

/* A gateway is going to log. -ENOMEM. Control thread. */
int nat_log_init(void);

/* A block of a host was leased, or has come back. Any thread. */
void nat_log_block(const struct nat_address *a, enum nat_space space, uint32_t host, uint16_t from,
	uint16_t to, bool leased);
/* The session of a LOGGED record has begun, or ended. Any thread, inside an RCU section. */
void nat_log_session(const struct nat_record *logged, bool begins);

/* Writes what there is. Control thread. */
void nat_log_turn(void);
uint64_t nat_log_lost(void);

#endif
