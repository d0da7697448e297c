/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_PUBLISH_H
#define CONTROLLER_PUBLISH_H
/* Tells everybody concerned what has been stored: watchers, and the nodes' wanted state. */
#include "txn.h"

struct controller;

void publish_changes(struct controller *c, const struct txn *txn);
/* After the last of a group: nodes are sent what has gathered. */
void publish_flush(struct controller *c);

#endif
