/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_RESPONSE_H
#define CONTROLLER_RESPONSE_H
/*
 * What alerts do: a port is in quarantine, or mirrored, while an alert with that action is `active`. The alerts are the
 * truth, stored with the rest; here is who they concern, by port.
 *
 * A quarantine ends when its time is over, when it is released, when the operator gives the port other groups (these
 * are obeyed at once: the same transaction ends the quarantine), or with the port.
 */
#include "txn.h"

struct controller;

/* In place of the groups that a port in quarantine has: a group that denies everything. No user can have made it. */
#define RESPONSE_SEALED "!quarantine"
/* Its rules, for nodes that have such a port. New reference. */
json_t *response_sealed_rules(void);

/* At the start, from the alerts of the store; then their time runs. */
void response_start(struct controller *c);
void response_stop(struct controller *c);

/* Does what the alert began hold? */
bool response_is_active(const json_t *alert);
/* The groups that hold for the port now: its own, or those of its quarantine. New reference. */
json_t *response_groups(const struct object *port);
/* The alert that it is in quarantine by; NULL: it is not. */
const char *response_quarantine_of(const char *port);
/* Names of the ports that are mirrored by this mirror because of alerts. New reference. */
json_t *response_mirrored(const char *mirror);

/* What would the inspection's action be for that port now? NULL: it can be taken; else why not. */
const char *response_objection(
	const struct model *model, const struct object *inspection, const struct object *port);

/* A transaction that takes ports away or gives them other groups ends their quarantine; one that deletes the group of a
 * quarantine seals its port. Before it runs. */
void response_join(struct txn *txn);
/* An alert was stored: those concerned are emitted again. */
void response_published(struct controller *c, const struct change *ch);
/* A port was stored: what mirrors it because of alerts is emitted again, where it is now. */
void response_port_changed(struct controller *c, const struct object *port);

#endif
