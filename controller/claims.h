/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_CLAIMS_H
#define CONTROLLER_CLAIMS_H
/*
 * Addresses that several ports of a VPC list in allowed_addresses: behind which of them one is now. The dataplanes
 * see the announcements (gratuitous ARP, unsolicited NA) and tell us by the event `address_claimed`; we tell the
 * other nodes. Not stored: who has it says so again.
 */
#include <jansson.h>
#include <stdbool.h>

struct controller;
struct node;
struct object;

/* A node has heard a port of its own announce an address. */
void claims_heard(struct node *node, const char *port, const char *address);
/* Is the (single) address, which the port lists, behind this port? Without a claim: behind the first by name. */
bool claims_port_has(struct controller *c, const struct object *port, const char *address);
/* A port came, went or lists other addresses (its JSON before or after): those that share them are to be
 * emitted again. */
void claims_touch(struct controller *c, const json_t *port);

#endif
