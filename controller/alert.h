/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_ALERT_H
#define CONTROLLER_ALERT_H
/*
 * Alerts: what a node's inspection has found becomes an object of kind `alert`, stored and told like any change,
 * and is answered as its inspection says (response.h).
 *
 * Nodes are believed about what they have to do with: a VPC that is there, a port that is there, an inspection that covers
 * the VPC. Each VPC has its share of alerts a second, so that one under attack does not hide what happens in another.
 */
#include "txn.h"

struct controller;
struct node;

/* The notification `inspect.alert` of a node. */
void alert_heard(struct node *node, const json_t *params);

/* Alerts that a VPC had too many of, since the start. */
uint64_t alert_lost(void);

/* Gives the alert this status; joins the transaction. `until` may be NULL. */
void alert_set_status(struct txn *txn, struct object *alert, const char *state, const char *until,
	const char *reason);

#endif
